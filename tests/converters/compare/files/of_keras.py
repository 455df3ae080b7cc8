"""JSON of Keras, as `serialize` writes an optimizer, which `deserialize` makes again."""

from __future__ import annotations

import json
import os
from random import Random

os.environ.setdefault("KERAS_BACKEND", "torch")

import keras
import numpy as np
from tests.converters.compare.draws import RATE, among, fields, real
from tests.converters.compare.files.trials import File, Training
from tests.converters.compare.files.writing import as_json
from tests.converters.compare.of_keras import SCHEDULERS

VERSION = keras.__version__
_STEPS = 60
_SCHEDULES = [name for name in SCHEDULERS if name != "CosineDecayRestarts"]
"""Those that miss no restart by their rounding."""
_OPTIMIZERS = {
    "SGD": fields({}, momentum=real(0.0, 0.99), nesterov=among(True), weight_decay=among(0.01)),
    "AdamW": fields({}, weight_decay=among(0.004, 0.1), beta_1=among(0.9)),
    "Adam": fields({}, weight_decay=among(None), clipnorm=among(1.0)),
    "RMSprop": fields({}, momentum=real(0.0, 0.9)),
}


def drawn(rng: Random) -> File:
    """Return an optimizer, or a schedule alone."""
    name = rng.choice(_SCHEDULES)
    rate = getattr(keras.optimizers.schedules, name)(**SCHEDULERS[name](rng))
    if rng.random() < 0.2:
        return File(as_json(rng, keras.optimizers.schedules.serialize(rate)), "schedule.json")
    kind = rng.choice([*_OPTIMIZERS])
    given = _OPTIMIZERS[kind](rng)
    given["learning_rate"] = rate if rng.random() < 0.8 else round(RATE(rng), 6)
    optimizer = getattr(keras.optimizers, kind)(**given)
    return File(as_json(rng, keras.optimizers.serialize(optimizer)), "optimizer.json")


def trained(file: File) -> Training | None:
    """Make the object again, and ask its rate at every step."""
    given = json.loads(file.text)
    before = keras.config.floatx()
    keras.config.set_floatx("float64")
    try:
        values: dict[str, list[float]] = {}
        if file.name == "schedule.json":
            rate = keras.optimizers.schedules.deserialize(given)
        else:
            optimizer = keras.optimizers.deserialize(given)
            rate = optimizer._learning_rate
            for name in ("weight_decay", "momentum"):
                if getattr(optimizer, name, None) is not None:
                    values[name] = [float(getattr(optimizer, name))] * _STEPS
        if not callable(rate) or not isinstance(
            rate, keras.optimizers.schedules.LearningRateSchedule
        ):
            return Training({"lr": [given["config"]["learning_rate"]] * _STEPS, **values})
        found = [float(keras.ops.convert_to_numpy(rate(np.float64(t)))) for t in range(_STEPS)]
        return Training({"lr": found, **values})
    except (ZeroDivisionError, ValueError):
        return None
    finally:
        keras.config.set_floatx(before)
