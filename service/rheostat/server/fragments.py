"""
Definitions inside of documents: they are written from their canonical JSON, as it is.

A definition may have a million points. To make Python's lists and dictionaries of it only to
write them out again holds the interpreter's lock for long; its canonical JSON is made once.
"""

from __future__ import annotations

from typing import Any

import orjson

from rheostat.schedules import Definition


def dumps(document: Any) -> bytes:
    """Return a document as JSON, in which definitions may stand anywhere."""
    return orjson.dumps(document, default=fragment)


def fragment(value: Any) -> orjson.Fragment:
    """Return the JSON of a definition; raise `TypeError` for what is none."""
    if not isinstance(value, Definition):
        raise TypeError
    return orjson.Fragment(value.canonical)
