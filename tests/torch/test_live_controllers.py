"""
The classes of other libraries themselves, stepped through the series of which there are records.

``tests/controllers/test_records.py`` holds our readings to the same records, so that the two are
equal wherever both tests pass.
"""

from __future__ import annotations

import pytest
from tests.controllers import live, series
from tests.controllers.make import STOPS, falls, stops
from tests.controllers.test_records import RECORDS, stopped

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.mark.parametrize("reading", ["lightning", "keras", "transformers"])
def test_a_class_stops_where_it_stopped(reading: str) -> None:
    """The installed version stops in each of 2,000 series where the recorded one did."""
    pytest.importorskip(reading)
    assert stops(reading) == RECORDS["stop"][reading]["found"]


@pytest.mark.parametrize("reading", ["torch", "keras"])
def test_a_class_falls_where_it_fell(reading: str) -> None:
    """The installed version lowers the rate in each of 400 series as the recorded one did."""
    pytest.importorskip(reading)
    assert falls(reading) == RECORDS["plateau"][reading]["found"]


@pytest.mark.parametrize("reading", ["lightning", "keras", "transformers"])
def test_a_class_beside_its_reading(reading: str) -> None:
    """In series beyond the recorded ones, class and reading stop at the very same report."""
    pytest.importorskip(reading)
    for number in range(STOPS, STOPS + 200):
        index = live.STOPS[reading](*series.stop(reading, number))
        assert stopped(reading, number) == (-1 if index is None else index), number
