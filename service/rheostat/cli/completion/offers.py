"""What completes each argument and option: by its name in the help, or by that of its command."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, get_args

from rheostat import wire
from rheostat.cli.completion import phrases
from rheostat.cli.completion.asking import Service
from rheostat.cli.completion.phrases import Offer
from rheostat.cli.completion.places import Place, choices, options

MANY = 200
"""The most names that are offered."""
FILES = Offer("\0files")
"""Stands for names of files, which the shell knows best."""


class Asked:
    """A place in a line, the word that was begun there, and the service that may know more."""

    def __init__(self, place: Place, typed: str, service: Service) -> None:
        self.place, self.typed, self.service = place, typed, service
        self._run: Any = None

    @property
    def name(self) -> str:
        """The name of the run that stands before in the line."""
        return self.place.said("run") or ""

    def run(self, *path: str, **query: Any) -> list[dict[str, Any]]:
        """Return the items of a list of that run."""
        return self.service.items("runs", self.name, *path, **query) if self.name else []

    @property
    def state(self) -> dict[str, Any]:
        """The state of that run; empty if it is not there."""
        if self._run is None:
            self._run = (self.service.get("runs", self.name) if self.name else None) or {}
        return dict(self._run)


Offering = Callable[[Asked], Iterable[Offer]]


def offered(asked: Asked) -> Iterator[Offer]:
    """Yield what may stand at a place, whatever was begun there."""
    place, typed = asked.place, asked.typed
    if place.open_option is not None:
        yield from _of(place.open_option, asked)
        return
    written, equals, value = typed.partition("=")
    known = dict(options(place.command))
    if equals and written in known:
        inner = Asked(place, value, asked.service)
        yield from (
            Offer(f"{written}={each.word}", each.what) for each in _of(known[written], inner)
        )
        return
    if place.commands:
        yield from (Offer(name, _help(each)) for name, each in place.commands.items())
    argument = place.argument
    found = [] if argument is None else [*_of(argument, asked)]
    yield from found
    begun = argument is None or (argument.nargs == -1 and place.rest())
    if typed.startswith("-") or (not typed and begun and not found and not place.commands):
        yield from _options(place, known)


def _options(place: Place, known: dict[str, Any]) -> Iterator[Offer]:
    for written, each in known.items():
        if written.startswith("--") and (each.multiple or each.name not in place.values):
            yield Offer(written, each.help or "")


def _help(command: Any) -> str:
    return next((line.strip() for line in (command.help or "").splitlines() if line.strip()), "")


def _of(parameter: Any, asked: Asked) -> Iterable[Offer]:
    found = offering(asked.place.path, parameter)
    if found is not None:
        return found(asked)
    return [Offer(str(each)) for each in choices(parameter)]


def offering(path: tuple[str, ...], parameter: Any) -> Offering | None:
    """Return what completes a parameter of a command; None where there is nothing to know."""
    metavar = parameter.metavar or ""
    return OFFERS.get(" ".join((*path, metavar))) or OFFERS.get(metavar)


def _runs(asked: Asked) -> Iterator[Offer]:
    found = asked.service.items("runs", prefix=asked.typed, limit=MANY)
    return (Offer(each["name"], f"revision {each['revision']}") for each in found)


def _labels(asked: Asked) -> Iterator[Offer]:
    pairs = {
        f"{key}={value}": None
        for each in asked.service.items("runs", limit=MANY)
        for key, value in each["labels"].items()
    }
    return map(Offer, pairs)


def _actions(asked: Asked) -> Iterator[Offer]:
    found = asked.service.items("audit", limit=MANY)
    return map(Offer, dict.fromkeys(each["action"] for each in found))


def _acts(_asked: Asked) -> Iterator[Offer]:
    return map(Offer, get_args(wire.ProposalKind))


def _schedules(asked: Asked) -> Iterator[Offer]:
    found = asked.service.items("schedules", limit=MANY)
    return (Offer(each["name"], f"version {each['version']}") for each in found)


def _parameters(asked: Asked) -> Iterator[Offer]:
    values = asked.state.get("current", {})
    return (Offer(name, f"{value:g} now") for name, value in values.items())


def _revisions(asked: Asked) -> Iterator[Offer]:
    found = asked.run("revisions", limit=MANY)
    yield from (Offer(str(each["revision"]), _says(each)) for each in found)
    newest = asked.state.get("revision", 0)
    if newest > len(found):
        yield Offer(str(newest), "the newest")


def _pending(asked: Asked) -> Iterator[Offer]:
    return (Offer(str(each["revision"]), _says(each)) for each in asked.state.get("pending", ()))


def _says(revision: dict[str, Any]) -> str:
    said = f"{revision['kind']} from {revision['effective']}"
    return f"{said}: {revision['message']}" if revision["message"] else said


def _generations(asked: Asked) -> Iterator[Offer]:
    found = asked.state.get("generations", ())
    return (Offer(str(each["generation"]), f"from {each['from']}") for each in found)


def _tags(asked: Asked) -> Iterator[Offer]:
    found = asked.run("checkpoints", limit=MANY)
    newest = {each["tag"]: each["step"] for each in reversed(found)}
    return (Offer(tag, f"step {step}") for tag, step in newest.items() if tag)


def _controllers(asked: Asked) -> Iterator[Offer]:
    found = asked.state.get("controllers", {})
    return (Offer(name, f"{each['kind']} on {each['metric']}") for name, each in found.items())


def _metrics(asked: Asked) -> Iterator[Offer]:
    found = asked.service.get("runs", asked.name, "surface") if asked.name else None
    return (Offer(str(each)) for each in (found or {}).get("metrics", ()))


def _proposals(asked: Asked) -> Iterator[Offer]:
    found = asked.run("proposals", state="open", limit=MANY)
    return (Offer(str(each["proposal"]), each.get("message", "")) for each in found)


def _awaited(asked: Asked) -> Iterator[Offer]:
    until = asked.place.said("until")
    if until == "revision":
        return _revisions(asked)
    return _proposals(asked) if until == "proposal" else iter(())


def _signals(asked: Asked) -> Iterator[Offer]:
    found = asked.state.get("signals", {})
    return (Offer(word, form.get("text", "")) for word, form in found.items())


def _signal_arguments(asked: Asked) -> Iterator[Offer]:
    form = asked.state.get("signals", {}).get(asked.place.said("word") or "", {})
    given = {word.partition("=")[0] for word in asked.place.rest()}
    return (Offer(f"{name}=") for name in form.get("arguments", {}) if name not in given)


def _changes(asked: Asked) -> Iterator[Offer]:
    return _with_files(asked, _change(asked, asked.place.rest()))


def _after_a_step(asked: Asked) -> Iterator[Offer]:
    words = asked.place.rest()
    if not words:
        return iter(())
    return _with_files(asked, _change(asked, words if asked.place.said("tag") else words[1:]))


def _change(asked: Asked, words: list[str]) -> Iterator[Offer]:
    return phrases.changes(
        words, asked.typed, lambda: _parameters(asked), lambda: _revisions(asked)
    )


def _proposed(asked: Asked) -> Iterator[Offer]:
    kind, words = asked.place.said("kind"), asked.place.rest()
    if kind == "change":
        return _with_files(asked, _change(asked, words))
    if kind == "control":
        return _with_files(asked, phrases.controller(words, asked.typed, lambda: _metrics(asked)))
    if kind == "rewind" and words:
        return _with_files(asked, _change(asked, words[1:]))
    return _signals(asked) if kind == "signal" and not words else iter(())


def _new_parameters(asked: Asked) -> Iterator[Offer]:
    return _with_files(asked, phrases.parameters(asked.place.rest(), asked.typed))


def _definitions(asked: Asked) -> Iterator[Offer]:
    return _with_files(asked, phrases.definitions(asked.place.rest(), asked.typed))


def _controller(asked: Asked) -> Iterator[Offer]:
    words = asked.place.rest()
    return _with_files(asked, phrases.controller(words, asked.typed, lambda: _metrics(asked)))


def _with_files(asked: Asked, found: Iterator[Offer]) -> Iterator[Offer]:
    """Offer files where a file is what was begun: ``@lr.json`` or ``lr=@lr.json``."""
    _, at, _ = asked.typed.partition("@")
    return iter([FILES]) if at else found


def _files(_: Asked) -> Iterator[Offer]:
    return iter([FILES])


def _kinds(_: Asked) -> Iterator[Offer]:
    return phrases.definitions([], "")


def _libraries(_: Asked) -> Iterator[Offer]:
    from rheostat.converters.registry import NAMES

    return (Offer(name, ", ".join(others)) for name, others in NAMES.items())


def _schedulers(asked: Asked) -> Iterator[Offer]:
    from rheostat.converters.registry import find

    found = find(asked.place.said("library") or "")
    items = [] if found is None else found.items
    return (Offer(name, item.becomes) for item in items for name in item.names[:1])


OFFERS: dict[str, Offering] = {
    "ACT": _acts,
    "ACTION": _actions,
    "EVENT": lambda _asked: map(Offer, get_args(wire.HookEvent)),
    "RUN": _runs,
    "KEY=VALUE": _labels,
    "FILE": _files,
    "KIND": _kinds,
    "DEFINITION": _definitions,
    "PARAMETER DEFINITION": _new_parameters,
    "PARAMETER CHANGE": _changes,
    "STEP [PARAMETER CHANGE]": _after_a_step,
    "KIND FIELDS": _controller,
    "REVISION": _revisions,
    "run cancel REVISION": _pending,
    "GENERATION": _generations,
    "TAG": _tags,
    "METRIC": _metrics,
    "WORD": _signals,
    "run signal NAME=VALUE": _signal_arguments,
    "NUMBER": _proposals,
    "LIBRARY": _libraries,
    "convert NAME": _schedulers,
    "run propose WHAT": _proposed,
    "run wait NUMBER": _awaited,
    **{
        f"run {name} NAME": _controllers for name in ("disarm", "reset", "controllers", "decisions")
    },
    **{f"schedule {name} NAME": _schedules for name in ("show", "put", "delete", "plot", "values")},
}
"""By what the help calls it; where that says too little, behind the name of its command."""
