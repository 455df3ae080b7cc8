"""
Every plateau and early stopping of a library, against the controller that it becomes.

The records with ``metrics`` are the library's own, and `simulate` reports the same metrics.
"""

from __future__ import annotations

import numpy as np
import pytest
from tests.converters.records import CASES, Case, asked

from rheostat.controllers import Simulation, simulate
from rheostat.converters import Conversion, conversion, registry
from rheostat.converters.core import Scheduler

REFUSED = "Refused"
FURTHER = "tests/converters/golden/further"
CONTROLLERS = [
    pytest.param(module, item, id=f"{module}/{item.names[0]}")
    for module in registry.NAMES
    for item in getattr(registry.find(module), "controllers", [])
    if not item.becomes.startswith(REFUSED)
]


def _of(case: Case) -> Scheduler | None:
    library = registry.find(case["file"])
    return library.find(case["name"]) if library else None


RECORDS = [
    case
    for case in CASES
    if "metrics" in case and (item := _of(case)) and not item.becomes.startswith(REFUSED)
]


def converted(case: Case) -> Conversion:
    """Return what a record's scheduler becomes."""
    return conversion(case["file"], case["name"], **asked(case))


def simulated(case: Case) -> Simulation:
    """Return what the controller makes of a record's metrics, reported at its own steps."""
    found = converted(case)
    assert found.controller is not None
    reports = [
        (step, float(value)) for step, value in zip(case["steps"], case["metrics"], strict=True)
    ]
    base = case.get("base_value", 1.0)
    return simulate(found.controller, reports, definition=found.definition, base_value=base)


def of(field: str) -> pytest.MarkDecorator:
    """Return the parameters of a test of the records that have a field."""
    chosen = [case for case in RECORDS if field in case]
    return pytest.mark.parametrize("case", chosen, ids=[case["id"] for case in chosen])


@of("values")
def test_a_plateau_falls_when_its_library_s_own_does(case: Case) -> None:
    """After each report the value is the library's, so that each drop is at the very call."""
    found = simulated(case)
    assert found.steps == case["steps"]
    assert np.asarray(found.values) == pytest.approx(np.asarray(case["values"]), rel=1e-12)


@of("stopped")
def test_a_stop_is_where_its_library_s_own_is(case: Case) -> None:
    """The report that stops the training is the one at which the library does."""
    calls = [case["steps"].index(each["step"]) + 1 for each in simulated(case).decisions]
    assert calls == ([] if case["stopped"] is None else [case["stopped"]])


@pytest.mark.parametrize(("module", "item"), CONTROLLERS)
def test_everything_that_reacts_has_records(module: str, item: Scheduler) -> None:
    """Each plateau falls, and each early stopping stops, in a record of its library's own."""
    held = [case for case in RECORDS if case["file"] == module and _of(case) is item]
    acting = [case for case in held if case.get("stopped") or len(set(case.get("values", ()))) > 1]
    assert acting, f"no record in {FURTHER}/{module}.jsonl in which {item.names[0]} decides"
