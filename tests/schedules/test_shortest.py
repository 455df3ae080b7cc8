"""Definitions without their defaults."""

from __future__ import annotations

import pytest

from rheostat.schedules import KINDS, parse
from rheostat.schedules.shortest import shortest


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_left_out_is_meant_all_the_same(kind: str) -> None:
    """The short form of each kind's example is read as the long one, and is no longer than it."""
    example = parse(KINDS[kind].about.example)
    short = shortest(example.to_json())
    assert parse(short) == example
    assert short.keys() <= example.to_json().keys()


def test_definitions_inside_are_short_too() -> None:
    """Only what somebody would write is left."""
    long = parse(
        {"kind": "warmup", "steps": 10, "then": {"kind": "ramp", "start": 1, "end": 0, "steps": 9}}
    )
    inner = shortest(long.to_json())["then"]
    assert inner == {"kind": "ramp", "start": 1.0, "end": 0.0, "steps": 9}


def test_parts_of_a_sequence_are_short_too() -> None:
    """What a part does not say is not written, and is meant all the same."""
    one = {"kind": "constant", "value": 1.0}
    parts = [{"schedule": one, "until": 5}, {"schedule": one, "from": 2.0, "steps": 3}]
    written = {"kind": "sequence", "parts": [*parts, {"schedule": one}]}
    assert shortest(parse(written).to_json()) == written
