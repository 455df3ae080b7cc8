"""Workers, drawn for people: who trains, where they are, and what they applied."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from rheostat.cli.views import text
from rheostat.cli.views.arrival import left as left_over
from rheostat.cli.views.chart import Segment
from rheostat.cli.views.screen import Cell, Screen, left, right

if TYPE_CHECKING:
    from rheostat import wire

STYLES = {"wrong": "bold red", "silent": "yellow", "waiting": "cyan", "ended": "dim"}
"""How the states of workers are coloured."""
URGENT = ("wrong", "silent", "waiting", "training", "ended")
"""The states, those first that somebody should look at."""
ARRIVALS = 6
"""The most revisions of which it is said when the last worker comes to them."""
SHORTLY = 3
"""The same, where there is little room."""


def workers(screen: Screen, answer: wire.Workers, run: str, most: int) -> None:
    """Draw how a run's workers are together, and then each of them, ``most`` at most."""
    if not is_known(answer):
        screen.line(f"No worker of {run} has said anything yet.")
        return
    screen.pairs(*summary(answer))
    more = len(answer["eta"]) - ARRIVALS
    if more > 0:
        screen.line(f"… and {text.count(more)} more revisions to come, which --json lists.")
    screen.line()
    _each(screen, answer["items"], most)


def summary(answer: wire.Workers) -> Iterator[tuple[str, Cell]]:
    """Yield what is to be known of all workers together, each with its name."""
    yield "workers", counted(answer, behind=answer["behind"], ended=answer["ended"])
    first, last = answer["first"], answer["last"]
    if first is not None and last is not None:
        yield "first", f"at step {text.count(first)}"
        yield "last", f"at step {text.count(last)}"
    if answer["pace"] is not None:
        yield "pace", f"{text.short(answer['pace'], 3)} steps a second, the median"
    if answer["alive"]:
        until = answer["proven_until"]
        proven = "nothing yet" if until is None else f"until step {text.count(until)}"
        yield "proven", (proven, STYLES["wrong"] if answer["wrong"] else "")
    for each in answer["eta"][:ARRIVALS]:
        yield f"revision {each['revision']}", arrival(each)


def shortly(answer: wire.Workers) -> Iterator[tuple[str, Cell]]:
    """Yield the same in a line, and one for each revision that they come to, if there are any."""
    if not is_known(answer):
        return
    said, style = counted(answer, behind=answer["behind"], ended=answer["ended"])
    first, last, until = answer["first"], answer["last"], answer["proven_until"]
    if first is not None and last is not None:
        at = text.count(last) if first == last else f"{text.count(last)} to {text.count(first)}"
        said += f", at {at}"
    if until is not None:
        said += f", proven until {text.count(until)}"
    yield "workers", (said, style)
    for each in answer["eta"][:SHORTLY]:
        yield f"revision {each['revision']}", arrival(each)


def is_known(answer: wire.Workers) -> bool:
    """Return whether any worker has said anything."""
    return answer["alive"] + answer["silent"] + answer["ended"] > 0


def counted(found: wire.WorkerCounts, *, behind: int = 0, ended: int = 0) -> Segment:
    """Write how many workers there are, in the colour of the worst of them."""
    numbers = {"alive": found["alive"], "silent": found["silent"], "wrong": found["wrong"]}
    numbers |= {"behind": behind, "ended": ended}
    said = [f"{text.count(n)} {name}" for name, n in numbers.items() if n or name == "alive"]
    worst = "wrong" if found["wrong"] else "silent" if found["silent"] or behind else ""
    return ", ".join(said), STYLES.get(worst, "")


def cell(found: wire.WorkerCounts) -> Cell:
    """Write the workers of a run in a list, as short as it goes: ``8``, or ``7, 1 silent``."""
    others = {"silent": found["silent"], "wrong": found["wrong"]}
    said = [text.count(found["alive"])] if found["alive"] else []
    said += [f"{text.count(many)} {name}" for name, many in others.items() if many]
    worst = "wrong" if found["wrong"] else "silent" if found["silent"] else ""
    return ", ".join(said), STYLES.get(worst, "")


def arrival(eta: wire.Eta) -> str:
    """Write where a revision takes effect, how many workers are there, and when the last is."""
    there = f"at step {text.count(eta['effective'])}"
    if not eta["steps"]:  # nobody is past a pause
        return f"{there}: all have come to it"
    past = f"{text.count(eta['reached_by'])} of {text.count(eta['workers'])} have come to it"
    return f"{there}: {past}, the last is {left_over(eta)} away"


def mismatches(screen: Screen, items: Sequence[wire.Mismatch], run: str, most: int) -> None:
    """Draw where workers applied another value than was served: the newest, ``most`` at most."""
    if not items:
        screen.line(f"No worker of {run} is known to have applied anything else than was served.")
        return
    columns = [
        left("WORKER"),
        left("PARAMETER"),
        right("STEP"),
        right("SERVED"),
        right("APPLIED"),
        left("RATIO"),
        right("GENERATION"),
        left("FOUND"),
    ]
    screen.table(columns, map(_mismatch, items[: -most - 1 : -1]))
    _rest(screen, len(items), most)


def _mismatch(item: wire.Mismatch) -> tuple[Cell, ...]:
    return (
        item["worker"],
        item["parameter"],
        text.count(item["step"]),
        value(item["expected"], item["dtype"]),
        (value(item["found"], item["dtype"]), STYLES["wrong"]),
        _ratio(float(item["found"]), float(item["expected"])),
        str(item["generation"]),
        text.when(item["at"]),
    )


def _ratio(found: float, expected: float) -> str:
    """Write what factor lies between two values, which often names the fault: a second division."""
    if not (math.isfinite(found) and expected):
        return ""
    return f"× {text.short(found / expected, 5)}"


def value(written: str, dtype: wire.SlotType) -> str:
    """Write a value as short as it reads back in its slot, a float32 with fewer digits."""
    number = float(written)
    if not math.isfinite(number):
        return written
    if dtype == "f64":
        return text.exact(number)
    return next(
        text.short(number, digits)
        for digits in range(1, 18)
        if _as_float32(float(text.short(number, digits))) == number or digits == 17
    )


def _as_float32(number: float) -> float:
    rounded: float = struct.unpack("f", struct.pack("f", number))[0]
    return rounded


def _each(screen: Screen, items: Sequence[wire.Worker], most: int) -> None:
    """Draw workers as rows, those first that somebody should look at, else as they are listed."""
    if not items:
        screen.line("None of them is in that state.")
        return
    columns = [
        left("WORKER"),
        left("STATE"),
        right("STEP"),
        right("PACE"),
        right("PROVEN UNTIL"),
        right("GENERATION"),
        left("SEEN"),
        left("HOST"),
    ]
    ordered = sorted(items, key=lambda each: URGENT.index(each["state"]))
    screen.table(columns, map(_row, ordered[:most]))
    _rest(screen, len(items), most)


def _row(item: wire.Worker) -> tuple[Cell, ...]:
    pace, proven = item["pace"], item["proven_until"]
    return (
        item["worker"],
        (item["state"], STYLES.get(item["state"], "")),
        text.count(item["step"]),
        "" if pace is None else f"{text.short(pace, 3)}/s",
        "" if proven is None else text.count(proven),
        str(item["generation"]),
        text.when(item["seen_at"]),
        item["host"] or "",
    )


def _rest(screen: Screen, count: int, most: int) -> None:
    """Say how the rest of a long list is seen."""
    if count > most:
        more = text.count(count - most)
        screen.line((f"… and {more} more: --limit {count} shows all.", "dim"))
