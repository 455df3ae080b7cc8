"""
What the classes of other libraries did with random series, and what their readings do here.

``records.json`` is made by `make`, of the cases of `series`. The classes themselves are stepped
beside the readings in ``tests/torch/test_live_controllers.py``, where they are installed.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.controllers import live, series
from tests.controllers.make import FILE, PLATEAUS, STOPS

from rheostat.controllers import KINDS, parse_controller, simulate

RECORDS: dict[str, dict[str, Any]] = json.loads(FILE.read_text())


def stopped(reading: str, number: int) -> int:
    """Return where a reading stops: the index of the report, or -1."""
    controller, reports = series.stop(reading, number)
    decisions = simulate(parse_controller(controller), reports).decisions
    steps = [step for step, _ in reports]
    return steps.index(decisions[0]["step"]) if decisions else -1


def fallen(reading: str, number: int) -> dict[str, Any]:
    """Return at which reports the value falls, and to which one in the end."""
    controller, reports = series.plateau(reading, number)
    found = simulate(parse_controller(controller), reports, base_value=live.BASE)
    falls = [decision["step"] - 1 for decision in found.decisions]
    return {"falls": falls, "last": pytest.approx(found.values[-1], rel=1e-14)}


@pytest.mark.parametrize("reading", live.STOPS)
def test_a_stop_is_at_the_report_at_which_the_library_stops(reading: str) -> None:
    """In 2,000 random series of each library the reading stops at the very same report."""
    found = [stopped(reading, number) for number in range(STOPS)]
    assert found == RECORDS["stop"][reading]["found"]


@pytest.mark.parametrize("reading", live.PLATEAUS)
def test_a_plateau_falls_at_the_report_at_which_the_library_falls(reading: str) -> None:
    """In 400 random series of each library the falls are the same, and the values that remain."""
    found = [fallen(reading, number) for number in range(PLATEAUS)]
    assert found == RECORDS["plateau"][reading]["found"]


@pytest.mark.parametrize(("kind", "count"), [("stop", STOPS), ("plateau", PLATEAUS)])
def test_the_cases_are_those_that_were_recorded(kind: str, count: int) -> None:
    """The random series are the very same as when the libraries saw them."""
    for reading, record in RECORDS[kind].items():
        assert series.digest(getattr(series, kind), reading, count) == record["cases"], reading


def test_the_records_are_worth_comparing() -> None:
    """Every library stops at many places, and not always; rates fall not at all, and often."""
    for record in RECORDS["stop"].values():
        assert len({*record["found"]}) > 30
        assert 0.01 < record["found"].count(-1) / STOPS < 0.7
    for record in RECORDS["plateau"].values():
        assert {0, 1, 2, 3, 4} <= {len(each["falls"]) for each in record["found"]}


@pytest.mark.parametrize("kind", ["stop", "plateau"])
def test_every_reading_has_records(kind: str) -> None:
    """No reading is added without a record of its library's own class."""
    readings = {cls.model_fields["reading"].default for cls in KINDS[kind]}
    assert readings == RECORDS[kind].keys()
