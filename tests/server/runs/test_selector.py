"""Selectors mean what they mean in Kubernetes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rheostat.errors import Invalid
from rheostat.server.runs.selector import EVERYTHING, Relation, Requirement, Selector

LABELS = {"team": "nlp", "stage": "pretrain", "gpu": "", "note": 'a "b", c'}

WHICH = [
    ("", True),
    ("team=nlp", True),
    ("team==nlp", True),
    ("team=vision", False),
    ("team!=vision", True),
    ("team!=nlp", False),
    ("absent!=nlp", True),
    ("absent=nlp", False),
    ("stage in (pretrain,mid)", True),
    ("stage in (mid)", False),
    ("stage notin (mid, late)", True),
    ("stage notin (pretrain)", False),
    ("absent notin (pretrain)", True),
    ("gpu", True),
    ("!gpu", False),
    ("!absent", True),
    ("absent", False),
    ("gpu=", True),
    ("team=", False),
    (" team = nlp , stage in ( pretrain , mid ) , !absent ", True),
    ("team=nlp,stage=mid", False),
    (r'note="a \"b\", c"', True),
    ('"team"="nlp"', True),
]


@pytest.mark.parametrize(("text", "expected"), WHICH)
def test_matches_as_kubernetes_does(text: str, *, expected: bool) -> None:
    """The forms of the documentation of Kubernetes, and what they say of a label that is absent."""
    assert Selector.parse(text).matches(LABELS) is expected


WRONG = [
    ("=a", "a label is expected, and not '='"),
    ("a,", "a label is expected at its end"),
    (",a", "a label is expected, and not ','"),
    ("a b", "',' is expected, and not 'b'"),
    ("a in b", "'(' is expected, and not 'b'"),
    ("a in (b", "')' is expected, and not its end"),
    ("a=b=c", "',' is expected, and not '='"),
    ('a="b', "cannot be read"),
    ("!", "a label is expected at its end"),
    ("!!a", "a label is expected, and not '!'"),
    ("a" * 129, "a label has at most 128 characters"),
    ("a=" + "b" * 1025, "a value has at most 1024 characters"),
    ("a," * 64 + "a", "at most 64 requirements are read"),
    (f"a in ({','.join(map(str, range(65)))})", "at most 64 values are read in a list"),
    ("a" * 4097, "selector has 4097 characters, and at most 4096 are read"),
]


@pytest.mark.parametrize(("text", "why"), WRONG)
def test_says_what_is_wrong(text: str, why: str) -> None:
    """What cannot be read is refused, with the place."""
    with pytest.raises(Invalid, match=r".*") as caught:
        Selector.parse(text)
    assert why in str(caught.value)
    assert caught.value.errors[0].field == "selector"


WORDS = st.text(min_size=1, max_size=6)
REQUIREMENTS = st.one_of(
    st.builds(Requirement, WORDS, st.sampled_from([Relation.EXISTS, Relation.ABSENT])),
    st.builds(
        Requirement,
        WORDS,
        st.sampled_from([Relation.IN, Relation.NOT_IN]),
        st.frozensets(st.text(max_size=6), min_size=1, max_size=3),
    ),
)


@given(st.lists(REQUIREMENTS, max_size=4))
def test_what_is_written_is_read_again(requirements: list[Requirement]) -> None:
    """Every label and value can be named, whatever its characters."""
    selector = Selector(tuple(requirements))
    assert Selector.parse(str(selector)) == selector


def test_everything_is_meant_by_nothing() -> None:
    """An empty selector asks for every run."""
    assert Selector.parse(" ") == EVERYTHING
