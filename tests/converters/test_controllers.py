"""
Every plateau and early stopping of a library, against the controller that it becomes.

The records with ``metrics`` are the library's own: what it was given at one call after the other,
and what its value was after each, or at which call it stopped.
"""

from __future__ import annotations

import numpy as np
import pytest
from tests.converters.records import CASES, Case, asked

from rheostat.controllers.simulate import Simulation, simulate
from rheostat.converters import Conversion, conversion

RECORDS = [case for case in CASES if "metrics" in case and not case["name"].startswith("Greedy")]
GREEDY = [case for case in CASES if "metrics" in case and case["name"].startswith("Greedy")]


def converted(case: Case) -> Conversion:
    """Return what a record's scheduler becomes; a record of a maximum names its metric itself."""
    return conversion(case["file"], case["name"], **{"metric": "watched", **asked(case)})


def simulated(case: Case) -> Simulation:
    """Return what the controller makes of a record's metrics, reported at its own steps."""
    found = converted(case)
    assert found.controller is not None
    reports = [
        (step, float(value)) for step, value in zip(case["steps"], case["metrics"], strict=True)
    ]
    base = case.get("base_value", 1.0)
    return simulate(found.controller, reports, definition=found.definition, base_value=base)


def of(records: list[Case], field: str) -> pytest.MarkDecorator:
    """Return the parameters of a test of the records that have a field."""
    chosen = [case for case in records if field in case]
    return pytest.mark.parametrize("case", chosen, ids=[case["id"] for case in chosen])


@of(RECORDS, "values")
def test_a_plateau_falls_when_its_library_s_own_does(case: Case) -> None:
    """After each report the value is the library's, so that each drop is at the very call."""
    found = simulated(case)
    assert found.steps == case["steps"]
    assert np.asarray(found.values) == pytest.approx(np.asarray(case["values"]), rel=1e-12)
    drops = [case["steps"][i] for i in np.flatnonzero(np.diff(case["values"]) < 0) + 1]
    assert [each["step"] for each in found.decisions if each["decision"] == "change"] == drops
