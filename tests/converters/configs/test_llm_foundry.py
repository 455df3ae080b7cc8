"""Files of LLM Foundry."""

from __future__ import annotations

import math
from typing import Any

import pytest
from tests.converters.configs.compared import assert_refused, assert_same, assert_told

from rheostat.converters import config_conversion

FILE: dict[str, Any] = {
    "variables": {"max_seq_len": 16},
    "max_seq_len": "${variables.max_seq_len}",
    "model": {"name": "mpt_causal_lm", "max_seq_len": "${max_seq_len}"},
    "train_loader": {"name": "text"},
    "scheduler": {"name": "cosine_with_warmup", "t_warmup": "10ba", "alpha_f": 0.1},
    "optimizer": {"name": "decoupled_adamw", "lr": 1.2e-4, "weight_decay": 0.01},
    "algorithms": {"gradient_clipping": {"clipping_type": "norm"}},
    "callbacks": {"lr_monitor": {}},
    "max_duration": "100ba",
    "eval_interval": "50ba",
    "eval_first": False,
    "global_train_batch_size": 4,
    "fsdp_config": {"sharding_strategy": "FULL_SHARD"},
}


def cosine(step: float, total: float, warmup: float = 10) -> float:
    """Return what CosineAnnealingWithWarmupScheduler makes of 1.2e-4."""
    if step < warmup:
        return 1.2e-4 * step / warmup
    x = min(1.0, (step - warmup) / (total - warmup))
    return 1.2e-4 * (0.1 + 0.9 * (1 + math.cos(math.pi * x)) / 2)


@pytest.mark.parametrize(
    ("fields", "steps_per_epoch", "warmup", "total"),
    [
        ({}, None, 10, 100),
        ({"scale_schedule_ratio": 0.5}, None, 10, 50),
        ({"max_duration": "5ep"}, 20, 10, 100),
        ({"max_duration": 5}, 20, 10, 100),
        ({"max_duration": "6400tok", "scheduler": {"t_warmup": "640tok"}}, None, 10, 100),
        ({"max_duration": "400sp", "scheduler": {"t_warmup": "0.1dur"}}, None, 10, 100),
        ({"max_duration": "402sp", "scheduler": {"t_warmup": "40sp"}}, None, 10, 100.5),
    ],
)
def test_a_file_gives_composer_s_values(
    fields: dict[str, Any], steps_per_epoch: int | None, warmup: float, total: float
) -> None:
    """A time in whatever unit becomes batches, as the trainer scales it."""
    scheduler = {**FILE["scheduler"], **fields.get("scheduler", {})}
    found = config_conversion(
        "llm_foundry", {**FILE, **fields, "scheduler": scheduler}, steps_per_epoch=steps_per_epoch
    )
    assert_same(found.parameters["lr"], lambda t: cosine(t, total, warmup), range(110))
    values = {name: curve.to_json().get("value") for name, curve in found.parameters.items()}
    assert (values["weight_decay"], values["batch_size"]) == (0.01, 4)
    assert found.total == math.ceil(total)


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"scheduler": {"name": "cosine"}}, "config.scheduler.name"),
        ({"scheduler": {"t_warmup": "10ba"}}, "config.scheduler.name"),
        ({"scheduler": {**FILE["scheduler"], "warmup": 3}}, "config.scheduler.warmup"),
        ({"scheduler": {**FILE["scheduler"], "t_warmup": "10sp"}}, "config.scheduler.t_warmup"),
        ({"scheduler": {**FILE["scheduler"], "t_max": "10ba"}}, "config.scheduler.t_max"),
        ({"max_duration": "long"}, "config.max_duration"),
        ({"max_duration": "2ep"}, "steps_per_epoch"),
        ({"max_duration": "90sp", "global_train_batch_size": None}, "config.scheduler.t_warmup"),
        ({"scale_schedule_ratio": 0.001}, "config.scale_schedule_ratio"),
        ({"optimizer": {"name": "x"}}, "config.optimizer.lr"),
        (
            {"optimizer": {"lr": 1e-4, "param_groups": [{"lr": 1e-3}]}},
            "config.optimizer.param_groups[0].lr",
        ),
        (
            {"optimizer": {"lr": 1e-4, "param_groups": [{"weight_decay": 0.0}]}},
            "config.optimizer.param_groups[0].weight_decay",
        ),
        ({"max_seq_len": "${variables.length}"}, "config.max_seq_len"),
        ({"lr_scheduler": {}}, "config.lr_scheduler"),
    ],
)
def test_what_is_wrong_is_refused_by_its_path(fields: dict[str, Any], field: str) -> None:
    """A field that is wrong, missing or misspelled is named where it stands in the file."""
    assert_refused("llm_foundry", {**FILE, **fields}, field)


def test_tokens_need_samples_of_one_length() -> None:
    """A dataset for finetuning has samples of any length: tokens tell no batches there."""
    config = {**FILE, "max_duration": "6400tok", "train_loader": {"name": "finetuning"}}
    config["scheduler"] = {**FILE["scheduler"], "t_warmup": "640tok"}
    assert_refused("llm_foundry", config, "config.max_seq_len")


def test_a_file_tells_that_it_is_llm_foundry_s() -> None:
    """The fields tell the project, and another total than the file's is refused."""
    assert_told("llm_foundry", FILE)
    assert_refused("llm_foundry", FILE, "total", total=99)
