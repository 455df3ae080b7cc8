"""Random definitions at the service: sound ones, extreme ones, broken ones, and no definitions."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.schedules import strategies

EXAMPLES = int(os.environ.get("RHEOSTAT_EXAMPLES", "500"))
"""How many definitions are tried; `make fuzz` tries 100,000."""

STEPS = [0, 1, 7, 1000, 10**15, 2**53 - 1]

characters = st.characters(exclude_categories=["Cs"])
garbage = st.one_of(
    st.none(),
    st.booleans(),
    st.sampled_from([0, -1, 1.5, 1e308, -1e308, 1e-320, 2**53, 10**18, "", "10%", "rest", "x"]),
    st.integers(-(2**63), 2**63),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(characters, max_size=5),
    st.lists(st.integers(0, 3), max_size=3),
    st.dictionaries(st.sampled_from(["kind", "of", "steps", "x"]), st.integers(0, 3), max_size=2),
)
anything = st.recursive(
    garbage,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["kind", "of", "start", "parts"]), inner, max_size=4)
    ),
    max_leaves=8,
)


@st.composite
def broken(draw: Any) -> Any:
    """Return a sound definition with one value, somewhere, exchanged, dropped or added."""
    definition = draw(strategies.definitions)
    here = draw(st.sampled_from(list(_objects(definition))))
    field = draw(st.sampled_from([*here, "surprise"]))
    if draw(st.booleans()) and field in here:
        del here[field]
    else:
        here[field] = draw(garbage)
    return definition


def _objects(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
        for inner in value.values():
            yield from _objects(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _objects(inner)


@pytest.fixture(scope="module")
def http(server: str) -> Iterator[httpx.Client]:
    """Return one client for all examples."""
    with httpx.Client(base_url=server, timeout=60) as client:
        yield client


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(definition=strategies.definitions | strategies.extreme() | broken() | anything)
def test_every_definition_gets_finite_values_or_a_clear_refusal(
    http: httpx.Client, definition: Any
) -> None:
    """P10: never a 500, never a value that is not finite, always the field that is wrong."""
    response = http.post("/v1/evaluate", json={"definition": definition, "steps": STEPS})
    answer = response.json()
    if response.status_code == 200:
        assert all(math.isfinite(value) for value in answer["values"])
    else:
        assert response.status_code == 422, answer
        assert all(error["field"] and error["message"] for error in answer["errors"])
        assert answer["errors"]
