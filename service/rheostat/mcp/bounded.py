"""
Answers that a reader of words can take: short, and without what cannot be seen.

Names, labels, messages and notes are other people's text. It stays what it is, in its field; but
characters that hide, turn around or overwrite text are written out by their numbers, so that who
looks over an agent's shoulder sees what the agent sees.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from rheostat.visible import shortened

MOST: Final = 16_384
"""Bytes of the JSON of an answer, at most."""

UNSEEN: Final = re.compile(
    "[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufff9-\ufffb"
    # Default_Ignorable_Code_Point of Unicode, but for U+FE0F, which many emoji end in
    "\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e"
    "\u2060-\u206f\u3164\ufe00-\ufe0e\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3"
    "\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
"""Characters that act on a terminal, turn text around, or are not seen; not the end of a line."""


class Size(NamedTuple):
    """How much of each text and of each list is told."""

    text: int
    items: int


SIZES: Final = tuple(Size(2**n, max(2, 2 ** (n - 4))) for n in range(11, 3, -1))
"""From 2,048 characters and 128 items to 16 and 2."""


def bounded(answer: Mapping[str, Any], most: int = MOST) -> dict[str, Any]:
    """
    Return an answer in which all can be seen, cut until its JSON has at most so many bytes.

    One that was cut says so in ``cut``. What comes last in an object is cut like all else; of an
    object with more members than may be told, as of many parameters, the first ones stay.
    """
    whole = _visible(answer)
    length = len(written(whole))
    if length <= most:
        return dict(whole)
    room = most - 200  # for what is said of it
    for size in SIZES:
        found = _shortened(whole, size)
        if len(written(found)) <= room:
            return {**found, "cut": _told(length, size)}
    return {"cut": f"the answer has {length} bytes, more than can be told: ask for less of it"}


def written(answer: Any) -> bytes:
    """Return an answer as one line of JSON."""
    return json.dumps(answer, ensure_ascii=False, separators=(",", ":")).encode()


def seen(text: str) -> str:
    """Return a text in which characters that cannot be seen are written out."""
    return UNSEEN.sub(_written_out, text)


def _written_out(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"\\u{code:04x}" if code < 2**16 else f"\\U{code:08x}"


def _visible(value: Any) -> Any:
    if isinstance(value, str):
        return seen(value)
    if isinstance(value, Mapping):
        return {seen(str(key)): _visible(each) for key, each in value.items()}
    if isinstance(value, Sequence):
        return [_visible(each) for each in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)  # JSON has no number for it
    return value


def _shortened(value: Any, size: Size) -> Any:
    if isinstance(value, str):
        return shortened(value, size.text)
    if isinstance(value, dict):
        # an object of ours has few members: more are names of somebody's
        first = [*value.items()][: max(size.items, 32)]
        return {_shortened(key, size): _shortened(each, size) for key, each in first}
    if isinstance(value, list):
        return [_shortened(each, size) for each in value[: size.items]]
    return value


def _told(length: int, size: Size) -> str:
    return (
        f"it had {length} bytes: texts end with … after {size.text} characters, and lists after"
        f" {size.items} items; ask for less to see all"
    )


def thinned(steps: Sequence[int], most: int) -> list[int]:
    """Return the places of at most so many of the steps, evenly spread, first and last included."""
    if len(steps) <= most:
        return [*range(len(steps))]
    return sorted({round(n * (len(steps) - 1) / (most - 1)) for n in range(most)})


def short(values: Iterable[float]) -> list[float]:
    """Return values with six digits, which is what a curve is read for."""
    return [float(f"{value:.6g}") for value in values]
