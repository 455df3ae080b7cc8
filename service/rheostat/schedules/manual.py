"""
The manual of kinds, written from the kinds themselves.

``python -m rheostat.schedules.manual docs`` writes ``docs/kinds.md`` and a plot for each kind in
``docs/kinds/``; a test compares.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, get_args

import numpy as np

from rheostat import wire
from rheostat.limits import MAX_NESTING, MAX_NODES, MAX_POINTS, MAX_TEXTS
from rheostat.schedules.definition import Array, Family, Floats
from rheostat.schedules.field_types import SHAPES
from rheostat.schedules.introspection import describe
from rheostat.schedules.parse import parse
from rheostat.schedules.union import KINDS

_POINTS: Final = 480
_INTRODUCTION: Final = f"""\
<!-- Written by python -m rheostat.schedules.manual. Change the kinds, then `make docs`. -->

# Kinds of definitions

A definition is JSON that describes a curve: step in, value out. It has a `kind` and the fields of
that kind, and nothing else; `GET /v1/kinds` says the same as this page.

- All arithmetic is float64, in closed form: any single step costs the same as any other, and has
  the same bits singly, in a block and in a full curve.
- `t` counts steps from the definition's own start. Before it, the value at step 0 holds; what
  holds past the end stands with each kind.
- Every kind has bounds, so that a definition that would overflow, or be no number, at any step up
  to 2^53 is refused when it is made. What grows without end can be held by a `clip`, or ended by a
  `sequence`.
- A definition has at most {MAX_NESTING} definitions inside of each other, {MAX_NODES:,} in all, and
  {MAX_POINTS:,} table values, points and milestones, of which {MAX_TEXTS:,} may be written as text.
- `{{"kind": "schedule", "name": …, "version": …}}` stands for a schedule of the service's library
  wherever a definition may, and is replaced by it when it is stored.
- A number in place of a whole definition is a constant: `{{"parameters": {{"lr": 0.1}}}}`.
- Values of base curves are within 4 units in the last place (ulp) of the exact ones. Combinators
  round what they are given, and some enlarge what that was off: a `power` by its `exponent`, so
  that a value raised to the 1000th power may be off by a few hundred ulp.

## Lengths

Fields with the unit steps take numbers, and text that is resolved to whole steps when the
definition is parsed:

| written | is |
|---|---|
| `10000`, `5e12` | that many steps |
| `"4.3T"`, `"375M"`, `"10k"` | multiples: `k`, `M`, `B` or `G`, `T` |
| `"10%"` | a share of the run's `total` |
| `"3 epochs"` | times the run's `steps_per_epoch` |
| `"rest"` | what is left: to the end of the part it stands in, or of the run; said once in a row |

Boundaries are rounded, not lengths (ties to even), so that parts always add up: three times
`"33.33333%"` of 100 is 33 + 34 + 33.

## Shapes

Warm-ups, decays and ramps have a shape c(y): it falls from 1 to 0 while y goes from 0 to 1. A
decay follows c(y); a warm-up is a decay that runs backwards, 1 at its end: c(1 − y).

| shape | c(y) |
|---|---|
"""


def manual() -> str:
    """Return the manual as Markdown."""
    shapes = "".join(f"| `{name}` | {formula} |\n" for name, formula in SHAPES.items())
    sections = "\n".join(_family(name) for name in get_args(Family))
    return f"{_INTRODUCTION}{shapes}\n{_contents()}\n{sections}"


def plot(kind: str) -> str:
    """Return the plot of a kind's example as SVG."""
    about = KINDS[kind].about
    definition = parse(about.example)
    last = about.shown or max(8, (definition.length or 0) * 5 // 4)
    t = np.unique(np.linspace(0, last, _POINTS).round().astype(np.int64))
    followed = dict.fromkeys(definition.follows(), 0.1 * (1 - t / last))
    return svg(t, definition.values(t, followed), f"The example of {kind}")


def write(folder: Path) -> None:
    """Write the manual and its plots below a folder."""
    (folder / "kinds").mkdir(parents=True, exist_ok=True)
    (folder / "kinds.md").write_text(manual())
    for kind in KINDS:
        (folder / "kinds" / f"{kind}.svg").write_text(plot(kind))


def _contents() -> str:
    rows = (
        f"| {family} | {' · '.join(f'[`{kind}`](#{kind})' for kind in _kinds(family))} |"
        for family in get_args(Family)
    )
    return "\n".join(["| family | kinds |", "|---|---|", *rows, ""])


def _kinds(family: str) -> Iterator[str]:
    return (kind for kind, cls in KINDS.items() if cls.family == family)


def _family(name: str) -> str:
    return "\n".join([f"## {name}\n", *(_section(describe(kind)) for kind in _kinds(name))])


def _section(known: wire.Kind) -> str:
    kind = known["kind"]
    rows = "".join(map(_row, known["fields"]))
    names = " · ".join(f"{name} `{called}`" for name, called in sorted(known["names"].items()))
    parts = [
        f"### {kind}\n",
        f"{known['summary']}\n",
        f"![The example of {kind}](kinds/{kind}.svg)\n",
        f"**Value**: {known['formula']}.\n",
        f"**Before the start**: {known['before']}. **Past the end**: {known['after']}.\n",
        "| field | type | unit | bounds | default | |\n|---|---|---|---|---|---|\n" + rows,
        "```json\n" + json.dumps(known["example"], indent=2) + "\n```\n",
    ]
    if known["expansion"]:
        parts.append(_expansion(known["expansion"]))
    if names:
        parts.append(f"**Elsewhere**: {names}\n")
    return "\n".join(parts)


def _row(field: wire.KindField) -> str:
    default = "required" if field["required"] else f"`{json.dumps(field['default'])}`"
    cells = [
        f"`{field['name']}`",
        field["type"],
        field["unit"] or "",
        ", ".join(field["bounds"]).replace("|", "\\|"),
        default,
        field["description"],
    ]
    return f"| {' | '.join(cells)} |\n"


def _expansion(expansion: dict[str, Any]) -> str:
    text = json.dumps(expansion, indent=2)
    summary = "<details><summary>What the example expands to</summary>"
    return f"{summary}\n\n```json\n{text}\n```\n\n</details>\n"


_WIDTH: Final = 560
_HEIGHT: Final = 180
_LEFT, _RIGHT, _TOP, _BOTTOM = 70, 14, 12, 26
_STYLE: Final = (
    "text{font:11px system-ui,sans-serif;fill:#777}"
    "polyline{fill:none;stroke:#3273dc;stroke-width:2;stroke-linejoin:round}"
    "line{stroke:#8884;stroke-width:1}"
)


def svg(t: Array, values: Floats, title: str) -> str:
    """Return the line through the points (t, values), at least two; t rises."""
    low, high = float(values.min()), float(values.max())
    if low == high:
        low, high = min(low, 0.0), max(high, 0.0) or 1.0
    across = (_WIDTH - _LEFT - _RIGHT) / (float(t[-1]) - float(t[0]))
    down = (_HEIGHT - _TOP - _BOTTOM) / (high - low)
    points = " ".join(
        f"{_LEFT + (x - float(t[0])) * across:.1f},{_TOP + (high - y) * down:.1f}"
        for x, y in zip(t.tolist(), values.tolist(), strict=True)
    )
    base = _HEIGHT - _BOTTOM
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img">',
        f"<title>{title}</title><style>{_STYLE}</style>",
        *(_line(y) for y in (_TOP, (_TOP + base) / 2, base)),
        _text(_LEFT - 8, _TOP + 4, "end", high),
        _text(_LEFT - 8, base + 4, "end", low),
        _text(_LEFT, _HEIGHT - 8, "start", float(t[0])),
        _text(_WIDTH - _RIGHT, _HEIGHT - 8, "end", float(t[-1])),
        f'<polyline points="{points}"/>',
        "</svg>\n",
    ]
    return "\n".join(parts)


def _line(y: float) -> str:
    return f'<line x1="{_LEFT}" y1="{y:g}" x2="{_WIDTH - _RIGHT}" y2="{y:g}"/>'


def _text(x: float, y: float, anchor: str, number: float) -> str:
    return f'<text x="{x:g}" y="{y:g}" text-anchor="{anchor}">{number:.6g}</text>'


if __name__ == "__main__":
    write(Path(sys.argv[1]))
