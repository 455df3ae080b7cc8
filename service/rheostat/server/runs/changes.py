"""
Changes: what a revision does to each parameter, read from requests.

A change is an edit (``{"edit": "scale", "factor": 0.5}``) or a definition that replaces what was
in force, with the clock that it counts by; a number is a constant. A parameter may have a list of
them, applied one after the other. ``lr/*`` in place of a name means ``lr`` and all of its groups,
and is read as the names of these. Their JSON, which is stored and shown, is that of the validated
form, with every length resolved, and beside it the words of lengths that depend on the run.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Final, NamedTuple, cast, get_args

from rheostat import suggestions
from rheostat.errors import FieldError, Invalid
from rheostat.limits import MAX_CHANGES, MAX_EXPANDED, meant
from rheostat.schedules import Definition
from rheostat.schedules.field_errors import shown
from rheostat.schedules.parse import whole
from rheostat.schedules.written import Written
from rheostat.server.runs.edits import (
    CLOCK,
    EDIT,
    LENGTHS,
    CountsFrom,
    Edit,
    ScaleEdit,
    Target,
)
from rheostat.server.runs.fragments import Verbatim, dumps
from rheostat.server.runs.timeline import Timeline
from rheostat.server.runs.validation import (
    Units,
    require_at_most,
    require_few_texts,
    validate,
)


@dataclass(frozen=True)
class Replacement:
    """A definition in place of what was in force, counted from step 0 or from the change."""

    written: Written
    clock: CountsFrom

    def laid_out(self, total: int, field: str) -> Replacement:
        """Return it with the words of the definition laid out for a total."""
        return replace(self, written=self.written.laid_out(total, field))

    def apply(self, _timeline: Timeline, target: Target) -> Timeline:
        """Return the definition as the only piece."""
        origin = target.step if self.clock == "change" else 0
        return Timeline((target.piece(*self.written, origin=origin),))

    def to_json(self) -> dict[str, Any]:
        """Return the wire form."""
        return {**self.written.to_json(), "clock": self.clock}


Change = Edit | Replacement


class Together(NamedTuple):
    """What one word of a request meant, if that is more than one parameter: ``lr/*``."""

    word: str
    names: Sequence[str]


class Changes(Mapping[str, tuple[Change, ...]]):
    """
    The changes of each parameter that a revision changes, by its name.

    ``document`` is their JSON, which is made of them unless it is given: what is laid out for
    another total is shown as it was made. ``together`` are the parameters that one word meant.
    """

    def __init__(
        self,
        changes: Mapping[str, tuple[Change, ...]],
        document: Verbatim | None = None,
        together: Sequence[Together] = (),
    ) -> None:
        self._changes = changes
        self._together = together
        if document is not None:
            self.document = document

    def __getitem__(self, name: str) -> tuple[Change, ...]:
        return self._changes[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._changes)

    def __len__(self) -> int:
        return len(self._changes)

    @cached_property
    def document(self) -> Verbatim:
        """The JSON that is stored and shown: a list of changes for each parameter."""
        found = {name: [_to_json(change) for change in each] for name, each in self.items()}
        return Verbatim(dumps(found).decode())

    def require_apart(self, sources: Callable[[str], set[str]]) -> None:
        """
        Raise `Invalid` if a word scales a parameter and what this follows, which has it twice.

        Whoever names both means it.
        """
        for word, names in self._together:
            scales = any(isinstance(change, ScaleEdit) for change in self[names[0]])
            if scales and (pair := followed(names, sources)) is not None:
                name, other = pair
                message = f"{name} follows {other}, so that it would be scaled twice"
                raise _refuse(f"changes.{word}", message, name, f"{name} or {other}")

    def laid_out(self, total: int | None) -> Changes:
        """
        Return the changes with the words of their definitions laid out for a total, if any.

        Raises:
            Invalid: Some of them cannot be laid out for it.

        """
        if total is None:
            return self
        laid = {name: _laid_out(each, total, name) for name, each in self.items()}
        return self if laid == dict(self) else Changes(laid, self.document)


NO_CHANGES: Final = Changes({})


def parse_changes(data: Any, parameters: Collection[str], units: Units) -> Changes:
    """
    Return the changes of a request's ``changes`` field.

    Raises:
        Invalid: Names the field: an unknown parameter, a definition without a clock, a wrong value.

    """
    if not isinstance(data, Mapping) or not data:
        raise _refuse("changes", "must name at least one parameter", shown(data), "≥ 1 parameters")
    require_few_texts("changes", data)
    words = {word: meant(word, parameters) for word in sorted(data)}
    _require_known(words, parameters)
    _require_once(words)
    found: dict[str, tuple[Change, ...]] = {}
    for word, names in words.items():
        changes = _parse_list(data[word], f"changes.{word}", units)
        if len(names) > 1:
            _require_short(changes, names, f"changes.{word}")
        found |= dict.fromkeys(names, changes)
    together = [Together(word, names) for word, names in words.items() if len(names) > 1]
    return Changes(dict(sorted(found.items())), together=together)


def followed(names: Sequence[str], sources: Callable[[str], set[str]]) -> tuple[str, str] | None:
    """Return one of these parameters that follows another one, and that; None if none does."""
    pairs = ((name, other) for name in names for other in sorted(sources(name) - {name}))
    return next((pair for pair in pairs if pair[1] in names), None)


def _require_known(words: Mapping[str, Sequence[str]], parameters: Collection[str]) -> None:
    unknown = next((word for word, names in words.items() if not names), None)
    if unknown is not None:
        message = (
            f"the run has no parameter {unknown!r}{suggestions.did_you_mean(unknown, parameters)}"
        )
        raise _refuse(f"changes.{unknown}", message, None, f"one of {', '.join(parameters)}")


def _require_once(words: Mapping[str, Sequence[str]]) -> None:
    """Refuse a parameter that is named beside a word that means it, too."""
    for word, names in words.items():
        twice = next((name for name in names if name != word and name in words), None)
        if twice is not None:
            message = f"is one of {word}, which is changed too: say once what it gets"
            raise _refuse(f"changes.{twice}", message, twice, f"{word}, or names alone")


def _require_short(changes: tuple[Change, ...], names: Sequence[str], field: str) -> None:
    size = len(dumps([_to_json(change) for change in changes])) * len(names)
    what = f"characters of JSON for its {len(names)} parameters"
    require_at_most(MAX_EXPANDED, field, size, what)


def _parse_list(data: Any, field: str, units: Units) -> tuple[Change, ...]:
    if not isinstance(data, list):
        return (_parse(data, field, units),)
    if not 1 <= len(data) <= MAX_CHANGES:
        bound = f"1 to {MAX_CHANGES} changes"
        raise _refuse(field, f"must hold {bound}", shown(data), bound)
    return tuple(_parse(item, f"{field}[{index}]", units) for index, item in enumerate(data))


def _parse(data: Any, field: str, units: Units) -> Change:
    data = whole(data)
    if not isinstance(data, Mapping) or ("edit" in data) == ("kind" in data):
        bound = 'a number, or an object with either "edit" or "kind"'
        raise _refuse(field, f"must be {bound}", shown(data), bound)
    if "edit" in data:
        return validate(EDIT, _resolved(data, field, units), field)
    rest = {key: value for key, value in data.items() if key != "clock"}
    written = units.write(rest, field)
    return Replacement(written, _clock(data, written.definition, field))


def _resolved(data: Mapping[str, Any], field: str, units: Units) -> Mapping[str, Any]:
    """Return an edit with its lengths, and the definition inside it, read in the run's units."""
    read = {"definition": units.write, **dict.fromkeys(LENGTHS, units.steps)}
    return {
        key: read[key](value, f"{field}.{key}") if key in read else value
        for key, value in data.items()
    }


def _clock(data: Mapping[str, Any], definition: Definition, field: str) -> CountsFrom:
    clock = data.get("clock", "run" if definition.length == 0 else None)
    if clock in get_args(CountsFrom):
        return cast("CountsFrom", clock)
    message = f"must say what the definition counts from: {CLOCK}"
    raise _refuse(f"{field}.clock", message, clock, CLOCK)


def _to_json(change: Change) -> dict[str, Any]:
    return change.to_json() if isinstance(change, Replacement) else change.model_dump(mode="json")


def _laid_out(changes: tuple[Change, ...], total: int, parameter: str) -> tuple[Change, ...]:
    each = enumerate(changes)
    return tuple(change.laid_out(total, f"changes.{parameter}[{at}]") for at, change in each)


def _refuse(field: str, message: str, value: Any, bound: str) -> Invalid:
    return Invalid("The change is refused.", errors=[FieldError(field, message, value, bound)])
