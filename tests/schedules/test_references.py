"""References to schedules of a library are replaced by what they refer to."""

from __future__ import annotations

from typing import Any

import pytest

from rheostat.errors import Invalid, UnknownSchedule
from rheostat.schedules import parse

LINE = {"kind": "linear", "start": 1.0, "end": 0.0, "steps": 10}
REFERENCE = {"kind": "schedule", "name": "decay", "version": 2}


def lookup(name: str, version: int | None) -> Any:
    if (name, version) == ("decay", 2):
        return parse(LINE)
    if (name, version) == ("deep", None):
        return deep(15)
    raise UnknownSchedule(f"there is no {name}")


def deep(depth: int) -> dict[str, Any]:
    data: dict[str, Any] = LINE
    for _ in range(depth):
        data = {"kind": "scale", "factor": 1, "of": data}
    return data


def test_references_are_inlined_anywhere() -> None:
    """A reference may stand wherever a definition may; what is kept is the content itself."""
    data = {"kind": "warmup", "steps": 5, "then": {"kind": "product", "of": [REFERENCE, LINE]}}
    definition = parse(data, lookup=lookup)
    assert definition.to_json()["then"]["of"] == [LINE, LINE]
    assert parse(REFERENCE, lookup=lookup) == parse(LINE)


def test_what_is_inlined_counts() -> None:
    """P10: nesting is limited after references are replaced, too."""
    data = {"kind": "scale", "factor": 1, "of": {"kind": "schedule", "name": "deep"}}
    with pytest.raises(Invalid) as caught:
        parse(data, lookup=lookup)
    assert "16 definitions" in caught.value.errors[0].message


def test_unknown_schedules_are_the_librarys_to_refuse() -> None:
    """An error of the library passes through."""
    with pytest.raises(UnknownSchedule):
        parse({"kind": "schedule", "name": "nothing"}, lookup=lookup)


@pytest.mark.parametrize("extra", [{"version": 0}, {"version": True}, {"name": 3}, {"of": 1}])
def test_wrong_references(extra: dict[str, Any]) -> None:
    """P10: a reference has a name and a version from 1 on, and nothing else."""
    with pytest.raises(Invalid) as caught:
        parse([{**REFERENCE, **extra}][0], lookup=lookup)
    assert caught.value.errors[0].field == f"definition.{next(iter(extra))}"
