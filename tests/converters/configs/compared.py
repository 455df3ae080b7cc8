"""How a file's curve is compared with a formula of its project, written again in a test."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import pytest

from rheostat.converters import config_conversion
from rheostat.converters.configs import library_of
from rheostat.errors import Invalid
from rheostat.schedules import evaluate
from rheostat.schedules.definition import Definition


def assert_same(
    definition: Definition, formula: Callable[[int], float], steps: Iterable[int]
) -> None:
    """Compare a curve with a formula of the step, to what float64 leaves of it."""
    places = list(steps)
    found = evaluate(definition, np.array(places, dtype=np.int64))
    expected = [formula(step) for step in places]
    assert found.tolist() == pytest.approx(expected, rel=1e-11, abs=1e-16)


def assert_refused(project: str, config: Mapping[str, Any], field: str, **lengths: Any) -> None:
    """Expect that a file is refused by the path of a field."""
    with pytest.raises(Invalid) as caught:
        config_conversion(project, config, **lengths)
    assert field in [error.field for error in caught.value.errors]


def assert_told(project: str, config: Mapping[str, Any]) -> None:
    """Expect that a file tells by its fields whose it is."""
    assert library_of(config).library == project
