"""The live screen of `rheostat run watch`: one run at one moment."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypedDict

from rheostat.cli.views import controllers, proposals, revisions, runs, text, workers
from rheostat.cli.views.chart import Series, VerticalLine
from rheostat.cli.views.screen import Screen, left, wide

if TYPE_CHECKING:
    from rheostat import wire

ROWS = 6
"""The most rows of a part of the screen."""
TALL = 40
"""Rows of a terminal that has room for two curves."""
BAR = 16
"""Characters of the bar that shows how far a run is."""


class Sight(TypedDict):
    """What is seen of a run at one moment."""

    run: wire.RunState
    controllers: Sequence[wire.ArmedController]
    proposals: Sequence[wire.Proposal]
    workers: wire.Workers
    recent: list[wire.Revision]
    """The newest revisions, the oldest first."""
    seen: float
    """When, in seconds of Unix time."""
    plan: wire.Plan | None
    """Its curves."""
    pace: float | None
    """Steps a second, while it moves."""
    trouble: str | None
    """Why this is what was seen before."""


def run(screen: Screen, sight: Sight) -> None:
    """Draw everything that matters of a run now."""
    _head(screen, sight)
    _values(screen, sight["run"])
    _curves(screen, sight)
    if sight["run"]["pending"]:
        screen.line()
        screen.line(("Pending", "bold"))
        revisions.pending(screen, sight["run"]["pending"][:ROWS])
        _more(screen, len(sight["run"]["pending"]))
    if sight["controllers"]:
        screen.line()
        screen.line(("Controllers", "bold"))
        controllers.states(screen, sight["controllers"][:ROWS])
        _more(screen, len(sight["controllers"]))
    if sight["proposals"]:
        screen.line()
        screen.line(("Waiting for a yes", "bold yellow"))
        proposals.waiting(screen, sight["proposals"][:ROWS])
        _more(screen, len(sight["proposals"]))
    screen.line()
    screen.line(("Done last", "bold"))
    revisions.done(screen, sight["run"], sight["recent"])


def _head(screen: Screen, sight: Sight) -> None:
    item = sight["run"]
    moment = f"{datetime.fromtimestamp(sight['seen'], UTC):%H:%M:%S} UTC"
    state, style = runs.state(item), runs.STYLES.get(item["state"], "")
    screen.line(
        (item["name"], "bold"),
        "  ",
        (state, style),
        f"  generation {item['generation']}  revision {item['revision']}  ",
        (moment, "dim"),
    )
    if sight["trouble"] is not None:
        screen.line(("No answer, seen last at that time: ", "red"), sight["trouble"])
    settled, total = item["settled_until"], item["total"]
    share = min(settled / total, 1.0) if total else 0.0
    bar = f"  {text.bar(share, BAR)} {share:.0%}" if total else ""
    screen.line(f"settled until {item['axis']} {runs.progress(item)}{bar}{_speed(sight)}")
    pairs = [
        *workers.shortly(sight["workers"]),
        *(runs.stop(item, stop) for stop in item["stops"][:ROWS]),
    ]
    if pairs:
        screen.pairs(*pairs)
    for each in item["attention"][:ROWS]:
        screen.line(("attention: ", "red"), text.cut(each["message"]))
    screen.line()


def _speed(sight: Sight) -> str:
    pace, item = sight["pace"], sight["run"]
    if pace is None:
        return ""
    left_over = None if item["total"] is None else item["total"] - item["settled_until"]
    end = f", {text.seconds(left_over / pace)} left" if left_over and left_over > 0 else ""
    return f"  {text.short(pace, 3)}/s{end}"


def _values(screen: Screen, item: wire.RunState) -> None:
    names = sorted(item["parameters"])
    rows = (
        (name, text.short(item["current"][name]), text.formula(item["parameters"][name]))
        for name in names[: 2 * ROWS]
        if name in item["current"]
    )
    screen.table([left("PARAMETER"), left("VALUE"), wide("DEFINITION")], rows)
    _more(screen, len(names), 2 * ROWS)


def _curves(screen: Screen, sight: Sight) -> None:
    """Draw the curves, as many as there is room for, with where the workers are on them."""
    plan = sight["plan"]
    if plan is None or len(plan["steps"]) < 2:
        return
    rows = max(min(screen.height // 5, 12), 4)
    names = sorted(plan["parameters"], key=lambda name: (name != "lr", name))
    last = sight["workers"]["last"]
    at = sight["run"]["settled_until"] if last is None else last
    marks = [VerticalLine(at, "settled" if last is None else "workers")]
    marks += [
        VerticalLine(each["effective"], f"revision {each['revision']}")
        for each in sight["run"]["pending"][:ROWS]
    ]
    for ink, name in enumerate(names[: 1 if screen.height < TALL else 2]):
        screen.line()
        screen.line((name, "bold"))
        curve = Series(name, plan["steps"], plan["parameters"][name])
        screen.chart([curve], height=rows, marks=marks, first_ink=ink)


def _more(screen: Screen, count: int, shown: int = ROWS) -> None:
    if count > shown:
        screen.line((f"… and {text.count(count - shown)} more", "dim"))
