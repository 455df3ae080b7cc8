"""Runs and their plans, drawn for people."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from rheostat.cli.views import protection, revisions, text, workers
from rheostat.cli.views.chart import Series, VerticalLine
from rheostat.cli.views.screen import Cell, Screen, left, right, wide

if TYPE_CHECKING:
    from rheostat import wire

LISTED = 20
"""The most revisions that are listed below a plan."""


STYLES = {
    "live": "green",
    "paused": "yellow",
    "stuck": "bold red",
    "ended": "dim",
    "stopped": "red",
    "finished": "dim",
}
"""How the states of runs are coloured."""


def runs(
    screen: Screen, items: Sequence[wire.RunSummary], *, most: int = 100, chosen: bool = False
) -> None:
    """Draw a list of runs, ``most`` at most; ``chosen`` says that some were left out of it."""
    if not items:
        none = "No runs. Make one:  rheostat run create NAME lr=0.1"
        screen.line("No such run." if chosen else none)
        return
    columns = [
        left("NAME"),
        left("STATE"),
        right("STEP"),
        left("WORKERS"),
        right("REVISION"),
        left("CREATED"),
        wide("LABELS"),
    ]
    rows = (
        (
            item["name"],
            (item["state"], STYLES.get(item["state"], "")),
            progress(item),
            workers.cell(item["workers"]),
            str(item["revision"]),
            text.when(item["created_at"]),
            _labels(item["labels"]),
        )
        for item in items[:most]
    )
    screen.table(columns, rows)
    if len(items) > most:
        more = f"… and more: --limit {2 * most}, or choose by PREFIX, --state and --label."
        screen.line((more, "dim"))


def progress(item: wire.RunSummary) -> str:
    """Write how far a run is given out, of how much: never past its end."""
    step, end = item["settled_until"], item["total"] if item["end"] is None else item["end"]
    return text.count(step) if end is None else f"{text.count(min(step, end))} of {text.count(end)}"


def run(screen: Screen, item: wire.RunState, *, origin: str | None) -> None:
    """Draw everything about one run; ``origin`` is the name of the run that it was forked from."""
    screen.pairs(
        ("run", item["name"]),
        ("id", item["id"]),
        ("state", state(item) + _end(item)),
        *([] if origin is None else [("forked from", revisions.fork(item, origin))]),
        ("settled", f"until {item['axis']} {progress(item)}"),
        *(stop(item, each) for each in item["stops"]),
        ("revision", str(item["revision"])),
        ("generation", str(item["generation"]) + _branch(item)),
        *_workers(item),
        ("created", text.when(item["created_at"])),
        *_details(item),
        *_open(item),
    )
    screen.line()
    columns = [left("PARAMETER"), left("VALUE"), wide("DEFINITION")]
    values, definitions = item["current"], item["parameters"]
    screen.table(
        columns,
        (
            (name, _number(values.get(name)), text.formula(definitions[name]))
            for name in sorted(definitions)
        ),
    )
    if item["pending"]:
        screen.line()
        screen.line(("Pending", "bold"))
        revisions.pending(screen, item["pending"])


def stop(item: wire.RunSummary, found: wire.Stop) -> tuple[str, Cell]:
    """Write what a run ends or holds by: where, by which revision, and how that is lifted."""
    step, to_go = found["effective"], found["effective"] - item["settled_until"]
    where = f"at {item['axis']} {text.count(step)}"
    where += f", {text.count(to_go)} to go" if to_go > 0 else ""
    by_resume = found["told"] or (found["hold"] and to_go <= 0)
    lift = f"resume {item['name']}" if by_resume else f"cancel {item['name']} {found['revision']}"
    said = f"{where}, by revision {found['revision']}; to lift it: rheostat run {lift}"
    return ("pause", (said, "yellow")) if found["hold"] else ("stop", (said, "red"))


def created(screen: Screen, item: wire.RunState) -> None:
    """Say that a run exists."""
    screen.line(f"Run {item['name']} is ready, id {item['id']}.")


def plan(screen: Screen, answer: wire.Plan, *, height: int, log: bool) -> None:
    """Draw each parameter's curve, and the revisions that give it."""
    settled = answer["settled_until"]
    marks = [VerticalLine(settled, "settled")] if settled else []
    marks += _marks(item for item in answer["revisions"] if item["revision"] > 1)
    for ink, (name, values) in enumerate(sorted(answer["parameters"].items())):
        low, high = text.short(min(values)), text.short(max(values))
        if min(values) == max(values):
            screen.line((name, "bold"), f"  {low} throughout")
            screen.line()
            continue
        screen.line((name, "bold"), f"  from {low} to {high}")
        curves = [Series(name, answer["steps"], values)]
        screen.chart(curves, height=height, marks=marks, log=log, first_ink=ink)
        screen.line()
    _planned_revisions(screen, answer)
    screen.line()
    screen.line(
        f"Settled until step {text.count(settled)}." if settled else "Nothing is settled yet."
    )


def _marks(items: Iterable[wire.PlanRevision]) -> Iterator[VerticalLine]:
    for step, at_once in groupby(items, key=lambda item: item["from"]):
        numbers = [str(item["revision"]) for item in at_once]
        names = ", ".join(numbers) if len(numbers) < 4 else f"{numbers[0]} … {numbers[-1]}"
        yield VerticalLine(step, f"revision{'s' * (len(numbers) > 1)} {names}")


def _planned_revisions(screen: Screen, answer: wire.Plan) -> None:
    """List the revisions of a plan, of many those that are next to what is settled."""
    items = answer["revisions"]
    pending = bisect_left([item["from"] for item in items], answer["settled_until"])
    first = max(min(pending - LISTED // 2, len(items) - LISTED), 0)
    columns = [right("REVISION"), right("FROM STEP"), left("BY"), wide("MESSAGE")]
    rows = (
        (str(item["revision"]), text.count(item["from"]), item["author"] or "", item["message"])
        for item in items[first : first + LISTED]
    )
    screen.table(columns, rows)
    if len(items) > LISTED:
        count = text.count(len(items) - LISTED)
        screen.line(f"… and {count} more, which `rheostat run history {answer['name']}` lists.")


def explanation(screen: Screen, answer: wire.Explanation, *, end: int | None) -> None:
    """Draw why each parameter has its value at a step, unless the run ended before it."""
    step = (f"Step {text.count(answer['step'])}", "bold")
    if end is not None and answer["step"] >= end:
        screen.line(step, f" has no value: the run ended at step {text.count(end)}.")
        return
    state = "settled" if answer["final"] else "open: it may still change"
    screen.line(step, f", {state}")
    for name, item in sorted(answer["parameters"].items()):
        screen.line()
        by = f" by {item['author']}" if item["author"] else ""
        since = f"revision {item['revision']}{by}, from step {text.count(item['effective'])} on"
        screen.pairs(
            (name, text.exact(item["value"])),
            ("because", since + (f": {item['message']}" if item["message"] else "")),
            ("follows", text.formula(item["definition"])),
            *([("counts from", text.count(item["origin"]))] if item["origin"] else []),
        )


def deleted(screen: Screen, answer: Mapping[str, str]) -> None:
    """Say what is gone."""
    screen.line(f"Run {answer['deleted']} is removed.")


def state(item: wire.RunSummary) -> str:
    """Write what becomes of a run."""
    when = item["finished_at"]
    return item["state"] if when is None else f"finished {text.when(when)}"


def _end(item: wire.RunSummary) -> str:
    return "" if item["end"] is None else f", ended at {item['axis']} {text.count(item['end'])}"


def _branch(item: wire.RunState) -> str:
    """Write where the current generation branched from an older one of the run."""
    (own,) = (each for each in item["generations"] if each["generation"] == item["generation"])
    if own["parent"] is None or "parent_run" in own:
        return ""
    return f", from {item['axis']} {text.count(own['from'])} of generation {own['parent']}"


def _details(item: wire.RunState) -> Iterable[tuple[str, str]]:
    if item["resolution"] != 1:
        yield "resolution", text.count(item["resolution"])
    if item["labels"]:
        yield "labels", _labels(item["labels"])
    for name, guard in (item["guards"] or {}).items():
        bounds = (f"{key} {text.short(value)}" for key, value in revisions.bounds(guard))
        yield f"guard {name}", ", ".join(bounds) or "none"
    if item["protect"] is not None:
        yield "protected", protection.said(item["protect"])
    if item["about"]:
        yield "about", item["about"]
    if item["goal"]:
        yield "goal", _goal(item["goal"])
    for name, said in item["describe"].items():
        yield f"about {name}", ", ".join(map(str, said.values()))
    for name, form in item["signals"].items():
        takes = " ".join(f"{argument}=…" for argument in form.get("arguments", {}))
        yield f"signal {name}", f"{form.get('text', '')} {takes}".strip()
    for name, config in item["controllers"].items():
        yield f"controller {name}", f"{config['kind']} on {config['metric']}"


def _workers(item: wire.RunState) -> Iterable[tuple[str, Cell]]:
    """Yield how many workers there are, if there are any."""
    if any(item["workers"].values()):
        said, style = workers.counted(item["workers"])
        yield "workers", (f"{said}: rheostat run workers {item['name']}", style)


def _open(item: wire.RunState) -> Iterable[tuple[str, Cell]]:
    """Yield what waits for somebody: proposals, and what is odd."""
    if count := item["proposals"]["open"]:
        said = f"{text.count(count)} waiting for a yes: rheostat run proposals {item['name']}"
        yield "proposals", (said, "yellow")
    for each in item["attention"]:
        yield "attention", (each["message"], "red")


def _goal(goal: wire.RunGoal) -> str:
    most = "most" if goal.get("direction") == "max" else "least"
    enough = f", {text.exact(goal['target'])} is enough" if "target" in goal else ""
    return f"the {most} {goal['metric']}{enough}"


def _labels(labels: Mapping[str, str]) -> str:
    return ", ".join(f"{key}={value}" for key, value in sorted(labels.items()))


def _number(value: float | None) -> str:
    return "" if value is None else text.exact(value)
