"""Files of OLMo-core."""

from __future__ import annotations

import math
from typing import Any

import pytest
from tests.converters.configs.compared import assert_refused, assert_same, assert_told

from rheostat.converters import config_conversion

COSINE: dict[str, Any] = {
    "_CLASS_": "olmo_core.optim.scheduler.CosWithWarmup",
    "lr_field": "lr",
    "initial_lr_field": "initial_lr",
    "units": "steps",
    "warmup": 10,
    "warmup_steps": None,
    "warmup_fraction": None,
    "alpha_f": 0.1,
    "t_max": None,
    "warmup_min_lr": 0.0,
}
PP = {"pp_config": {"degree": 2, "schedule": "1F1B"}}
NO_DECAY = {"params": ["embeddings.weight"], "opts": {"weight_decay": 0.0}}
OPTIM = {"lr": 3e-4, "weight_decay": 0.1, "group_overrides": [NO_DECAY]}


def file(scheduler: Any, value: int = 100, unit: str = "steps", **trainer: Any) -> dict[str, Any]:
    """Return a configuration as OLMo-core saves it."""
    return {
        "model": {"d_model": 64},
        "train_module": {"optim": OPTIM, "scheduler": scheduler, "rank_microbatch_size": 32, **PP},
        "data_loader": {"global_batch_size": 64},
        "trainer": {
            "max_duration": {"value": value, "unit": unit},
            "callbacks": {"profiler": {"warmup": 5}, "checkpointer": {"save_interval": 100}},
            **trainer,
        },
    }


def cosine(current: int, end: int, warmup: int = 10) -> float:
    """Return what CosWithWarmup answers."""
    if current < warmup:
        return 3e-4 * current / warmup
    if current >= end:
        return 3e-5
    wave = (1 + math.cos(math.pi * (current - warmup) / (end - warmup))) / 2
    return 3e-5 + (3e-4 - 3e-5) * wave


def test_a_file_gives_olmo_core_s_values() -> None:
    """The first update has the rate of step 1, since OLMo-core counts before it updates."""
    found = config_conversion("olmo_core", file(COSINE))
    assert_same(found.parameters["lr"], lambda t: cosine(t + 1, 100), range(110))
    values = {name: curve.to_json().get("value") for name, curve in found.parameters.items()}
    assert (values["weight_decay"], values["batch_size"], found.total) == (0.1, 64, 100)
    by_name = {"type": "cos_with_warmup", "warmup": 10}
    assert config_conversion("olmo_core", file(by_name)).parameters == found.parameters


def test_lengths_may_be_tokens_or_epochs() -> None:
    """A training in tokens has as many steps as it takes, and a hard stop ends it before."""
    found = config_conversion("olmo_core", file(COSINE, 6_350, "tokens"))
    assert found.total == 100
    assert_same(found.parameters["lr"], lambda t: cosine(t + 1, 100), range(100))
    tokens = {**COSINE, "units": "tokens", "warmup": 640}
    assert config_conversion("olmo_core", file(tokens, 6_400, "tokens")) == found
    stopped = {"hard_stop": {"value": 70, "unit": "steps"}}
    cut = config_conversion("olmo_core", file(COSINE, 2, "epochs", **stopped), steps_per_epoch=50)
    assert (cut.total, cut.parameters) == (70, found.parameters)
    assert_refused("olmo_core", file(COSINE, 1, "epochs"), "config.trainer.max_duration")


def test_schedulers_stand_within_each_other() -> None:
    """A sequence names its schedulers' classes, and stages may name theirs."""
    inner = [{**COSINE, "t_max": 40}, {"_CLASS_": "x.ConstantScheduler"}]
    both = {"_CLASS_": "x.SequentialScheduler", "schedulers": inner, "schedulers_max": [40]}
    found = config_conversion("olmo_core", file(both)).parameters["lr"]
    assert_same(found, lambda t: cosine(min(t + 1, 40), 40), range(90))
    stage = {"_CLASS_": "x.Stage", "duration": 50, "shape": "linear", "end_lr_fraction": 0.0}
    line = config_conversion("olmo_core", file({"type": "composable", "stages": [stage]}))
    assert_same(line.parameters["lr"], lambda t: 3e-4 * max(0.0, 1 - (t + 1) / 50), range(90))


@pytest.mark.parametrize(
    ("scheduler", "fields", "field"),
    [
        ({"_CLASS_": "x.Cosine"}, {}, "config.train_module.scheduler"),
        ({"warmup": 3}, {}, "config.train_module.scheduler._CLASS_"),
        ({**COSINE, "warmups": 3}, {}, "config.train_module.scheduler.warmups"),
        ({**COSINE, "warmup": -1}, {}, "config.train_module.scheduler.warmup"),
        (
            {**COSINE, "units": "tokens", "warmup": 65},
            {},
            "config.train_module.scheduler.warmup",
        ),
        (
            COSINE,
            {"callbacks": {"batch_size_scheduler": {}}},
            "config.trainer.callbacks.batch_size_scheduler",
        ),
        (
            COSINE,
            {"max_duration": {"value": 0, "unit": "steps"}},
            "config.trainer.max_duration.value",
        ),
    ],
)
def test_what_is_wrong_is_refused_by_its_path(
    scheduler: Any, fields: dict[str, Any], field: str
) -> None:
    """A field that is wrong, misspelled, or schedules something else is named."""
    assert_refused("olmo_core", file(scheduler, **fields), field)


def test_the_rate_of_a_group_is_refused() -> None:
    """A group with a rate of its own is not given the others'."""
    config = file(COSINE)
    config["train_module"]["optim"] = {**OPTIM, "group_overrides": [{"opts": {"lr": 1.0}}]}
    assert_refused("olmo_core", config, "config.train_module.optim.group_overrides[0].opts.lr")


def test_the_weight_decay_of_a_group_is_read() -> None:
    """A group with another weight decay has it for itself, by what its weights are called."""
    found = config_conversion("olmo_core", file(COSINE)).parameters
    values = {name: found[name].to_json()["value"] for name in found if name != "lr"}
    assert values["weight_decay"] == 0.1
    assert values["weight_decay/embeddings_weight"] == 0.0
    config = file(COSINE)
    config["train_module"]["optim"] = {**OPTIM, "group_overrides": [NO_DECAY, NO_DECAY]}
    assert_refused("olmo_core", config, "config.train_module.optim.group_overrides[1].params")


def test_a_file_tells_that_it_is_olmo_core_s() -> None:
    """The fields tell the project."""
    assert_told("olmo_core", file(COSINE))
