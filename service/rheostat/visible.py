"""
Other people's text, as a terminal or a log may be given it: names, messages, notes, refusals.

Nothing of it can move the cursor, colour or hide text, or pass for a line of ours. Machines are
given it as it is.
"""

from __future__ import annotations

import re

UNSEEN = re.compile(
    r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)
"""Control characters, ends of lines, what turns text around, and halves of characters."""

CUT = "…"


def visible(text: str, most: int | None = None) -> str:
    r"""
    Return one line of text in which what cannot be seen is written as ``\n`` or ``\u202e``.

    With ``most``, a text of more characters is cut there, and ends with an ellipsis.
    """
    if most is not None:
        text = shortened(text, most)
    return UNSEEN.sub(lambda found: repr(found[0])[1:-1], text)


def shortened(text: str, most: int) -> str:
    """Return a text of at most so many characters: one that was cut ends with an ellipsis."""
    return text if len(text) <= most else text[: most - 1] + CUT


def visible_lines(text: str) -> str:
    """Return text in which nothing but ends of lines acts, and lines past the first stand in."""
    return "\n  ".join(map(visible, text.split("\n")))
