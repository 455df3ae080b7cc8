"""
The gallery's picture of a plateau over a cosine: the learning rate, and below it the metric.

The reports are those of a training, which `plateau.py` made; what is drawn of them is computed by
the rule that decides in a run.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from html import escape
from itertools import accumulate
from pathlib import Path
from typing import Any, Final

import numpy as np

from rheostat import wire
from rheostat.controllers import Simulation, parse_controller, reports_of_json, simulate
from rheostat.schedules import evaluate, parse

FOLDER: Final = Path(__file__).parent / "control"
FILE: Final = "plateau-over-cosine.svg"
WIDTH, LEFT, RIGHT = 880, 56, 8
RATE, METRIC = (44, 190), (254, 400)  # top and bottom of the two charts
STYLE: Final = """
  svg { --text: #1f2328; --quiet: #59636e; --late: #c2410c; --old: #b6c6dd; --new: #1d5fc4;
        --grid: #d1d9e0 }
  @media (prefers-color-scheme: dark) {
    svg { --text: #e6edf3; --quiet: #9198a1; --late: #ff9254; --old: #4a5f80; --new: #6aa8ff;
          --grid: #3d444d }
  }
  text { font: 12px system-ui, "Segoe UI", Helvetica, Arial, sans-serif; fill: var(--text) }
  .bold { font-weight: 600; font-size: 14px } .end { text-anchor: end } .mid { text-anchor: middle }
  .quiet { fill: var(--quiet) } .late { fill: var(--late) } .blue { fill: var(--new) }
  .grid { stroke: var(--grid) } .floor { stroke: var(--quiet) }
  .line { fill: none; stroke-width: 2; stroke-linejoin: round }
  .rate { stroke: var(--new); stroke-width: 2.5 }
  .plan { stroke: var(--old); stroke-dasharray: 5 4 }
  .loss { stroke: var(--quiet); stroke-width: 1.5 } .point { fill: var(--quiet) }
  .best { stroke: var(--old); stroke-width: 1.5 }
  .cut { stroke: var(--late); stroke-width: 1.5; fill: none } .dot { fill: var(--late) }
  .wait { fill: var(--late); opacity: 0.1 }
"""

Scale = Callable[[float], float]


@dataclass(frozen=True)
class Course:
    """A run, what was reported in it, and what its controller made of that."""

    body: dict[str, Any]
    reports: list[tuple[int, float]]

    @property
    def total(self) -> int:
        """The length of the training."""
        return int(self.body["total"])

    @property
    def plan(self) -> tuple[list[int], list[float]]:
        """The learning rate as planned, without the controller."""
        steps = np.linspace(0, self.total, 241).round().astype(np.int64)
        return steps.tolist(), evaluate(parse(self.body["parameters"]["lr"]), steps).tolist()

    @property
    def simulation(self) -> Simulation:
        """What the controller decided, and the learning rate that came of it."""
        controller = parse_controller(self.body["controllers"]["plateau"])
        definition = parse(self.body["parameters"]["lr"])
        return simulate(controller, self.reports, definition=definition, total=self.total)


def course() -> Course:
    """Return the training of the gallery."""
    body = json.loads((FOLDER / "plateau.json").read_text())
    return Course(body, reports_of_json(json.loads((FOLDER / "plateau.reports.json").read_text())))


def picture(shown: Course) -> str:
    """Draw the learning rate, and below it the metric; decisions are marked in both."""
    found = shown.simulation
    losses = [loss for _, loss in shown.reports]
    rate = _scale(RATE[0], RATE[1], 0.0, max(shown.plan[1]))
    loss = _scale(METRIC[0], METRIC[1], min(losses), max(losses))
    at = _scale(WIDTH - RIGHT, LEFT, 0, shown.total)
    title = f"A cosine that a plateau cut {len(found.decisions)} times"
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} 430" role="img">',
        f"<title>{escape(title)}</title>",
        f"<style>{STYLE}</style>",
        *(line for one in found.decisions for line in _wait(one, at)),
        *_frame("lr", RATE, rate, (0.0, max(shown.plan[1]))),
        *_frame("val_loss", METRIC, loss, (float(min(losses)), float(max(losses)))),
        _line(zip(*shown.plan, strict=True), at, rate, "plan"),
        _line(zip(found.steps, found.values, strict=True), at, rate, "rate"),
        _line(_best(shown.reports), at, loss, "best"),
        _line(shown.reports, at, loss, "loss"),
        *(
            f'<circle cx="{at(step):.1f}" cy="{loss(value):.1f}" r="2.2" class="point"/>'
            for step, value in shown.reports
        ),
        *(line for one in found.decisions for line in _decision(one, shown, at, loss)),
        *_legend(),
        *_steps(shown.total, at),
    ]
    return "\n".join([*lines, "</svg>", ""])


def _best(reports: list[tuple[int, float]]) -> Iterator[tuple[float, float]]:
    """Yield the best loss so far, as stairs."""
    least = list(accumulate((loss for _, loss in reports), min))
    for (step, _), before, now in zip(reports, [least[0], *least], least, strict=False):
        yield step, before
        yield step, now


def _wait(one: wire.SimulatedDecision, at: Scale) -> Iterator[str]:
    """Shade the steps from a report to where its cut lands."""
    left, right = at(one["step"]), at(one["effective"])
    yield f'<path d="M{left:.1f},{RATE[0]}V{METRIC[1]}H{right:.1f}V{RATE[0]}z" class="wait"/>'


def _decision(one: wire.SimulatedDecision, shown: Course, at: Scale, loss: Scale) -> Iterator[str]:
    reported, lands = at(one["step"]), at(one["effective"])
    value = dict(shown.reports)[one["step"]]
    yield f'<path d="M{lands:.1f},{RATE[0]}V{RATE[1]}" class="cut"/>'
    yield f'<circle cx="{reported:.1f}" cy="{loss(value):.1f}" r="5" class="dot"/>'
    yield _text(
        lands + 8, RATE[0] + 12, f"× {one['factor']:g} from step {one['effective']:,}", "late"
    )
    patience = shown.body["controllers"]["plateau"]["patience"]
    for line, words in enumerate((f"{patience + 1} bad reports,", f"decided at {one['step']:,}")):
        yield _text(lands + 8, METRIC[0] + 16 + 15 * line, words, "late")


def _frame(
    name: str, place: tuple[int, int], scale: Scale, ends: tuple[float, float]
) -> Iterator[str]:
    yield _text(0, place[0] - 14, name, "bold")
    for value in ends:
        yield f'<path d="M{LEFT},{scale(value):.1f}H{WIDTH - RIGHT}" class="grid"/>'
        yield _text(LEFT - 10, scale(value) + 4, f"{value:.2g}", "quiet end")


def _legend() -> Iterator[str]:
    for left, y, kind, word in (
        (600, RATE[0] - 18, "plan", "planned"),
        (700, RATE[0] - 18, "rate", "with the plateau"),
        (600, METRIC[0] - 18, "best", "best so far"),
        (700, METRIC[0] - 18, "loss", "as reported"),
    ):
        yield f'<path d="M{left},{y}h22" class="line {kind}"/>'
        yield _text(left + 30, y + 4, word, "quiet")


def _steps(total: int, at: Scale) -> Iterator[str]:
    y = METRIC[1] + 20
    for step in range(0, total + 1, total // 8):
        kind = "mid" if 0 < step < total else ("end" if step else "")
        yield _text(at(step), y, f"{step:,}" if step else "step 0", f"quiet {kind}")


def _line(points: Any, at: Scale, scale: Scale, kind: str) -> str:
    path = " ".join(f"{at(step):.1f},{scale(value):.1f}" for step, value in points)
    return f'<polyline points="{path}" class="line {kind}"/>'


def _text(x: float, y: float, text: str, kind: str = "") -> str:
    return f'<text x="{x:.4g}" y="{y:.4g}" class="{kind}">{escape(text)}</text>'


def _scale(top: float, bottom: float, low: float, high: float) -> Scale:
    """Return what places a value between two edges, ``high`` at the first."""
    return lambda value: bottom + (top - bottom) * (value - low) / (high - low)
