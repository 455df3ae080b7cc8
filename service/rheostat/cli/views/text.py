"""How numbers, times, definitions and changes are written for people."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from rheostat.changes import EDITS
from rheostat.limits import LARGE_UNITS

SHAPED = {"power": {"power", "polynomial"}, "ratio": {"exponential", "rational", "logarithmic"}}
"""The shapes that have a use for a field."""


def exact(value: float) -> str:
    """Write the shortest number that reads back to the same float64: ``1e-5``, ``14680064``."""
    written = re.sub(r"e([+-])0*", lambda match: "e" + match[1].strip("+"), repr(value))
    return written.removesuffix(".0")


def short(value: float, digits: int = 6) -> str:
    """Write a number with at most ``digits`` significant digits."""
    return exact(float(f"{value:.{digits}g}"))


def count(value: int) -> str:
    """Write a whole number with its thousands apart, as in ``12,345``."""
    return f"{value:,}"


def compact(value: float) -> str:
    """Write a whole number with a unit where that loses nothing, as in ``2.5M``; else in full."""
    for size, unit in LARGE_UNITS:
        if abs(value) >= size:
            text = f"{value / size:.10g}"
            return text + unit if len(text) <= 4 else f"{value:,.10g}"
    return f"{value:,.10g}"


def size(count: int) -> str:
    """Write a number of bytes in the unit that people would use, as in ``84.1 GB``."""
    number = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if number < 999.5:
            return f"{short(number, 3)} {unit}"
        number /= 1000
    return f"{short(number, 3)} TB"


def seconds(duration: float) -> str:
    """Write a duration in the unit that people would use, as in ``8 s`` or ``2 h 5 min``."""
    if duration < 10:
        return f"{short(round(duration, 1))} s"
    whole = round(duration)
    if whole < 100:
        return f"{whole} s"
    minutes = round(duration / 60)
    if minutes < 100:
        return f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60} min" if minutes % 60 else f"{minutes // 60} h"


def bar(share: float, width: int) -> str:
    """Draw a share from 0 to 1 as a bar of so many characters."""
    full = round(min(max(share, 0.0), 1.0) * width)
    return "━" * full + "─" * (width - full)


def signal(data: Mapping[str, Any]) -> str:
    """Write a signal with its arguments, as one would type it."""
    arguments = data.get("arguments") or {}
    return " ".join([str(data["signal"]), *(f"{k}={literal(v)}" for k, v in arguments.items())])


def cut(written: str, most: int = 200) -> str:
    """Return a text whose end is left out where it is long."""
    return written if len(written) <= most else written[:most] + "…"


def brief(value: Any, most: int = 200) -> str:
    """Write what somebody sent along as JSON, cut where it is long."""
    return cut(json.dumps(value, ensure_ascii=False), most)


def when(moment: str, now: datetime | None = None) -> str:
    """Write an ISO 8601 time as its distance from now, or as a date when that is over a week."""
    then = datetime.fromisoformat(moment)
    seconds = int(((now or datetime.now(UTC)) - then).total_seconds())
    if seconds < 10:
        return "just now"
    for size, unit in ((60, "s"), (3600, "min"), (86_400, "h"), (7 * 86_400, "d")):
        if seconds < size:
            per_unit = {"s": 1, "min": 60, "h": 3600, "d": 86_400}[unit]
            return f"{seconds // per_unit} {unit} ago"
    return f"{then:%Y-%m-%d %H:%M} UTC"


def definition(data: Mapping[str, Any]) -> str:
    """Write a definition in the words that the command line reads, as far as one line can."""
    if data.get("kind") == "constant":
        return literal(data.get("value"))
    if "words" in data:  # as it was written: what it comes to depends on the run
        clock = {name: data[name] for name in ("clock",) if name in data}
        data = {**data["words"]["definition"], **clock}
    return " ".join([str(data.get("kind", "?")), *_fields(data, {"kind"})])


def formula(data: Mapping[str, Any]) -> str:
    """Write a definition for people: as `definition` does, but a scaled curve as a product."""
    if data.get("kind") == "scale" and isinstance(data.get("of"), Mapping):
        return f"{literal(data['factor'])} × ({formula(data['of'])})"
    return definition(data)


def change(data: Mapping[str, Any] | Sequence[Mapping[str, Any]]) -> str:
    """Write a change, or several that follow one another, as one would type them."""
    if not isinstance(data, Mapping):
        return ", ".join(change(item) for item in data)
    name = data.get("edit")
    if name is None:
        return definition(data)
    if name == "replace":
        return " ".join(
            [
                "replace",
                definition(data.get("definition", {})),
                *_fields(data, {"edit", "definition"}),
            ]
        )
    bare = EDITS[name].bare if name in EDITS else None
    value = data.get(bare) if bare else None
    words = [name] if value is None else [name, literal(value)]
    return " ".join([*words, *_fields(data, {"edit", bare})])


def _fields(data: Mapping[str, Any], without: set[str | None]) -> list[str]:
    given = {k: v for k, v in data.items() if k not in without and not _idle(k, data)}
    return [f"{key}={literal(v)}" for key, v in given.items() if v is not None and v is not False]


def _idle(field: str, data: Mapping[str, Any]) -> bool:
    """Say whether a field does nothing, because the shape has no use for it."""
    shape = data.get("shape", data.get("decay_shape"))
    return shape is not None and field in SHAPED and shape not in SHAPED[field]


def literal(value: Any) -> str:
    """Write a field's value as the command line reads it, as far as one word can."""
    if isinstance(value, bool | str):
        return value if isinstance(value, str) else json.dumps(value)
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return exact(value)
    if isinstance(value, Mapping):
        return f"({definition(value) if 'kind' in value else ' '.join(_fields(value, set()))})"
    if isinstance(value, Sequence):
        return _list(value)
    return json.dumps(value)


def _list(items: Sequence[Any]) -> str:
    """Write a list in brackets; a long one by its first and last items."""
    texts = [literal(item) for item in items]
    if len(texts) > 8:
        texts = [*texts[:3], f"… {len(texts) - 4} more …", texts[-1]]
    return f"[{', '.join(texts)}]"
