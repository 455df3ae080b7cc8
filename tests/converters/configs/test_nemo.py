"""Files of NeMo."""

from __future__ import annotations

import math
from typing import Any

import pytest
from tests.converters.configs.compared import assert_refused, assert_same, assert_told

from rheostat.converters import config_conversion

SCHED = {"name": "CosineAnnealing", "warmup_steps": 10, "constant_steps": 0, "min_lr": 2e-5}
FILE: dict[str, Any] = {
    "name": "megatron_gpt",
    "trainer": {"max_epochs": -1, "max_steps": 100, "accumulate_grad_batches": 1},
    "exp_manager": {"create_early_stopping_callback": False},
    "model": {
        "global_batch_size": 8,
        "rampup_batch_size": None,
        "reset_lr": False,
        "do_layer_norm_weight_decay": False,
        "data": {"skip_warmup": True},
        "nsys_profile": {"enabled": False, "start_step": 10, "end_step": 10},
        "optim": {"name": "adam", "lr": 2e-4, "weight_decay": 0.01, "sched": SCHED},
    },
}


def with_sched(trainer: dict[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
    """Return the file with other fields of the scheduler, and of the trainer."""
    optim = {**FILE["model"]["optim"], "sched": {**SCHED, **fields}}
    trained = FILE["trainer"] if trainer is None else trainer
    return {**FILE, "trainer": trained, "model": {**FILE["model"], "optim": optim}}


def annealed(step: int, total: int, constant: int = 0, warmup: int = 10) -> float:
    """Return what CosineAnnealing of NeMo has, with its two kinds of warm-up."""
    peak, low = 2e-4, 2e-5
    if step <= warmup:
        return peak * (step / warmup if constant else (step + 1) / (warmup + 1))
    decay = total - constant - warmup
    if step > total or (constant and step > warmup + decay):
        return low
    return low + (peak - low) * (1 + math.cos(math.pi * (step - warmup) / decay)) / 2


@pytest.mark.parametrize("constant", [0, 30, 80_000])
def test_a_file_gives_nemo_s_values(constant: int) -> None:
    """The scheduler is given the trainer's max_steps, and may have no cosine at all."""
    found = config_conversion("nemo", with_sched(constant_steps=constant))
    assert_same(found.parameters["lr"], lambda t: annealed(t, 100, constant), range(120))
    values = {name: curve.to_json().get("value") for name, curve in found.parameters.items()}
    assert (values["weight_decay"], values["batch_size"], found.total) == (0.01, 8, 100)


def test_epochs_and_the_scheduler_s_own_length_stand_in() -> None:
    """Without the trainer's max_steps its epochs count, unless the scheduler has a length."""
    epochs = {"max_epochs": 4, "max_steps": -1}
    found = config_conversion("nemo", with_sched(epochs), steps_per_epoch=25)
    assert_same(found.parameters["lr"], lambda t: annealed(t, 100), range(110))
    own = config_conversion("nemo", with_sched(epochs, max_steps=60))
    assert_same(own.parameters["lr"], lambda t: annealed(t, 60), range(60))
    assert_refused("nemo", with_sched(epochs), "config.trainer.max_steps")
    assert_refused("nemo", with_sched(epochs), "total", total=99, steps_per_epoch=25)


NEMO_2: dict[str, Any] = {
    "_target_": "nemo.collections.llm.api.pretrain",
    "trainer": {
        "_target_": "nemo.lightning.pytorch.trainer.Trainer",
        "max_steps": 100,
        "strategy": {"_target_": "nemo.lightning.pytorch.strategies.MegatronStrategy"},
    },
    "optim": {
        "_target_": "nemo.lightning.pytorch.optim.megatron.MegatronOptimizerModule",
        "config": {"lr": 2e-4, "weight_decay": 0.1, "min_lr": None},
        "lr_scheduler": {
            "_target_": "nemo.lightning.pytorch.optim.lr_scheduler.CosineAnnealingScheduler",
            "warmup_steps": 10,
            "constant_steps": 0,
            "min_lr": 2e-5,
        },
    },
}


def test_a_file_of_nemo_2_has_modules() -> None:
    """Megatron's strategy copies the trainer's length to the scheduler's module."""
    assert_told("nemo", NEMO_2)
    found = config_conversion("nemo", NEMO_2)
    assert_same(found.parameters["lr"], lambda t: annealed(t, 100), range(120))
    assert found.parameters["weight_decay"].to_json()["value"] == 0.1
    assert found.total == 100
    scheduler = {**NEMO_2["optim"]["lr_scheduler"], "warmup": 3}
    optim = {**NEMO_2["optim"], "lr_scheduler": scheduler}
    assert_refused("nemo", {**NEMO_2, "optim": optim}, "config.optim.lr_scheduler.warmup")
    other = {"max_steps": 100, "strategy": "ddp"}
    assert_refused("nemo", {**NEMO_2, "trainer": other}, "config.trainer.strategy")


def test_references_are_followed() -> None:
    """A field that refers to another one has its value; a reference to nothing is refused."""
    noam = {"name": "NoamAnnealing", "d_model": "${model.encoder.d_model}", "warmup_steps": 5}
    config = {
        "trainer": {"max_steps": 50},
        "model": {"encoder": {"d_model": 64}, "optim": {"lr": 2.0, "sched": noam}},
    }
    found = config_conversion("nemo", config).parameters["lr"]
    scale = 2.0 * 64**-0.5
    assert_same(
        found,
        lambda t: scale * min(max(t, 1) ** -0.5, max(t, 1) * 5**-1.5),
        range(60),
    )
    noam["d_model"] = "${model.decoder.d_model}"
    assert_refused("nemo", config, "config.model.optim.sched.d_model")
    noam["d_model"] = "${model.optim.sched.d_model}"
    assert_refused("nemo", config, "config.model.optim.sched.d_model")


def test_a_plateau_is_a_controller() -> None:
    """What reacts to a metric stands beside the constant rate."""
    sched = {"name": "ReduceLROnPlateau", "monitor": "val_wer", "factor": 0.5, "patience": 3}
    config = {"optim": {"lr": 1e-3, "sched": sched}, "trainer": {"max_epochs": 10}}
    found = config_conversion("nemo", config)
    assert found.controllers["plateau"].document["metric"] == "val_wer"
    assert found.parameters["lr"].to_json()["value"] == 1e-3


@pytest.mark.parametrize(
    ("config", "field"),
    [
        (with_sched(name="Cosine"), "config.model.optim.sched.name"),
        (with_sched(name=None), "config.model.optim.sched.name"),
        (with_sched(warmup=3), "config.model.optim.sched.warmup"),
        (with_sched(min_lr=1.0), "config.model.optim.sched.min_lr"),
        ({**FILE, "model": {"optim": {"sched": SCHED}}}, "config.model.optim.lr"),
        ({**FILE, "model": {**FILE["model"], "reset_lr": True}}, "config.model.reset_lr"),
        (
            {**FILE, "model": {**FILE["model"], "rampup_batch_size": [32, 8, 100]}},
            "config.model.rampup_batch_size",
        ),
        ({"trainer": {"max_steps": 5}}, "config.model.optim"),
        ({**FILE, "scheduler": {}}, "config.scheduler"),
    ],
)
def test_what_is_wrong_is_refused_by_its_path(config: dict[str, Any], field: str) -> None:
    """A field that is wrong, misspelled, or cannot be a curve is named."""
    assert_refused("nemo", config, field)


def test_a_file_tells_that_it_is_nemo_s() -> None:
    """The fields tell the project."""
    assert_told("nemo", FILE)
    assert_told("nemo", {"trainer": {"max_steps": 5}, "optim": {"lr": 1.0, "sched": SCHED}})


def test_groups_of_a_model_are_refused() -> None:
    """optim_param_groups gives parts of the model a rate of their own."""
    groups = {"encoder": {"lr": 0.1}}
    model = {**FILE["model"], "optim_param_groups": groups}
    assert_refused("nemo", {**FILE, "model": model}, "config.model.optim_param_groups")
