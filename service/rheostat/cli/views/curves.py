"""Values and curves of definitions, drawn for people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, TypedDict

from rheostat.cli.views import text
from rheostat.cli.views.chart import Series
from rheostat.cli.views.screen import Screen, left, right, wide


class ValuesAtSteps(TypedDict):
    """Values at steps."""

    steps: list[int]
    values: list[float]


class ValueAtStep(TypedDict):
    """The value at one step."""

    step: int
    value: float


class PlottedCurve(TypedDict):
    """A definition with its values."""

    definition: dict[str, Any]
    values: list[float]


class Plotted(TypedDict):
    """Curves at steps that all of them share."""

    steps: list[int]
    curves: list[PlottedCurve]


def values(screen: Screen, answer: ValuesAtSteps) -> None:
    """Draw steps and their values, a row each."""
    pairs = zip(answer["steps"], answer["values"], strict=True)
    rows = ((text.count(step), text.exact(value)) for step, value in pairs)
    screen.table([right("STEP"), left("VALUE")], rows)


def value(screen: Screen, answer: ValueAtStep) -> None:
    """Draw one value, alone."""
    screen.line(text.exact(answer["value"]))


def curves(screen: Screen, answer: Plotted, *, height: int, log: bool) -> None:
    """Draw curves on common axes, and a legend below them."""
    found = answer["curves"]
    kinds = [curve["definition"]["kind"] for curve in found]
    named = list(zip(names(kinds), found, strict=True))
    series = [Series(name, answer["steps"], curve["values"]) for name, curve in named]
    screen.chart(series, height=height, log=log)
    screen.line()
    columns = [left("CURVE"), left("MIN"), left("MAX"), wide("DEFINITION")]
    screen.table(columns, [_legend(name, curve) for name, curve in named])


def _legend(name: str, curve: PlottedCurve) -> tuple[str, str, str, str]:
    low, high = min(curve["values"]), max(curve["values"])
    return name, text.short(low), text.short(high), text.definition(curve["definition"])


def names(kinds: Sequence[str]) -> list[str]:
    """Return the kinds, numbered where they come more than once."""
    seen: Counter[str] = Counter()
    numbered = []
    for kind in kinds:
        seen[kind] += 1
        numbered.append(f"{kind} {seen[kind]}" if kinds.count(kind) > 1 else kind)
    return numbered
