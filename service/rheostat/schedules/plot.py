"""Small line plots as SVG, without a plotting library: the same bytes everywhere."""

from __future__ import annotations

from typing import Final

from rheostat.schedules.definition import Array, Floats

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
