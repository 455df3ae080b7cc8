"""
Revisions and events, drawn for people: who did what, when and why, and what became of it.

There is a function for what the service answers to each change, for the history, and for the events
of a run that somebody watches.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING

from rheostat.cli.views import text
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
    "declined": "dim",
}
"""How the kinds of events are coloured; others are bold."""
IN_FORCE = frozenset({"create", "change", "rewind", "fork", "total"})
"""Kinds of revisions that put something in force, which a signal does not."""
GONE = ("cancelled", "dropped")
"""How the state of a revision begins that is not in force and will not be."""


def history(
    screen: Screen, items: Iterable[wire.Revision], *, run: wire.RunState, origin: str | None
) -> None:
    """
    Draw the whole history of a run, the oldest revision first.

    ``origin`` is the name of the run that it was forked from.
    """
    ordered = sorted(items, key=lambda item: item["revision"])
    fates = _Fates(run, ordered)
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
            changes(item["changes"], item["total"]) + (", forced" if item["forced"] else ""),
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


def fork(run: wire.RunState, origin: str) -> str:
    """Write where a run was forked from another one."""
    first = run["generations"][0]
    step, generation = text.count(first["from"]), first["parent"]
    return f"{origin} ({first['parent_run']}) at step {step} of generation {generation}"


def rewound(screen: Screen, answer: wire.Rewound) -> None:
    """Say where a run goes on, and what was left behind."""
    start = f"step {text.count(answer['from'])} of generation {answer['parent']}"
    screen.line(
        f"Generation {answer['generation']} goes on from {start}. The generation that was left "
        f"is settled until step {text.count(answer['ended'])}, and its workers are fenced off."
    )


def forked(screen: Screen, item: wire.RunState) -> None:
    """Say that a run exists that has another one's past."""
    step = text.count(item["settled_until"])
    screen.line(f"Run {item['name']} is ready, id {item['id']}: it goes on from step {step}.")


def changed(screen: Screen, answer: wire.Revised) -> None:
    """Say where a change takes effect."""
    step = text.count(answer["effective"])
    screen.line(f"Revision {answer['revision']} takes effect at step {step} on every worker.")
    _others_pending(screen, answer["revision"], answer["pending"])


def advanced(screen: Screen, answer: wire.Advanced) -> None:
    """Say up to where a run is settled now."""
    step = text.count(answer["settled_until"])
    screen.line(
        f"Revision {answer['revision']}: settled until step {step}, where workers may begin."
    )


def extended(screen: Screen, answer: wire.TotalRevised) -> None:
    """Say how long a run is from where on."""
    total, step = text.count(answer["total"]), text.count(answer["effective"])
    screen.line(
        f"Revision {answer['revision']}: the total is {total} steps, laid out from step {step} on."
    )
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
        case "outcome":
            return text.count(item["step"])
        case "proposed" | "settled-proposal":
            return ""
        case "decided":
            return text.count(item["step"])
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
    match item["kind"]:
        case "revised" | "extended":
            return f"revision {item['revision']}{by}: {_change(item)}{forced}"
        case "cancelled":
            return f"revision {item['cancelled']} is taken back{by}"
        case "rewound":
            change = f": {_change(item)}{forced}" if item["changes"] != {} else ""
            back = f"back from {text.count(item['ended'])} into generation {item['parent']}"
            return f"generation {item['generation']}{by}, {back}{change}"
    return by.strip()


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
    typed = changes(item["changes"], item["total"])
    row = (
        str(item["revision"]),
        str(item["generation"]),
        text.count(item["effective"]),
        state,
        item["author"] or "",
        text.when(item["created_at"]),
        ": ".join(filter(None, (_deed(item, run, origin), typed))),
        item["message"] or "",
    )
    style = "dim" if state.startswith(GONE) else ""
    return tuple((cell, style) for cell in row)


def _deed(item: wire.Revision, run: wire.RunState, origin: str | None) -> str:
    """Write what a revision did besides changing parameters."""
    match item["kind"]:
        case "change" | "total":
            return ""
        case "cancel":
            return f"cancel revision {item['cancels']}"
        case "rewind":
            number = item["generation"]
            (made,) = (each for each in run["generations"] if each["generation"] == number)
            return f"rewind from generation {made['parent']} into generation {number}"
        case "advance":
            return f"advance to step {text.count(item['effective'])}"
        case "fork" if origin is not None:
            return f"fork of {fork(run, origin)}"
    return str(item["kind"])


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
        self._cancelled = {
            number: item["revision"] for item in items for number in _taken_back(item)
        }

    def of(self, item: wire.Revision) -> str:
        """Write what became of a revision; nothing of one that is done once it is written."""
        kind, state = item["kind"], item["state"]
        if kind in {"cancel", "finish", "advance", "control", "note"}:
            return ""
        if state == "cancelled":
            by = self._cancelled.get(item["revision"])
            return "cancelled" + (f" by revision {by}" if by else "")
        if item["left_by"] is not None:
            rewind = f"by the rewind to generation {item['left_by']}"
            return f"kept {rewind}" if kind == "total" else f"dropped{self._when(item)} {rewind}"
        return "in force" if state == "settled" and kind in IN_FORCE else state

    def _when(self, item: wire.Revision) -> str:
        waited = item["effective"] >= self._settled[item["generation"]]
        return " while pending" if waited and item["kind"] not in {"rewind", "fork"} else ""


def _taken_back(item: wire.Revision) -> Iterator[int]:
    """Yield the revisions that one took back: one, all pauses of a run, or all stops at its end."""
    if item["cancels"] is not None:
        yield item["cancels"]
    data = item["data"] or {}
    yield from (*data.get("pauses", ()), *data.get("cancelled", ()))
