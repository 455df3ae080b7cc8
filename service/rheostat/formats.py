"""
The formats in which curves are written: the one table of them.

The service negotiates by it and writes by it (`rheostat.curve_files`), the command line's
``--format`` and ``--output`` take what is in it, and ``docs/formats.md`` is made of it.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Literal, Self

Content = Literal["text", "binary", "picture"]


class Format(StrEnum):
    """A format, by the name that ``?format=`` takes; among equals, those before are preferred."""

    media_type: str
    content: Content
    """Whether it is text, which has the narrower limit of values; binary; or a picture."""
    memory: int
    """Bytes that a value takes at most while an answer is made."""
    sentence: str

    def __new__(
        cls, name: str, media_type: str, content: Content, memory: int, sentence: str
    ) -> Self:
        """Return the format with its row of the table."""
        made = str.__new__(cls, name)
        made._value_ = name
        made.media_type, made.content, made.memory = media_type, content, memory
        made.sentence = sentence
        return made

    JSON = (
        "json",
        "application/json",
        "text",
        48,
        "Numbers are the shortest text that reads back to the same float64.",
    )
    F64 = (
        "f64",
        "application/octet-stream",
        "binary",
        8,
        "Little-endian float64, parameter after parameter.",
    )
    NPY = ("npy", "application/x-npy", "binary", 8, "NumPy's file format, parameters × count.")
    CSV = (
        "csv",
        "text/csv",
        "text",
        64,
        "A column of steps, then a column for each parameter; lines end as in RFC 4180.",
    )
    PNG = ("png", "image/png", "picture", 64, "A plot.")
    SVG = ("svg", "image/svg+xml", "picture", 64, "A plot.")
    PDF = ("pdf", "application/pdf", "picture", 64, "A plot.")

    @property
    def picture(self) -> bool:
        """Whether it is a plot."""
        return self.content == "picture"


FORMATS = {str(item): item for item in Format}
"""Each format by its name."""
PICTURES = tuple(item for item in Format if item.picture)
"""Those that plot curves."""
NUMBERS = tuple(item for item in Format if not item.picture and item is not Format.JSON)
"""Those that hold nothing but the numbers of curves."""
