"""What somebody probably meant."""

from __future__ import annotations

import pytest

from rheostat.schedules import KINDS
from rheostat.suggestions import LONGEST, MANY, did_you_mean


@pytest.mark.parametrize("word", ["cosin", "cosinee", "Cosine", "csoine"])
def test_a_slip_is_recognised(word: str) -> None:
    """A letter too few, too many, two exchanged, or in capitals."""
    assert did_you_mean(word, KINDS) == "; did you mean cosine?"


@pytest.mark.parametrize("word", ["", "zzz", None, 7, "cosine" * 100])
def test_what_is_like_nothing_has_no_question(word: object) -> None:
    """Nothing is suggested for what no name resembles, is no text, or is far too long."""
    assert did_you_mean(word, KINDS) == ""


def test_it_looks_at_few_names() -> None:
    """However many names there are, and however long, a bounded number is compared."""
    names = (str(n) for n in range(10**12))
    assert did_you_mean("x" * LONGEST, names) == ""
    assert next(names) == str(MANY)
