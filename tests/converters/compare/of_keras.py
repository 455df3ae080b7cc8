"""The schedules of Keras, called in float64."""

from __future__ import annotations

import os
from random import Random

os.environ.setdefault("KERAS_BACKEND", "torch")

import keras
import numpy as np
from tests.converters.compare.draws import (
    FLAG,
    RATE,
    Draw,
    Params,
    among,
    either,
    fields,
    real,
    whole,
)
from tests.converters.compare.trials import Configuration, begins_at

VERSION = keras.__version__
START: dict[str, Draw] = {"initial_learning_rate": RATE}
LENGTH = either(whole(1, 90), lambda rng: rng.randint(4, 720) / 8)
"""Draw a length that float32 has exactly, as which Keras takes it."""


def levels(rng: Random) -> Params:
    """Draw boundaries, and one value more."""
    steps = sorted(rng.sample(range(100), rng.randint(1, 5)))
    return {"boundaries": steps, "values": [RATE(rng) for _ in [*steps, 0]]}


SCHEDULERS: dict[str, Draw] = {
    "ExponentialDecay": fields(
        {**START, "decay_steps": LENGTH, "decay_rate": real(0.05, 1.1)}, staircase=FLAG
    ),
    "PiecewiseConstantDecay": levels,
    "PolynomialDecay": fields(
        {**START, "decay_steps": LENGTH},
        end_learning_rate=either(among(0.0, 1e-4), real(0.0, 0.1)),
        power=either(among(0.5, 1.0, 2.0), real(0.1, 4.0)),
        cycle=FLAG,
    ),
    "InverseTimeDecay": fields(
        {**START, "decay_steps": LENGTH, "decay_rate": real(0.0, 4.0)}, staircase=FLAG
    ),
    "CosineDecay": fields(
        {**START, "decay_steps": LENGTH},
        alpha=real(0.0, 1.0),
        warmup_target=either(among(None), RATE),
        warmup_steps=whole(0, 60),
    ),
    "CosineDecayRestarts": fields(
        {**START, "first_decay_steps": either(whole(1, 60), real(1.0, 60.0))},
        t_mul=either(among(1.0, 2.0), real(1.0, 3.0)),
        m_mul=either(among(1.0), real(0.3, 1.2)),
        alpha=real(0.0, 1.0),
    ),
}


def values(configuration: Configuration) -> list[float]:
    """Return the schedule's values in float64, up to where it fails."""
    before = keras.config.floatx()
    keras.config.set_floatx("float64")
    try:
        cls = getattr(keras.optimizers.schedules, configuration.name)
        schedule = cls(**configuration.params)
        steps = range(configuration.steps)
        return [float(keras.ops.convert_to_numpy(schedule(np.float64(t)))) for t in steps]
    except (ZeroDivisionError, ValueError):
        return []
    finally:
        keras.config.set_floatx(before)


def spared(configuration: Configuration, step: int) -> bool:
    """Return whether a cycle, which Keras finds by a rounded logarithm, begins at a step."""
    if configuration.name != "CosineDecayRestarts":
        return False
    params = configuration.params
    return begins_at(step, 0.0, params["first_decay_steps"], params.get("t_mul", 2.0))
