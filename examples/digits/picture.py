"""The picture of `same_step.py`: when ranks switch, and how far apart their models are, as SVG."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from html import escape
from typing import Final, NamedTuple

WIDTH: Final = 880
LEFT: Final = 68  # where cells and curves begin
CELL, COLUMN, ROW = 7, 8, 12  # width of a step's cell, and from one step or rank to the next
SHOWN: Final = 4  # steps in a window
AHEAD: Final = 2  # of them before the first switch
TOP: Final = 26
BLOCK: Final = 106  # height of what one training has
CHART: Final = 104
TONES: Final = ("blue", "late")

STYLE: Final = """
  svg { --text: #1f2328; --quiet: #59636e; --late: #c2410c; --old: #b6c6dd; --new: #1d5fc4;
        --grid: #d1d9e0 }
  @media (prefers-color-scheme: dark) {
    svg { --text: #e6edf3; --quiet: #9198a1; --late: #ff9254; --old: #34455e; --new: #6aa8ff;
          --grid: #3d444d }
  }
  text { font: 12px system-ui, "Segoe UI", Helvetica, Arial, sans-serif; fill: var(--text) }
  .name { font-size: 14px; font-weight: 600 } .bold { font-weight: 600 }
  .small { font-size: 11px }
  .end { text-anchor: end } .mid { text-anchor: middle }
  .quiet { fill: var(--quiet) } .late { fill: var(--late) } .blue { fill: var(--new) }
  .old { fill: var(--old) } .new { fill: var(--new) }
  .grid { stroke: var(--grid) }
  .cut, .ragged { stroke: var(--text); stroke-width: 1.5; fill: none }
  .ragged { stroke: var(--late) }
  .line { stroke: var(--late); stroke-width: 2; fill: none; stroke-linejoin: round }
  .blue.line { stroke: var(--new); stroke-width: 2.5 }
"""


class Switch(NamedTuple):
    """A change of the learning rate, and the step from which each rank used it."""

    before: float
    after: float
    steps: list[int]

    @property
    def even(self) -> bool:
        """Whether all ranks switched at the same step."""
        return len(set(self.steps)) == 1


class Training(NamedTuple):
    """A training: its switches, how far apart the ranks' models were at steps, and how many."""

    name: str
    switches: list[Switch]
    apart: list[tuple[int, float]]
    models: int


def picture(trainings: Sequence[Training], steps: int) -> str:
    """Draw two trainings above each other, and below them how far apart their models are."""
    height = TOP + BLOCK * len(trainings) + CHART + 66
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img">',
        f"<title>{escape(_summary(trainings))}</title>",
        f"<style>{STYLE}</style>",
        *_legend(len(trainings[0].switches)),
    ]
    for number, training in enumerate(trainings):
        lines += _block(training, TOP + BLOCK * number)
    lines += _chart(trainings, TOP + BLOCK * len(trainings) + 40, steps)
    return "\n".join([*lines, "</svg>", ""])


def _summary(trainings: Sequence[Training]) -> str:
    counts = [
        f"{training.name}: {sum(s.even for s in training.switches)} of {len(training.switches)} "
        "changes of the learning rate began at one step on all ranks"
        for training in trainings
    ]
    return "; ".join(counts) + "."


def _text(x: float, y: float, text: str, kind: str = "") -> str:
    return f'<text x="{x:g}" y="{y:g}" class="{kind}">{escape(text)}</text>'


def _legend(changes: int) -> Iterator[str]:
    title = f"The same training twice: four ranks, {changes} changes of the learning rate"
    yield _text(0, 14, title, "bold")
    for left, kind, word in ((WIDTH - 300, "old", "old value"), (WIDTH - 214, "new", "new value")):
        yield f'<rect x="{left}" y="4" width="10" height="10" class="{kind}"/>'
        yield _text(left + 15, 14, word, "quiet")
    yield _text(WIDTH, 14, "a column is one step", "quiet end")


def _block(training: Training, top: float) -> Iterator[str]:
    even = sum(switch.even for switch in training.switches)
    tone = "" if even == len(training.switches) else " late"
    yield _text(0, top + 14, training.name, "name")
    yield _text(
        WIDTH, top + 14, f"{even} of {len(training.switches)} at one step", f"bold end{tone}"
    )
    for rank in range(len(training.switches[0].steps)):
        yield _text(LEFT - 12, top + 36 + rank * ROW, f"rank {rank}", "quiet end")
    yield _text(
        LEFT - 12, top + 40 + len(training.switches[0].steps) * ROW, "from step", "small quiet end"
    )
    for number, switch in enumerate(training.switches):
        pitch = (WIDTH - LEFT + COLUMN) / len(training.switches)
        yield from _window(switch, LEFT + number * pitch, top + 27)


def _window(switch: Switch, left: float, top: float) -> Iterator[str]:
    """Draw the steps around a switch, the line at which ranks switch, and which step that is."""
    first = min(switch.steps) - AHEAD
    cells: dict[str, list[str]] = {"old": [], "new": []}
    edge = []
    for rank, begin in enumerate(switch.steps):
        y = top + rank * ROW
        for step in range(first, first + SHOWN):
            x = left + (step - first) * COLUMN
            cell = f"M{x:.4g},{y:g}h{CELL}v{ROW - 2}h-{CELL}z"
            cells["new" if step >= begin else "old"].append(cell)
        edge.append(f"{left + (begin - first) * COLUMN - 0.5:.4g},{y - 1:g}v{ROW}")
    for kind, paths in cells.items():
        yield f'<path class="{kind}" d="{"".join(paths)}"/>'
    kind = "cut" if switch.even else "ragged"
    yield f'<path class="{kind}" d="M{"L".join(edge)}"/>'
    steps = sorted(set(switch.steps))
    middle = left + SHOWN * COLUMN / 2
    low = top + len(switch.steps) * ROW + 13
    yield _text(middle, low, f"{steps[0]}", "small mid" if switch.even else "small mid late bold")


def _chart(trainings: Sequence[Training], top: float, steps: int) -> Iterator[str]:
    """Draw how far apart the models are, in every step that was looked at."""
    yield _text(0, top - 14, "How far apart the models are", "name")
    yield _text(WIDTH, top - 14, "largest difference of a parameter between two ranks", "quiet end")
    highest = max(far for training in trainings for _, far in training.apart) or 1.0
    unit = 10.0 ** math.floor(math.log10(highest)) / 2
    ceiling = unit * math.ceil(highest / unit)
    for value, y in ((0.0, top + CHART), (ceiling, top)):
        yield f'<path d="M{LEFT},{y:g}H{WIDTH}" class="grid"/>'
        yield _text(LEFT - 12, y + 4, f"{value:.2g}", "quiet end")
    for step in range(0, steps + 1, 200):
        kind = "quiet" + (" end" if step == steps else " mid" if step else "")
        yield _text(_x(step, steps), top + CHART + 18, f"{step}" if step else "step 0", kind)
    for training, kind, side in reversed(list(zip(trainings, TONES, (-8, 18), strict=True))):
        points = " ".join(
            f"{_x(step, steps):.1f},{top + CHART * (1 - far / ceiling):.1f}"
            for step, far in training.apart
        )
        last = training.apart[-1][1]
        words = "one model, bit for bit" if training.models == 1 else f"{training.models} models"
        y = top + CHART * (1 - last / ceiling) + side
        yield f'<polyline points="{points}" class="{kind} line"/>'
        yield _text(WIDTH, y, f"{training.name}: {words}", f"{kind} end")


def _x(step: float, steps: int) -> float:
    return LEFT + (WIDTH - LEFT) * step / steps
