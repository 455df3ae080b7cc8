"""Every kind against values of another origin."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tests.schedules.cases import golden_cases

from rheostat.schedules import parse


@pytest.mark.parametrize("case", golden_cases())
def test_values_are_those_of_another_origin(case: dict[str, Any]) -> None:
    """Every golden value is met to a relative 1e-12, and 1e-15 of the peak."""
    steps = np.array(case["steps"])
    expected = np.array(case["values"])
    followed = {name: np.array(xs) for name, xs in case.get("followed", {}).items()}
    values = parse(case["definition"]).values(steps, followed)
    np.testing.assert_allclose(
        values, expected, rtol=1e-12, atol=1e-15 * float(np.abs(expected).max())
    )
