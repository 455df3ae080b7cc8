"""A run in short, what became of waiting for it, and what tokens with a limit have left."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rheostat.cli.views import text
from rheostat.cli.views.screen import Cell, Screen, left, right, wide

if TYPE_CHECKING:
    from rheostat import wire


def brief(screen: Screen, found: wire.Brief) -> None:
    """Draw a run in short."""
    settled, end = text.count(found["settled_until"]), found["end"] or found["total"]
    of = "" if end is None else f" of {text.count(end)}"
    newest, metric = found["newest"], found["metric"]
    screen.pairs(
        ("run", f"{found['name']}, revision {found['revision']}"),
        *([("about", found["about"])] if found["about"] else []),
        ("state", f"{found['state']}, generation {found['generation']}"),
        ("settled", f"{found['axis']} {settled}{of}"),
        ("workers", found["workers"]),
        *([("goal", _goal(found["goal"]))] if found["goal"] else []),
        *([(metric, _value(newest))] if metric else []),
        ("you may", _may(found)),
        *([("proposals", f"{found['proposals']} open")] if found["proposals"] else []),
        *(("look at", (each, "yellow")) for each in found["attention"]),
    )
    screen.line()
    steps = [right(text.compact(step)) for step in found["ahead"]]
    columns = [left("PARAMETER"), right("NOW"), *steps, wide("WHAT IT IS")]
    screen.table(columns, map(_parameter, found["parameters"]))
    if found["more_parameters"]:
        screen.line(f"and {text.count(found['more_parameters'])} more")
    if found["changes"]:
        screen.line()
        _changes(screen, found)


def _goal(goal: wire.RunGoal) -> str:
    target = goal.get("target")
    near = "" if target is None else f", to {text.short(target)}"
    return f"{goal['metric']} {goal.get('direction', 'min')}{near}"


def _may(found: wire.Brief) -> str:
    use = found["allowance"]
    words = ", ".join(found["may"]) or "look at it"
    return words if use is None else f"{words}; {_left(use)}"


def _left(use: wire.Allowance) -> str:
    """Write what a limit leaves."""
    told = [] if use["left"] is None else [f"{use['left']} more"]
    told += [] if use["again_at"] is None else [f"the next at {use['again_at'][:19]}Z"]
    told += [] if use["from_step"] is None else [f"from step {text.count(use['from_step'])}"]
    return ", ".join(told) or "any number of changes"


def _parameter(found: wire.BriefParameter) -> tuple[Cell, ...]:
    ahead = (text.short(value, 4) for value in found["ahead"])
    return (found["name"], text.short(found["value"]), *ahead, found["text"])


def _changes(screen: Screen, found: wire.Brief) -> None:
    columns = [
        *(right("REVISION"), left("KIND"), right("STEP"), left("STATE"), left("BY")),
        *(right("BEFORE"), right("AFTER"), wide("CHANGES"), wide("MESSAGE")),
    ]
    screen.table(columns, map(_change, found["changes"]))


def _change(found: wire.BriefChange) -> tuple[Cell, ...]:
    changes = (f"{name} {text.change(each)}" for name, each in (found["changes"] or {}).items())
    return (
        str(found["revision"]),
        found["kind"],
        text.count(found["effective"]),
        found["state"],
        found["author"] or "",
        _value(found["before"]),
        _value(found["after"]),
        ", ".join(changes),
        found["message"],
    )


def _value(value: wire.MetricValue | None) -> str:
    if value is None:
        return "–"
    return value if isinstance(value, str) else text.short(value, 4)


def waited(screen: Screen, found: wire.WaitedFor) -> None:
    """Say what became of waiting."""
    if found["held"]:
        screen.line(f"It has come: {found['detail']}.")
    elif found["over"]:
        screen.line(f"It will not come: {found['detail']}, and the run is {found['state']}.")
    else:
        screen.line(f"It has not come in time: {found['detail']}.")


def allowances(screen: Screen, items: Sequence[wire.Allowance]) -> None:
    """Draw what tokens with a limit did, and have left."""
    if not items:
        screen.line("No token with a limit knows of this run.")
        return
    columns = [
        *(left("TOKEN"), right("MADE"), wide("LEFT"), right("REFUSED"), wide("LIMIT")),
        wide("LAST REFUSAL"),
    ]
    rows = (
        (
            item["token"],
            text.count(item["made"]),
            _left(item),
            text.count(item["refused"]),
            item["limit"],
            _refusal(item),
        )
        for item in items
    )
    screen.table(columns, rows)


def _refusal(item: wire.Allowance) -> str:
    if item["refused_at"] is None:
        return ""
    return f"{text.when(item['refused_at'])}: {item['refusal'] or ''}"
