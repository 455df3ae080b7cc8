"""What Keras writes of its optimizers, read as a configuration file."""

from __future__ import annotations

import numpy as np
import pytest

from rheostat.converters import config_conversion
from rheostat.schedules import evaluate

keras = pytest.importorskip("keras")


def test_what_keras_writes_is_read() -> None:
    """The library's own text of an optimizer gives the values of its own schedule."""
    schedule = keras.optimizers.schedules.ExponentialDecay(0.1, 10, 0.5, staircase=True)
    optimizer = keras.optimizers.AdamW(schedule, weight_decay=0.02)
    for config in (optimizer.get_config(), keras.optimizers.serialize(optimizer)):
        found = config_conversion("keras", config).parameters
        expected = [float(schedule(step)) for step in range(30)]
        assert evaluate(found["lr"], np.arange(30)) == pytest.approx(expected, rel=1e-6)
        assert evaluate(found["weight_decay"], 0) == 0.02
