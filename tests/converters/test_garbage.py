"""Converters are given anything, and either convert it or refuse it."""

from __future__ import annotations

from copy import deepcopy
from math import inf, nan
from typing import Any

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.converters.records import CASES, asked

from rheostat.controllers import simulate
from rheostat.converters import conversion
from rheostat.errors import Invalid
from rheostat.schedules import evaluate

STEPS = np.array([0, 1, 2, 7, 99, 10**6, 2**53 - 1])
METRICS = [0.5, 0.4, 0.6, nan, 1e300, inf, -inf]

numbers = st.sampled_from(
    [0, 1, -1, 2, 3.5, -0.5, 1e-300, 1e300, 2**53, 2**63, 10**400, 0.1, 1000, 10**9, 1.0000001]
)
scalars = numbers | st.booleans() | st.none() | st.sampled_from(["", "cos", "1ep", "5", "x" * 300])
garbage = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["name", "params", "expr", "10", "x"]), inner, max_size=3)
    ),
    max_leaves=6,
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the paths of everything inside of JSON."""
    found = [path] if path else []
    if isinstance(value, (dict, list)):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            found += places(inner, (*path, key))
    return found


def replaced(case: dict[str, Any], path: tuple[Any, ...], value: Any) -> None:
    """Put a value at a path inside of a case."""
    *parents, last = path
    place: Any = case
    for parent in parents:
        place = place[parent]
    place[last] = value


@settings(max_examples=1_000, deadline=None, suppress_health_check=list(HealthCheck))
@given(case=st.sampled_from(CASES), changes=st.data())
def test_anything_is_converted_or_refused(case: dict[str, Any], changes: st.DataObject) -> None:
    """P10: whatever stands in a parameter, there is a definition, a controller or a refusal."""
    given = deepcopy(asked(case))
    for _ in range(changes.draw(st.integers(1, 2))):
        path = changes.draw(st.sampled_from(places(given)))
        replaced(given, path, changes.draw(garbage))
    try:
        found = conversion(case["file"], case["name"], **given)
    except Invalid:
        return
    if found.definition is not None and not found.definition.follows():
        assert np.isfinite(evaluate(found.definition, STEPS)).all()
    if found.controller is not None:
        reports = [(step, value) for step, value in zip(STEPS.tolist(), METRICS, strict=True)]
        simulate(found.controller, reports, definition=found.definition)
