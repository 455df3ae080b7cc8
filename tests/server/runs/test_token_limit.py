"""The grammar of tokens' limits: what is read, what is refused, and that it is written as read."""

from __future__ import annotations

from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rheostat import wire
from rheostat.errors import Invalid
from rheostat.limits import MAX_LIMIT, MAX_LIMITED, MAX_NAME, MAX_PARAMETERS, MAX_STEP
from rheostat.server.runs.token_limit import (
    COUNTED,
    EDIT_NAMES,
    FREE,
    PERIODS,
    Rate,
    TokenLimit,
)

WHOLE = "changes=20/day, gap=500, parameters=lr|weight_decay, edits=scale|hold, ratio=2"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("changes=20/day", {"changes": Rate(20, "day")}),
        ("changes = 1 / hour", {"changes": Rate(1, "hour")}),
        ("changes=1k/week", {"changes": Rate(1000, "week")}),
        (f"changes={MAX_LIMITED}/week", {"changes": Rate(MAX_LIMITED, "week")}),
        ("gap=1", {"gap": 1}),
        ("gap=2.5k", {"gap": 2500}),
        (f"gap={MAX_STEP}", {"gap": MAX_STEP}),
        ("parameters=wd|lr|lr", {"parameters": ("lr", "wd")}),
        ("parameters=lr/*|wd/head", {"parameters": ("lr/*", "wd/head")}),
        ("edits=hold|scale", {"edits": ("scale", "hold")}),
        ("ratio=1", {"ratio": 1.0}),
        ("ratio=1.5", {"ratio": 1.5}),
        ("ratio=1e3", {"ratio": 1000.0}),
        ("acts=signal|stop", {"acts": ("stop", "signal")}),
        ("acts=change|stop|signal", {}),
        (
            WHOLE,
            {
                "changes": Rate(20, "day"),
                "gap": 500,
                "parameters": ("lr", "weight_decay"),
                "edits": ("scale", "hold"),
                "ratio": 2.0,
            },
        ),
    ],
)
def test_every_word_is_read(text: str, found: dict[str, Any]) -> None:
    """Each word bounds its own, numbers may have units, and spaces mean nothing."""
    assert TokenLimit.parse(text) == TokenLimit(**found)


@pytest.mark.parametrize(
    ("text", "value", "bound", "message"),
    [
        ("", "", "some of changes=…", "bounds nothing"),
        (" ", "", "some of changes=…", "bounds nothing"),
        ("gap=1,", "", "some of changes=…", "bounds nothing"),
        ("20/day", "20/day", "some of changes=…", "bounds nothing"),
        ("gaps=5", "gaps=5", "ratio=…", "did you mean"),
        ("Gap=5", "Gap=5", "ratio=…", "bounds nothing"),
        ("gap=1, gap=2", "gap=1, gap=2", "once", "says gap twice"),
        ("changes=20", "20", f"a number from 1 to {MAX_LIMITED}", "changes must be"),
        ("changes=0/day", "0/day", f"a number from 1 to {MAX_LIMITED}", "changes must be"),
        ("changes=-1/day", "-1/day", f"a number from 1 to {MAX_LIMITED}", "changes must be"),
        ("changes=1.5/day", "1.5/day", f"a number from 1 to {MAX_LIMITED}", "changes must be"),
        ("changes=٣/day", "٣/day", f"a number from 1 to {MAX_LIMITED}", "changes must be"),
        (f"changes={MAX_LIMITED + 1}/day", None, f"from 1 to {MAX_LIMITED}", "changes must be"),
        ("changes=5/days", "days", "one of hour, day, week", "did you mean"),
        ("changes=5/", "", "one of hour, day, week", "counted by the"),
        ("gap=0", "0", f"a number of steps from 1 to {MAX_STEP}", "gap must be"),
        ("gap=1.5", "1.5", f"a number of steps from 1 to {MAX_STEP}", "gap must be"),
        (f"gap={MAX_STEP + 1}", None, f"from 1 to {MAX_STEP}", "gap must be"),
        ("parameters=", "", "names of parameters", "parameters must be"),
        ("parameters=lr||wd", "", "names of parameters", "parameters must be"),
        ("parameters=LR", "LR", "names of parameters", "parameters must be"),
        ("parameters=*", "*", "names of parameters", "parameters must be"),
        ("parameters=lr/**", "lr/**", "names of parameters", "parameters must be"),
        (f"parameters={'x' * (MAX_NAME + 1)}", None, "names of parameters", "parameters must be"),
        ("edits=", "", "one of scale, hold", "edits has no"),
        ("edits=scale|hodl", "hodl", "one of scale, hold", "did you mean"),
        ("ratio=", "", "a finite number >= 1", "ratio must be"),
        ("ratio=0.5", "0.5", "a finite number >= 1", "ratio must be"),
        ("ratio=-2", "-2", "a finite number >= 1", "ratio must be"),
        ("ratio=nan", "nan", "a finite number >= 1", "ratio must be"),
        ("ratio=inf", "inf", "a finite number >= 1", "ratio must be"),
        ("ratio=1e999", "1e999", "a finite number >= 1", "ratio must be"),
        ("ratio=1_0", "1_0", "a finite number >= 1", "ratio must be"),
        ("ratio=２", "２", "a finite number >= 1", "ratio must be"),
        ("acts=", "", "one of change, stop, signal", "acts has no"),
        ("acts=rewind", "rewind", "one of change, stop, signal", "acts has no"),
        ("acts=pause", "pause", "one of change, stop, signal", "acts has no"),
        ("gap=1;ratio=2", "1;ratio=2", "a number of steps", "gap must be"),
        ("gap=1\nratio=2", "1\nratio=2", "a number of steps", "gap must be"),
    ],
)
def test_what_is_written_otherwise_is_refused(
    text: str, value: str | None, bound: str, message: str
) -> None:
    """P10: nothing is guessed or left out; the refusal names field, value and bound."""
    with pytest.raises(Invalid) as refusal:
        TokenLimit.parse(text)
    (error,) = refusal.value.errors
    assert error.field == "limit"
    assert value is None or error.value == value
    assert bound in (error.bound or "")
    assert message in error.message


def test_too_many_parameters_are_refused() -> None:
    """P10: no more names than a run may have parameters."""
    names = [f"{a}{b}" for a in "abcdefghijklmnopq" for b in "abcdefghijklmnopq"]
    text = "parameters=" + "|".join(names[: MAX_PARAMETERS + 1])
    assert len(text) <= MAX_LIMIT
    with pytest.raises(Invalid, match="too many parameters") as refusal:
        TokenLimit.parse(text)
    assert refusal.value.errors[0].bound == f"<= {MAX_PARAMETERS}"
    assert TokenLimit.parse("parameters=" + "|".join(names[:MAX_PARAMETERS])).parameters


def test_a_long_text_is_refused_as_it_would_be_kept() -> None:
    """P10: `MAX_LIMIT` holds for what is sent, and for what is written out and read again."""
    with pytest.raises(Invalid) as refusal:
        TokenLimit.parse("gap=1" + " " * MAX_LIMIT)
    assert refusal.value.errors[0].bound == f"<= {MAX_LIMIT} characters"
    names = "|".join(f"p{number:03}" for number in range(201))
    text = f"parameters={names}, gap=1T"
    assert len(text) <= MAX_LIMIT
    with pytest.raises(Invalid, match=f"at most {MAX_LIMIT} are read"):
        TokenLimit.parse(text)


names = st.from_regex(r"[a-z][a-z0-9_]{0,8}(/([a-z][a-z0-9_]{0,8}|\*))?", fullmatch=True)
limits = st.builds(
    TokenLimit,
    changes=st.none()
    | st.builds(Rate, st.integers(1, MAX_LIMITED), st.sampled_from(sorted(PERIODS))),
    gap=st.none() | st.integers(1, MAX_STEP),
    parameters=st.none()
    | st.sets(names, min_size=1, max_size=20).map(lambda found: tuple(sorted(found))),
    edits=st.none()
    | st.sets(st.sampled_from(EDIT_NAMES), min_size=1).map(
        lambda found: tuple(name for name in EDIT_NAMES if name in found)
    ),
    ratio=st.none() | st.floats(1, allow_nan=False, allow_infinity=False),
    acts=st.sets(st.sampled_from(COUNTED), min_size=1).map(
        lambda found: tuple(name for name in COUNTED if name in found)
    ),
)


@given(limits)
def test_what_is_written_is_read_as_it_was(limit: TokenLimit) -> None:
    """P4: a limit is kept as text, and comes back the same, to the last bit of its ratio."""
    assert TokenLimit.parse(str(limit)) == limit
    assert str(TokenLimit.parse(str(limit))) == str(limit)


@given(st.text(max_size=60) | st.from_regex(r"(gap|ratio|edits|acts|changes)=[^,]{0,9}"))
def test_any_text_is_read_or_refused(text: str) -> None:
    """P10: whatever is sent, it is a limit that can be written, or a refusal that says why."""
    found = read(text)
    if isinstance(found, TokenLimit):
        assert TokenLimit.parse(str(found)) == found
    else:
        assert found.errors[0].field == "limit"
        assert found.errors[0].bound


def read(text: str) -> TokenLimit | Invalid:
    """Return the limit that a text writes, or why it is none."""
    try:
        return TokenLimit.parse(text)
    except Invalid as refusal:
        return refusal


def test_what_a_newer_release_wrote_lets_nothing_through() -> None:
    """A limit that is not understood leaves no act that counts, and is shown as it is."""
    limit = TokenLimit.of_newer("cost=5/day")
    assert limit.allowed == FREE
    assert str(limit) == "cost=5/day"


def test_acts_are_those_that_can_be_proposed() -> None:
    """Whatever counts, or is free, is an act of the wire; all else is left to proposals."""
    assert set(COUNTED) | set(FREE) < set(get_args(wire.ProposalKind))
    assert not set(COUNTED) & set(FREE)


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (None, {"lr", "lr/head", "wd"}),
        (("lr",), {"lr"}),
        (("lr/*",), {"lr", "lr/head"}),
        (("lr/head", "wd"), {"lr/head", "wd"}),
        (("momentum",), set()),
    ],
)
def test_names_mean_what_they_mean_in_changes(
    words: tuple[str, ...] | None, meant: set[str]
) -> None:
    """`lr` is `lr` alone, `lr/*` all of its groups, and what a run has not is nothing."""
    assert TokenLimit(parameters=words).names(("lr", "lr/head", "wd")) == meant
