"""
Revisions and events, drawn for people: who did what, when and why, and what became of it.

There is a function for what the service answers to each change, for the history, and for the events
of a run that somebody watches.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from rheostat.cli.views import controllers, text
from rheostat.cli.views.arrival import arrives
from rheostat.cli.views.chart import Series, VerticalLine
from rheostat.cli.views.screen import Cell, Screen, left, right, wide

if TYPE_CHECKING:
    from rheostat import wire
    from rheostat.client.lineage import Undone

    Changes = Mapping[str, wire.Definition | list[wire.Change]]
    RevisionEvent = (
        wire.AdvancedEvent
        | wire.RevisedEvent
        | wire.CancelledEvent
        | wire.RewoundEvent
        | wire.ExtendedEvent
        | wire.FinishedEvent
        | wire.StoppedEvent
        | wire.PausedEvent
        | wire.ResumedEvent
        | wire.SignalledEvent
        | wire.ArmedEvent
        | wire.NotedEvent
    )

STYLES = {
    "settled": "dim",
    "revised": "cyan",
    "cancelled": "yellow",
    "rewound": "magenta",
    "extended": "cyan",
    "stopped": "red",
    "paused": "yellow",
    "resumed": "green",
    "signalled": "blue",
    "declined": "dim",
}
"""How the kinds of events are coloured; others are bold."""
IN_FORCE = frozenset({"create", "change", "rewind", "fork", "total"})
"""Kinds of revisions that put something in force, which a signal does not."""
REACHED = {"reached": "reached by all", "proven": "proven by all"}
"""How far all workers have come with what is in force."""
NOWHERE = frozenset({"cancel", "finish", "advance", "control", "note"})
"""Kinds of revisions that are done once they are written: nobody has to come to them."""
GONE = ("cancelled", "dropped")
"""How the state of a revision begins that is not in force and will not be."""


def history(
    screen: Screen,
    items: Iterable[wire.Revision],
    known: Sequence[wire.Revision],
    *,
    run: wire.RunState,
    origin: str | None,
) -> None:
    """
    Draw the history of a run, or a part of it, the oldest revision first.

    ``known`` are all of its revisions. ``origin`` is the name of the run that it was forked from.
    """
    ordered = sorted(items, key=lambda item: item["revision"])
    fates = _Fates(run, known)
    columns = [
        right("REV"),
        right("GEN"),
        right("STEP"),
        wide("STATE"),
        left("BY"),
        left("WHEN"),
        wide("CHANGE"),
        wide("MESSAGE"),
    ]
    screen.table(columns, (_row(item, run, origin, fates.of(item)) for item in ordered))


def pending(screen: Screen, items: Iterable[wire.Revision]) -> None:
    """Draw revisions that have yet to take effect, the oldest first."""
    columns = [
        right("REV"),
        right("STEP"),
        left("BY"),
        left("WHEN"),
        wide("CHANGE"),
        wide("MESSAGE"),
    ]
    ordered = sorted(items, key=lambda item: item["revision"])
    rows = (
        (
            str(item["revision"]),
            text.count(item["effective"]),
            item["author"] or "",
            text.when(item["created_at"]),
            _typed(item) + (", forced" if item["forced"] else ""),
            item["message"] or "",
        )
        for item in ordered
    )
    screen.table(columns, rows)


def changes(by_parameter: Changes, total: int | None = None) -> str:
    """Write what a revision changes, as one would type it."""
    if total is not None:
        return f"total {text.count(total)}"
    return ", ".join(f"{name} {text.change(change)}" for name, change in by_parameter.items())


def _typed(item: wire.Revision) -> str:
    """Write what a revision does, in short."""
    said = changes(item["changes"], item["total"])
    return said or " ".join(filter(None, [str(item["kind"]), data(item["data"])]))


def done(screen: Screen, run: wire.RunState, items: Sequence[wire.Revision]) -> None:
    """Draw what was done to a run last, the newest first, in short; with the words of a history."""
    fates = _Fates(run, items)
    columns = [
        *(right("REV"), right("STEP"), wide("STATE"), left("BY"), left("WHEN")),
        *(wide("WHAT"), wide("WHY")),
    ]
    rows = (
        (
            str(item["revision"]),
            text.count(item["effective"]),
            fates.of(item),
            item["author"] or "",
            text.when(item["created_at"]),
            text.cut(_written(item, run, None)),
            text.cut(item["message"] or ""),
        )
        for item in reversed(items)
    )
    screen.table(columns, rows)


def fork(run: wire.RunState, origin: str) -> str:
    """Write where a run was forked from another one."""
    first = run["generations"][0]
    step, generation = text.count(first["from"]), first["parent"]
    return f"{origin} ({first['parent_run']}) at step {step} of generation {generation}"


def changed(screen: Screen, answer: wire.Revised) -> None:
    """Say where a change takes effect."""
    step = text.count(answer["effective"])
    screen.line(f"Revision {answer['revision']} takes effect at step {step} on every worker.")
    arrives(screen, answer)
    _others_pending(screen, answer["revision"], answer["pending"])


def advanced(screen: Screen, answer: wire.Advanced) -> None:
    """Say up to where a run is settled now."""
    step = text.count(answer["settled_until"])
    screen.line(
        f"Revision {answer['revision']}: settled until step {step}, where workers may begin."
    )
    arrives(screen, answer, "is there")


def extended(screen: Screen, answer: wire.TotalRevised) -> None:
    """Say how long a run is from where on."""
    total, step = text.count(answer["total"]), text.count(answer["effective"])
    screen.line(
        f"Revision {answer['revision']}: the total is {total} steps, laid out from step {step} on."
    )
    arrives(screen, answer)
    _others_pending(screen, answer["revision"], answer["pending"])


def cancelled(screen: Screen, answer: wire.Cancelled) -> None:
    """Say what was cancelled."""
    screen.line(f"Revision {answer['cancelled']} is cancelled.")
    _others_pending(screen, answer["revision"], answer["pending"])


def undone(screen: Screen, answer: Undone) -> None:
    """Say how a change was undone."""
    if "cancelled" in answer:
        screen.line(f"Revision {answer['undone']} was pending and is cancelled.")
    else:
        step = text.count(answer["effective"])
        screen.line(
            f"Revision {answer['undone']} is undone by revision {answer['revision']}, "
            f"which takes effect at step {step} on every worker."
        )
        arrives(screen, answer)
    _others_pending(screen, answer["revision"], answer["pending"])


def _others_pending(screen: Screen, revision: int, items: Iterable[wire.Revision]) -> None:
    others = [item for item in items if item["revision"] != revision]
    if others:
        screen.line("Also pending:")
        pending(screen, others)


def dry_run(screen: Screen, answer: wire.Rehearsal) -> None:
    """Draw what a change would do to each parameter."""
    for name, before in sorted(answer["before"].items()):
        steps = answer["steps"]
        curves = [Series("before", steps, before), Series("after", steps, answer["after"][name])]
        screen.line((name, "bold"))
        screen.chart(curves, height=10, marks=[VerticalLine(answer["effective"], "change")])
        screen.line()
    step = text.count(answer["effective"])
    screen.line(f"It would take effect at step {step}, if sent now. Nothing has been changed.")
    arrives(screen, answer, "would have it")


def finished(screen: Screen, item: wire.RunState) -> None:
    """Say where a run ended."""
    end = text.count(item["end"] or 0)
    screen.line(
        f"Run {item['name']} is finished: it ended at step {end}, the first without a value."
    )


def event(screen: Screen, item: wire.Event) -> None:
    """Draw an event as one line."""
    moment = datetime.fromisoformat(str(item["created_at"]))
    kind: str = item["state"] if item["kind"] == "settled-proposal" else item["kind"]
    screen.line(
        (f"{moment:%Y-%m-%d %H:%M:%S} UTC", "dim"),
        (f"  {kind:<9}", STYLES.get(kind, "bold")),
        f" {_where(item):>12}  {_told(item)}".rstrip(),
    )


def _where(item: wire.Event) -> str:
    """Write the step that an event is about, if it is about one."""
    match item["kind"]:
        case "settled" | "begun":
            return text.count(item["settled_until"])
        case "outcome" | "decided" | "mismatch":
            return text.count(item["step"])
        case "proposed" | "settled-proposal":
            return ""
    return text.count(item["effective"])


def _told(item: wire.Event) -> str:
    """Write what happened, by whom and why, on one line."""
    if item["kind"] == "settled":
        return f"generation {item['generation']}" if item["generation"] > 1 else ""
    if item["kind"] == "decided":
        why = " ".join(item["message"].split())
        found = f"{item['controller']}, at step {text.count(item['step'])}: {item['decision']}"
        return f"{found} – {why}" if why else found
    if item["kind"] == "outcome":
        why = f" – {' '.join(item['error'].split())}" if item["error"] else ""
        return f"revision {item['revision']} is {item['outcome']} at {item['source']}{why}"
    if item["kind"] == "mismatch":
        values = f"{item['found']} in place of {item['expected']}"
        return f"worker {item['worker']} applied {item['parameter']} = {values}"
    by = f" by {item['author']}" if item["author"] else ""
    if item["kind"] == "begun":
        return by.strip()
    why = " ".join(item["message"].split())
    if item["kind"] == "proposed" or item["kind"] == "settled-proposal":
        what = _proposal(item, by)
    else:
        what = _what(item, by)
    return what + (f" – {why}" if why else "")


def _proposal(item: wire.ProposedEvent | wire.SettledProposalEvent, by: str) -> str:
    if item["kind"] == "proposed":
        return f"proposal {item['proposal']}{by}: {item['proposes']}"
    made = f", revision {item['revision']}" if item["revision"] else ""
    return f"proposal {item['proposal']}{by}{made}"


def _what(item: RevisionEvent, by: str) -> str:
    forced = ", forced" if item["forced"] else ""
    number = f"revision {item['revision']}{by}"
    match item["kind"]:
        case "revised" | "extended":
            return f"{number}: {_change(item)}{forced}"
        case "cancelled":
            return f"revision {item['cancelled']} is taken back{by}"
        case "rewound":
            change = f": {_change(item)}{forced}" if item["changes"] != {} else ""
            back = f"back from {text.count(item['ended'])} into generation {item['parent']}"
            return f"generation {item['generation']}{by}, {back}{change}"
        case "stopped" | "paused" | "signalled" | "armed" | "noted" | "resumed":
            said = data(item["data"])
            return f"{number}: {said}" if said else number
    return by.strip()


def data(found: Mapping[str, Any] | None) -> str:
    """Write what a revision says that changes no value: a signal, a controller, a note."""
    if not found:
        return ""
    match found:
        case {"signal": _}:
            return text.signal(found)
        case {"pauses": pauses}:
            return f"lifts {', '.join(f'revision {number}' for number in pauses)}"
        case {"armed": name, "config": config}:
            return f"arm {name}: {controllers.told(config, short=True)}"
        case {"level": level}:
            return "" if level == "note" else str(level)
    return ", ".join(
        f"{name.removesuffix('ed')} {value if isinstance(value, str) else text.brief(value)}"
        for name, value in found.items()
        if value is not None
    )


def _change(item: RevisionEvent) -> str:
    if item["changes"] is None:
        return "a long change"
    return changes(item["changes"], item["total"] if item["kind"] == "extended" else None)


def bounds(guard: wire.GuardBounds) -> list[tuple[str, float]]:
    """Return the bounds that a guard has."""
    all_bounds = [("min", guard["min"]), ("max", guard["max"]), ("max_ratio", guard["max_ratio"])]
    return [(name, value) for name, value in all_bounds if value is not None]


def _row(
    item: wire.Revision, run: wire.RunState, origin: str | None, state: str
) -> tuple[Cell, ...]:
    if item["forced"]:
        state += f", forced past {' or '.join(_guards(item, run['guards'] or {}))}"
    row = (
        str(item["revision"]),
        str(item["generation"]),
        text.count(item["effective"]),
        state,
        item["author"] or "",
        text.when(item["created_at"]),
        _written(item, run, origin),
        item["message"] or "",
    )
    style = "dim" if state.startswith(GONE) else ""
    return tuple((cell, style) for cell in row)


def _written(item: wire.Revision, run: wire.RunState, origin: str | None) -> str:
    """Write all that a revision does."""
    typed = changes(item["changes"], item["total"])
    return ": ".join(filter(None, (_deed(item, run, origin), typed))) + cause(item["cause"])


def cause(found: Mapping[str, Any] | None) -> str:
    """Write what made a controller decide, and who said yes to a proposal."""
    if not found:
        return ""
    told = []
    if "controller" in found and "step" in found:
        told.append(f"on the report of step {text.count(found['step'])}")
    if "proposal" in found:
        by = f" by {found['decided_by']}" if found.get("decided_by") else ""
        told.append(f"proposal {found['proposal']} accepted{by}")
    if found.get("late_by"):
        told.append(f"{text.count(found['late_by'])} steps late")
    return f" ({', '.join(told)})" if told else ""


def _deed(item: wire.Revision, run: wire.RunState, origin: str | None) -> str:
    """Write what a revision did besides changing parameters."""
    match item["kind"]:
        case "change" | "total":
            return ""
        case "cancel":
            lifts = (item["data"] or {}).get("pauses")
            return (
                f"resume: {data(item['data'])}" if lifts else f"cancel revision {item['cancels']}"
            )
        case "rewind":
            number = item["generation"]
            (made,) = (each for each in run["generations"] if each["generation"] == number)
            return f"rewind from generation {made['parent']} into generation {number}"
        case "advance":
            return f"advance to step {text.count(item['effective'])}"
        case "fork" if origin is not None:
            return f"fork of {fork(run, origin)}"
    said = data(item["data"])
    if item["kind"] == "control" and said:
        return said
    return f"{item['kind']} {said}" if said else str(item["kind"])


def _guards(item: wire.Revision, guards: Mapping[str, wire.GuardBounds]) -> Iterator[str]:
    """
    Yield the guards that a revision may have broken; the service does not keep which.

    They are those of what it changes, or all of them if only parameters that follow it have any.
    """
    changed = {name: guard for name, guard in guards.items() if name in item["changes"]}
    for name, guard in (changed or guards).items():
        for bound, value in bounds(guard):
            yield f"{name}.{bound}={text.short(value)}"


class _Fates:
    """What became of each revision of a run, in the words of a history."""

    def __init__(self, run: wire.RunState, items: Iterable[wire.Revision]) -> None:
        self._settled = {each["generation"]: each["settled_until"] for each in run["generations"]}
        self._current = self._settled[run["generation"]]
        self._stops = {stop["revision"]: stop for stop in run["stops"]}
        self._cancelled = {
            number: item["revision"] for item in items for number in _taken_back(item)
        }

    def of(self, item: wire.Revision) -> str:
        """Write what became of a revision; nothing of one that is done once it is written."""
        kind, state = item["kind"], item["state"]
        if kind in NOWHERE:
            return ""
        if state == "cancelled":
            by = self._cancelled.get(item["revision"])
            return "cancelled" + (f" by revision {by}" if by else "")
        if stop := self._stops.get(item["revision"]):
            return self._of_stop(stop) + (", reached by all" if state == "reached" else "")
        if item["left_by"] is not None:
            return f"{self._left(item)} by the rewind to generation {item['left_by']}"
        if state == "settled":
            return "in force" if kind in IN_FORCE else "told" if kind == "signal" else ""
        return REACHED.get(state, state)

    def _of_stop(self, stop: wire.Stop) -> str:
        if stop["effective"] > self._current:
            return "pending"
        return "holds" if stop["hold"] else "stopped" if stop["told"] else "next"

    def _left(self, item: wire.Revision) -> str:
        """Write how a rewind left a revision behind."""
        kind, settled = item["kind"], self._settled[item["generation"]]
        if kind == "total":
            return "kept"
        if kind in {"stop", "pause"} and item["effective"] <= settled:
            return "lifted"
        waited = item["effective"] >= settled and kind not in {"rewind", "fork"}
        return "dropped while pending" if waited else "dropped"


def _taken_back(item: wire.Revision) -> Iterator[int]:
    """Yield the revisions that one took back: one, all pauses of a run, or all stops at its end."""
    if item["cancels"] is not None:
        yield item["cancels"]
    said = item["data"] or {}
    yield from (*said.get("pauses", ()), *said.get("cancelled", ()))
