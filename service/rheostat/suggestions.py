"""What somebody probably meant by a name that does not exist."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from itertools import islice
from typing import Any

ALIKE = 0.65
"""What part of two names is the same, at the least: of halve and table 0.6 is."""
LONGEST, MANY = 64, 256
"""Characters of a name, and how many names it is held against: comparing takes a millisecond."""


def did_you_mean(name: Any, known: Iterable[str]) -> str:
    """
    Return a question after the name that was probably meant, or nothing.

    >>> "there is no kind 'cosin'" + did_you_mean("cosin", ["constant", "cosine"])
    "there is no kind 'cosin'; did you mean cosine?"
    """
    if not isinstance(name, str) or len(name) > LONGEST:
        return ""
    by_key = {each.lower(): each for each in islice(known, MANY) if len(each) <= 2 * LONGEST}
    close = get_close_matches(name.lower(), by_key, n=1, cutoff=ALIKE)
    return f"; did you mean {by_key[close[0]]}?" if close else ""
