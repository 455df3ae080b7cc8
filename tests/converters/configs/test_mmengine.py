"""Configurations of MMEngine, against the recursion of its schedulers in a loop of epochs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tests.converters.test_mmengine_lists import BASE, spec, stepped

from rheostat.converters import config_conversion
from rheostat.converters.configs import library_of
from rheostat.errors import Invalid
from rheostat.schedules import evaluate

EPOCH = 10
"""Iterations of an epoch."""
WARMUP = {"type": "LinearLR", "start_factor": 0.01, "by_epoch": False, "begin": 0, "end": 25}
STAIRS = {"type": "MultiStepLR", "by_epoch": True, "milestones": [8, 11], "gamma": 0.1}
COSINE = {"type": "CosineAnnealingLR", "eta_min": 1e-3, "begin": 4, "convert_to_iter_based": True}
MOMENTUM = {"type": "CosineAnnealingMomentum", "T_max": 12, "eta_min": 0.5, "begin": 0, "end": 12}
SGD = {"type": "SGD", "lr": BASE, "momentum": 0.9, "weight_decay": 1e-4}


def config(*schedulers: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """Return a configuration with these schedulers."""
    return {
        "train_cfg": {"type": "EpochBasedTrainLoop", "max_epochs": 12, "val_interval": 1},
        "optim_wrapper": {"type": "OptimWrapper", "optimizer": SGD, "clip_grad": {"max_norm": 35}},
        "param_scheduler": list(schedulers),
        "model": {"backbone": {"norm_cfg": {"momentum": 0.1}}},
        **changes,
    }


def converted(given: dict[str, Any], **lengths: Any) -> Any:
    """Return what a configuration becomes, with epochs of so many iterations."""
    lengths = lengths or {"steps_per_epoch": EPOCH}
    return config_conversion("mmengine", given, **lengths)


def test_two_clocks_run_by_iterations() -> None:
    """A warm-up by iterations before stairs by epochs, as in most files of OpenMMLab."""
    found = converted(config(WARMUP, STAIRS))
    listed = [
        spec("LinearLR", start_factor=0.01, by_epoch=False, begin=0, end=25),
        spec("MultiStepLR", by_epoch=True, begin=0, end=12, milestones=[8, 11], gamma=0.1),
    ]
    expected = stepped(listed, EPOCH, 120)
    assert evaluate(found.parameters["lr"], np.arange(120)) == pytest.approx(expected, rel=1e-9)
    assert (found.total, found.steps_per_epoch) == (120, EPOCH)
    others = {name: evaluate(found.parameters[name], 7) for name in ("momentum", "weight_decay")}
    assert others == {"momentum": 0.9, "weight_decay": 1e-4}


NEW_STYLE = """
from mmengine.config import read_base
from mmengine.optim.optimizer import OptimWrapper
from mmengine.optim.scheduler import LinearLR, MultiStepLR
from mmengine.runner import EpochBasedTrainLoop
from torch.optim import SGD

with read_base():
    from .._base_.models.mask_rcnn_r50_fpn import *
    from .._base_.default_runtime import *

train_cfg = dict(type=EpochBasedTrainLoop, max_epochs=12)
param_scheduler = [
    dict(type=LinearLR, start_factor=0.01, by_epoch=False, begin=0, end=25),
    dict(type=MultiStepLR, begin=0, end=12, by_epoch=True, milestones=[8, 11], gamma=0.1),
]
optim_wrapper = dict(
    type=OptimWrapper, optimizer=dict(type=SGD, lr=0.02, momentum=0.9, weight_decay=0.0001)
)
"""


def test_a_file_of_pure_python_is_read_as_the_names_of_its_classes() -> None:
    """Files of the new style import what the old ones name; what their base sets is asked for."""
    optimizer = {**SGD, "lr": 0.02}
    old = config(WARMUP, STAIRS, optim_wrapper={"type": "OptimWrapper", "optimizer": optimizer})
    new = config_conversion(None, NEW_STYLE, file="mask_rcnn.py", steps_per_epoch=EPOCH)
    assert new.library == "mmengine"
    assert new.parameters == converted(old).parameters
    for name in ("train_cfg", "param_scheduler", "optim_wrapper"):
        text = NEW_STYLE.replace(f"{name} =", "other =")
        with pytest.raises(Invalid) as caught:
            config_conversion("mmengine", text, file="mask_rcnn.py", steps_per_epoch=EPOCH)
        assert caught.value.errors[0].field == f"config.{name}"
        assert "_base_" in caught.value.errors[0].message


def test_epochs_that_are_converted_end_with_the_training() -> None:
    """convert_to_iter_based multiplies by the epoch; what has no end gets that of the loop."""
    found = converted(config(WARMUP, COSINE)).parameters["lr"]
    listed = [
        spec("LinearLR", start_factor=0.01, by_epoch=False, begin=0, end=25),
        spec("CosineAnnealingLR", by_epoch=False, begin=40, end=120, T_max=80, eta_min=1e-3),
    ]
    assert evaluate(found, np.arange(120)) == pytest.approx(stepped(listed, EPOCH, 120), rel=1e-8)


def test_the_warm_up_of_yolox_is_read() -> None:
    """MMDetection's quadratic warm-up is (t + 1)²/n² of the rate, whatever its scope is called."""
    yolox = {"type": "mmdet.QuadraticWarmupLR", "end": 3, "convert_to_iter_based": True}
    found = converted(config(yolox, {**STAIRS, "begin": 3})).parameters["lr"]
    expected = [BASE * min(1.0, (t + 1) / 30) ** 2 for t in range(80)]
    assert evaluate(found, np.arange(80)) == pytest.approx(expected, rel=1e-12)


def test_the_momentum_is_that_of_the_optimizer() -> None:
    """Schedulers of the momentum set that of SGD, or the first beta of Adam, from its value."""
    half = (0.9 + 0.5) / 2
    found = converted(config(WARMUP, STAIRS, MOMENTUM)).parameters
    assert evaluate(found["momentum"], np.array([0, 60, 69])) == pytest.approx(
        [0.9, half, half], rel=1e-12
    )
    adam = {"type": "AdamW", "lr": BASE, "betas": (0.9, 0.99)}
    found = converted(config(MOMENTUM, optim_wrapper={"optimizer": adam})).parameters
    assert set(found) == {"lr", "beta1"}
    assert evaluate(found["beta1"], 60) == pytest.approx(half, rel=1e-12)
    decay = {"type": "LinearParamScheduler", "param_name": "weight_decay", "start_factor": 0.5}
    found = converted(config(decay)).parameters
    assert evaluate(found["weight_decay"], np.array([0, 10, 110])).tolist() == pytest.approx(
        [0.5e-4, 0.5e-4 * (1 + 1 / 11), 1e-4]
    )


def test_a_loop_of_iterations_states_its_length() -> None:
    """With max_iters the file needs no epochs, and states the total."""
    loop = {"type": "IterBasedTrainLoop", "max_iters": 100, "val_interval": 20}
    poly = {"type": "PolyLR", "eta_min": 1e-4, "power": 0.9, "begin": 0, "by_epoch": False}
    found = config_conversion("mmengine", config(poly, train_cfg=loop))
    listed = [spec("PolyLR", eta_min=1e-4, power=0.9, begin=0, end=100, by_epoch=False)]
    expected = stepped(listed, 1, 100)
    assert evaluate(found.parameters["lr"], np.arange(100)) == pytest.approx(expected, rel=1e-9)
    assert found.total == 100


def test_a_plateau_becomes_a_controller() -> None:
    """ReduceOnPlateauLR is a controller; without schedulers the rate is constant."""
    found = converted(
        config({"type": "ReduceOnPlateauLR", "monitor": "coco/bbox_mAP", "rule": "greater"})
    )
    assert found.controllers["plateau"].document["metric"] == "coco/bbox_mAP"
    assert evaluate(found.parameters["lr"], 50) == BASE
    assert evaluate(converted(config(param_scheduler=None)).parameters["lr"], 50) == BASE


def grouped(*schedulers: dict[str, Any], optimizer: Any = SGD, **groups: Any) -> dict[str, Any]:
    """Return a configuration whose groups of weights have rates or decays of their own."""
    wrapper = {"type": "OptimWrapper", "optimizer": optimizer, "paramwise_cfg": groups}
    return config(*schedulers, optim_wrapper=wrapper)


def test_groups_have_what_multiplies_their_rate_and_decay() -> None:
    """A group is scheduled from its own rate: a floor that is absolute is the same for all."""
    keys = {"backbone": {"lr_mult": 0.1, "decay_mult": 1.0}, "pos.Embed": {"decay_mult": 0.0}}
    found = converted(
        grouped(WARMUP, COSINE, custom_keys=keys, bias_lr_mult=2.0, norm_decay_mult=0.5)
    ).parameters
    rates = {name for name in found if name.startswith("lr")}
    assert rates == {"lr", "lr/backbone", "lr/bias"}
    listed = [
        spec("LinearLR", start_factor=0.01, by_epoch=False, begin=0, end=25),
        spec("CosineAnnealingLR", by_epoch=False, begin=40, end=120, T_max=80, eta_min=1e-3),
    ]
    expected = stepped(listed, EPOCH, 120)
    steps = np.arange(40)
    assert evaluate(found["lr/backbone"], steps) == pytest.approx(
        [0.1 * value for value in expected[:40]], rel=1e-8
    )
    middle = 1e-3 + (0.1 * BASE - 1e-3) / 2
    assert evaluate(found["lr/backbone"], 80) == pytest.approx(middle, rel=1e-8)
    assert evaluate(found["lr/bias"], 30) == pytest.approx(2 * BASE, rel=1e-12)
    decays = {name: evaluate(found[name], 5) for name in found if name.startswith("weight")}
    assert decays == {
        "weight_decay": 1e-4,
        "weight_decay/norm": 5e-5,
        "weight_decay/pos_embed": 0.0,
    }


def refused(given: dict[str, Any], **lengths: Any) -> str:
    """Return the field for which a configuration is refused."""
    with pytest.raises(Invalid) as caught:
        converted(given, **lengths)
    return caught.value.errors[0].field


BY_ITERATIONS = {"type": "IterBasedTrainLoop", "max_iters": 100}


@pytest.mark.parametrize(
    ("given", "field"),
    [
        (config({"type": "CosineAnealingLR"}), "param_scheduler[0].type"),
        (config(WARMUP, {"type": "mmaction.SwinLR"}), "param_scheduler[1].type"),
        (config({**STAIRS, "milestone": [3]}), "param_scheduler[0].milestone"),
        (config({"begin": 3}), "param_scheduler[0].type"),
        (config({"type": "LinearParamScheduler"}), "param_scheduler[0].param_name"),
        (
            config({"type": "LinearParamScheduler", "param_name": "eps"}),
            "param_scheduler[0].type",
        ),
        (config(STAIRS, train_cfg=BY_ITERATIONS), "param_scheduler[0].by_epoch"),
        (config(param_scheduler={"generator": [STAIRS]}), "param_scheduler"),
        (config(train_cfg={"by_epoch": True}), "train_cfg.max_epochs"),
        (config(train_cfg={"by_epoch": False, "max_epochs": 3}), "train_cfg.max_epochs"),
        (config(train_cfg={"type": "GANLoop", "max_epochs": 3}), "train_cfg.type"),
        (config(train_cfg={"max_epoch": 3}), "train_cfg.max_epoch"),
        (config(optim_wrapper={"generator": {"optimizer": SGD}}), "optim_wrapper.optimizer"),
        (config(optim_wrapper={"optimizer": {"type": "SGD"}}), "optim_wrapper.optimizer.lr"),
        (
            config(MOMENTUM, optim_wrapper={"optimizer": {"type": "SGD", "lr": 0.1}}),
            "optim_wrapper.optimizer.momentum",
        ),
        (config(auto_scale_lr={"enable": True}), "auto_scale_lr.enable"),
        (grouped(custom_keys={"backbone": {"lr": 0.1}}), "GROUPS.custom_keys.backbone.lr"),
        (grouped(norm_decay_mult=0, custom_keys={"norm": {}}), "GROUPS.custom_keys.norm"),
        (grouped(num_layers=12, layer_decay_rate=0.9), "GROUPS.num_layers"),
        (grouped(bias_lr_mul=2), "GROUPS.bias_lr_mul"),
        (grouped({"type": "ReduceOnPlateauLR", "monitor": "loss"}, bias_lr_mult=2.0), "GROUPS"),
        (
            grouped(optimizer={"lr": 0.1}, norm_decay_mult=0.0),
            "GROUPS",
        ),
        (
            config(
                optim_wrapper={
                    "optimizer": SGD,
                    "constructor": "LayerDecayOptimizerConstructor",
                    "paramwise_cfg": {},
                }
            ),
            "optim_wrapper.constructor",
        ),
        (
            config(default_hooks={"param_scheduler": {"type": "YOLOv5ParamSchedulerHook"}}),
            "default_hooks.param_scheduler.type",
        ),
        (config(param_schedulers=[STAIRS]), "param_schedulers"),
        (config(param_scheduler=None, _base_=["schedule_1x.py"]), "param_scheduler"),
    ],
)
def test_what_is_wrong_is_refused_by_its_field(given: dict[str, Any], field: str) -> None:
    """What is misspelled, of other packages, or left to a base file or to GPUs is refused."""
    field = field.replace("GROUPS", "optim_wrapper.paramwise_cfg")
    assert refused(given) == f"config.{field}"


def test_the_length_of_an_epoch_is_asked_for() -> None:
    """A loop of epochs needs steps_per_epoch; one of iterations only for what is converted."""
    assert refused(config(STAIRS), total=121) == "steps_per_epoch"
    loop = {**COSINE, "end": 12}
    assert refused(config(loop, train_cfg=BY_ITERATIONS), total=100) == "steps_per_epoch"
    assert refused(config(STAIRS), total=100, steps_per_epoch=10) == "total"


@pytest.mark.parametrize("name", ["optim_wrapper", "train_cfg", "param_scheduler"])
def test_what_a_base_file_may_set_is_asked_for(name: str) -> None:
    """Beside _base_, which is not read, all that the rate depends on must be there."""
    based = config(WARMUP, STAIRS, _base_=["../_base_/default_runtime.py"])
    assert converted(based) == converted(config(WARMUP, STAIRS))
    assert refused({**based, name: None}) == f"config.{name}"


def test_names_of_modules_are_those_of_their_classes() -> None:
    """A configuration that MMEngine wrote names schedulers, loops and hooks by their modules."""
    scheduler = {**STAIRS, "type": "mmengine.optim.scheduler.lr_scheduler.MultiStepLR"}
    loop = {"type": "mmengine.runner.loops.EpochBasedTrainLoop", "max_epochs": 12}
    hook = {"type": "mmengine.hooks.ParamSchedulerHook"}
    written = config(scheduler, train_cfg=loop, default_hooks={"param_scheduler": hook})
    assert converted(written) == converted(config(STAIRS))


def test_a_file_is_told_by_its_fields() -> None:
    """param_scheduler and optim_wrapper are MMEngine's own names, and so is _base_."""
    assert library_of(config(STAIRS)).library == "mmengine"
    assert library_of({"_base_": ["faster-rcnn.py"], "lr": 1}).library == "mmengine"
