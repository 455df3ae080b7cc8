"""What a controller would have decided, drawn for people: metric, curve, decisions."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, TypedDict

from rheostat.cli.views import controllers, text
from rheostat.cli.views.chart import Series, VerticalLine
from rheostat.cli.views.screen import Screen, left, right, wide

if TYPE_CHECKING:
    from rheostat import wire


MARGIN = 8
"""Room for the labels of both charts, whose steps then stand one below the other."""


class MetricValues(TypedDict):
    """A metric as a file has it."""

    steps: list[int]
    values: list[float | str]
    """Finite ones as numbers, others as `"NaN"`, `"Infinity"` or `"-Infinity"`."""


class Simulated(TypedDict):
    """What a controller made of a metric."""

    controller: dict[str, Any]
    metric: MetricValues
    decisions: list[wire.SimulatedDecision]
    steps: list[int]
    values: list[float]
    """Of the parameter, at `steps`."""
    warnings: list[str]


def json_number(value: float) -> float | str:
    """Return a value as JSON has it, which has no NaN and no infinity."""
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def simulated(screen: Screen, answer: Simulated, *, height: int, log: bool) -> None:
    """Draw the metric, the curve of the parameter below it, and a row for each decision."""
    metric, decisions = answer["metric"], answer["decisions"]
    steps = [*metric["steps"], *answer["steps"]]
    both: dict[str, Any] = {"height": height, "log": log, "margin": MARGIN}
    both["span"] = (min(steps), max(steps))
    points = zip(metric["steps"], metric["values"], strict=True)
    controllers.metric(screen, answer["controller"]["metric"], points, decisions, **both)
    if len({*answer["values"]}) > 1:
        screen.line()
        low, high = (text.short(find(answer["values"])) for find in (min, max))
        screen.line(("value", "bold"), f"  from {low} to {high}")
        curve = Series("value", answer["steps"], answer["values"])
        marks = [VerticalLine(each["effective"], controllers.label(each)) for each in decisions]
        screen.chart([curve], marks=marks, first_ink=1, **both)
    screen.line()
    if not decisions:
        screen.line("It decides nothing.")
        return
    columns = [right("STEP"), left("DECISION"), right("EFFECTIVE"), wide("WHY")]
    rows = (
        (
            text.count(each["step"]),
            (controllers.label(each), controllers.STYLES.get(each["decision"], "")),
            text.count(each["effective"]),
            each["message"],
        )
        for each in decisions
    )
    screen.table(columns, rows)
