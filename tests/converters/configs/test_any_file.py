"""Configuration files with anything in a field are converted or refused."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.converters.configs import (
    test_detectron2,
    test_fairseq,
    test_keras,
    test_mmcv,
    test_mmengine,
    test_ppdet,
    test_reinforcement,
    test_timm,
    test_ultralytics,
)
from tests.converters.test_garbage import STEPS, garbage, places, replaced

from rheostat.converters import config_conversion
from rheostat.converters.configs.flags import Flags
from rheostat.errors import Invalid
from rheostat.schedules import evaluate

OPEN_CLIP = {"lr": 1e-3, "warmup": 10, "epochs": 3, "lr_scheduler": "const-cooldown"}
FILES: list[tuple[str, dict[str, Any]]] = [
    ("detectron2", {"SOLVER": test_detectron2.STAIRS}),
    ("fairseq", test_fairseq.hydra({"_name": "cosine", "warmup_updates": 10})),
    ("fairseq", {"lr": "0.1", "lr_scheduler": "tri_stage", "phase_ratio": [0.1, 0.4, 0.5]}),
    ("keras", test_keras.SERIALIZED),
    ("mmcv", test_mmcv.config({**test_mmcv.STEP, **test_mmcv.WARM})),
    ("mmengine", test_mmengine.config(test_mmengine.WARMUP, test_mmengine.STAIRS)),
    ("mmengine", test_mmengine.config(test_mmengine.MOMENTUM, test_mmengine.COSINE)),
    ("open_clip", {**OPEN_CLIP, "epochs_cooldown": 1}),
    ("ppdet", test_ppdet.config(test_ppdet.WAVE, test_ppdet.LINEAR)),
    ("ppdet", test_ppdet.config(test_ppdet.STAIRS, {"name": "ExpWarmup", "epochs": 2})),
    ("rllib", test_reinforcement.PPO),
    ("stable_baselines3", test_reinforcement.ATARI),
    ("timm", test_timm.ARGUMENTS),
    ("ultralytics", test_ultralytics.PLAIN),
]
LENGTHS = st.sampled_from([7, 1, None, 2**53 - 1])


@settings(max_examples=500, deadline=None, suppress_health_check=list(HealthCheck))
@given(file=st.sampled_from(FILES), flags=st.booleans(), length=LENGTHS, changes=st.data())
def test_anything_in_a_file_is_read_or_refused(
    file: tuple[str, dict[str, Any]], length: int | None, changes: st.DataObject, *, flags: bool
) -> None:
    """P10: whatever stands in a field, there are definitions with finite values or a refusal."""
    library, config = file[0], deepcopy(file[1])
    for _ in range(changes.draw(st.integers(1, 2))):
        replaced(config, changes.draw(st.sampled_from(places(config))), changes.draw(garbage))
    try:
        found = config_conversion(
            library, Flags(config) if flags else config, steps_per_epoch=length
        )
    except Invalid:
        return
    for definition in found.parameters.values():
        assert np.isfinite(evaluate(definition, STEPS)).all()


@pytest.mark.parametrize("length", [2**53 - 1, 2**52])
def test_a_training_ends_on_the_axis(length: int) -> None:
    """A training with more steps than there are is refused by the length of its epochs."""
    with pytest.raises(Invalid) as caught:
        config_conversion("ultralytics", test_ultralytics.PLAIN, steps_per_epoch=length)
    assert caught.value.errors[0].field == "steps_per_epoch"


def test_what_no_kind_takes_is_refused() -> None:
    """What would become no valid definition is refused with the kind, at the file's path."""
    config = {"lr": [[0, 1.0], [1e300, 2.0]]}
    with pytest.raises(Invalid, match="piecewise") as caught:
        config_conversion("rllib", config)
    assert caught.value.errors[0].field == "config"
