"""Converters are given anything, and either convert it or refuse it."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.converters.records import CASES, asked

from rheostat.errors import Invalid
from rheostat.schedules import convert, evaluate

STEPS = np.array([0, 1, 2, 7, 99, 10**6, 2**53 - 1])

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
    """P10: whatever stands in a parameter, the answer is finite values or a refusal."""
    given = deepcopy(asked(case))
    for _ in range(changes.draw(st.integers(1, 2))):
        path = changes.draw(st.sampled_from(places(given)))
        replaced(given, path, changes.draw(garbage))
    try:
        definition = convert(case["file"], case["name"], **given)
    except Invalid:
        return
    if not definition.follows():
        assert np.isfinite(evaluate(definition, STEPS)).all()
