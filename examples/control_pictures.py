"""
The pictures of ``docs/control.md``: where a decision lands, with ``next``, ``after`` and a gate.

For each, two trainings of different speed report the same metric at the same step to a service,
whose answers are what is drawn::

    python examples/control_pictures.py docs
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import Any, Final, NamedTuple

from digits.picture import STYLE
from digits.service import Service
from rheostat import Client, plateau

REPORT: Final = 600  # the step of the report that decides
WIDTH, LEFT, RIGHT = 880, 150, 20
ROW, TOP, BAR = 62, 62, 16
FIRST, LAST = 560, 880  # the steps that are shown

MORE_STYLE: Final = """
  .done { fill: var(--old) } .held { fill: var(--old); opacity: 0.45 }
  .open { stroke: var(--old); stroke-dasharray: 3 4; stroke-width: 1.5 }
  .mark { stroke: var(--late); stroke-width: 1.5 }
  .dot { fill: var(--late) } .arrow { stroke: var(--late); stroke-width: 1.5; fill: none }
"""


class Row(NamedTuple):
    """One training: how far it was read when the report came, and where the cut landed."""

    name: str
    settled: int
    effective: int


class Case(NamedTuple):
    """One way to land, and the trainings that show it."""

    name: str
    title: str
    words: str
    options: dict[str, Any]
    ahead: tuple[int, int]
    """How far beyond the report the slow and the fast training have blocks."""


CASES: Final = (
    Case(
        "next",
        "next: at the first step that nobody has been given",
        "It depends on how far ahead the workers have read.",
        {},
        (8, 64),
    ),
    Case(
        "after",
        "after 200: two hundred steps after the report",
        "It depends on the metric alone.",
        {"after": 200},
        (8, 64),
    ),
    Case(
        "gate",
        "gate 300: at each multiple of 300, the workers wait for the report",
        "It is at the very step of the report, as in PyTorch.",
        {"gate": REPORT // 2},
        (0, 0),
    ),
)


def measured(client: Client, case: Case) -> Iterator[Row]:
    """Let two trainings read, report and be decided on; yield what became of each."""
    for name, ahead in zip(("slow", "fast"), case.ahead, strict=True):
        rule = plateau(metric="val_loss", patience=0, factor=0.5, **case.options)
        run = client.run(
            f"{case.name}-{name}",
            create={"parameters": {"lr": 0.1}, "controllers": {"plateau": rule}},
        )
        for place in (REPORT // 2, REPORT):
            run.block(place - REPORT // 2, REPORT // 2)
            if place == REPORT and ahead:
                run.block(REPORT, ahead)
            elif not ahead and run.left_open(place) is None:
                sys.exit(f"the gate at {place} was passed")
            told = run.report(place, {"val_loss": 1.0}, wait=True)
        [decision] = told["decisions"] if told else []
        effective = decision["effective"]
        if effective is None:
            sys.exit(f"{name}, {case.name}: no cut, but {decision['decision']}")
        yield Row(f"{name} training", REPORT + ahead, effective)


def picture(case: Case, rows: list[Row]) -> str:
    """Draw the trainings below each other."""
    height = TOP + ROW * len(rows) + 34
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img">',
        f"<title>{escape(case.title)}: {escape(_summary(rows))}</title>",
        f"<style>{STYLE}{MORE_STYLE}</style>",
        _text(0, 14, case.title, "bold"),
        _text(0, 32, case.words, "quiet"),
        *_legend(),
    ]
    for number, row in enumerate(rows):
        lines += _row(row, TOP + ROW * number + 20)
    lines += _axis(TOP + ROW * len(rows) + 4)
    return "\n".join([*lines, "</svg>", ""])


def _summary(rows: list[Row]) -> str:
    landed = (f"{row.name}: cut from step {row.effective}" for row in rows)
    return f"reported at step {REPORT}; {', '.join(landed)}"


def _legend() -> Iterator[str]:
    words = (
        ("done", "old value, used", 330),
        ("held", "in workers' blocks", 208),
        ("new", "new value", 72),
    )
    for kind, word, left in words:
        yield f'<rect x="{WIDTH - left - 16}" y="4" width="10" height="10" class="{kind}"/>'
        yield _text(WIDTH - left, 14, word, "quiet")


def _row(row: Row, top: float) -> Iterator[str]:
    at, lands = _x(REPORT), _x(row.effective)
    yield _text(LEFT - 16, top + 13, row.name, "quiet end")
    yield _bar(FIRST, REPORT, top, "done")
    yield _bar(REPORT, row.settled, top, "held")
    if row.effective > row.settled:
        y = top + BAR / 2
        yield f'<path d="M{_x(row.settled):.1f},{y}H{lands:.1f}" class="open"/>'
    yield _bar(row.effective, LAST, top, "new")
    yield f'<circle cx="{at:.1f}" cy="{top - 8}" r="4" class="dot"/>'
    if row.effective > REPORT:
        yield f'<path d="M{at + 6:.1f},{top - 8}H{lands:.1f}V{top - 2}" class="arrow"/>'
    yield f'<path d="M{lands:.1f},{top - 2}V{top + BAR + 2}" class="mark"/>'
    yield _text(lands + 10, top - 5, f"cut from step {row.effective}", "late")


def _bar(start: int, stop: int, top: float, kind: str) -> str:
    width = _x(stop) - _x(start)
    return (
        f'<rect x="{_x(start):.1f}" y="{top}" width="{width:.1f}" height="{BAR}" class="{kind}"/>'
    )


def _axis(top: float) -> Iterator[str]:
    yield f'<path d="M{LEFT},{top}H{WIDTH - RIGHT}" class="grid"/>'
    for step in range(FIRST + 40, LAST + 1, 40):
        yield f'<path d="M{_x(step):.1f},{top}v4" class="grid"/>'
        word = f"report at {step}" if step == REPORT else str(step)
        yield _text(_x(step), top + 18, word, "mid late" if step == REPORT else "mid quiet")


def _text(x: float, y: float, text: str, kind: str = "") -> str:
    return f'<text x="{x:g}" y="{y:g}" class="{kind}">{escape(text)}</text>'


def _x(step: float) -> float:
    return LEFT + (WIDTH - RIGHT - LEFT) * (step - FIRST) / (LAST - FIRST)


def main() -> None:
    """Ask a service of its own, and write the pictures."""
    folder = Path(sys.argv[1]) / "control"
    folder.mkdir(exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as place,
        Service(Path(place)) as service,
        Client(service.url) as client,
    ):
        for case in CASES:
            rows = list(measured(client, case))
            print(f"{case.name:6} {_summary(rows)}")
            (folder / f"{case.name}.svg").write_text(picture(case, rows))


if __name__ == "__main__":
    main()
