"""Files of other projects, and misspelled ones: refused, never taken for another schedule."""

from __future__ import annotations

from typing import Any

import pytest

from rheostat.converters import ConfigConversion, config_conversion
from rheostat.converters.configs import library_of as library_of_data
from rheostat.converters.configs import megatron, transformers
from rheostat.converters.configs.documents import document
from rheostat.converters.configs.telling import Told
from rheostat.errors import Invalid
from rheostat.schedules import convert_config

ADAM = {"type": "Adam", "params": {"lr": 0.97e-4}}
FOREIGN: dict[str, Any] = {
    "GPT-NeoX": {
        "optimizer": ADAM,
        "min_lr": 0.97e-5,
        "train_iters": 150_000,
        "lr_decay_iters": 150_000,
        "lr_decay_style": "cosine",
        "warmup": 0.01,
    },
    "GPT-NeoX, with hyphens": {
        "zero_optimization": {"stage": 1},
        "optimizer": ADAM,
        "lr-decay-style": "cosine",
    },
    "kohya": {
        "learning_rate": 1e-4,
        "lr_scheduler": "cosine_with_restarts",
        "lr_warmup_steps": 100,
        "lr_scheduler_num_cycles": 3,
        "max_train_steps": 1600,
    },
    "axolotl": {
        "learning_rate": 2e-4,
        "lr_scheduler": "cosine",
        "num_epochs": 1,
        "warmup_ratio": 0.1,
    },
    "levanter": {
        "learning_rate": 6e-4,
        "warmup": 0.01,
        "min_lr_ratio": 0.1,
        "lr_schedule": "cosine",
    },
    "OpenRLHF": {
        "learning_rate": 1e-6,
        "lr_warmup_ratio": 0.03,
        "lr_scheduler": "cosine_with_min_lr",
    },
    "MaxText": {
        "steps": 150_001,
        "learning_rate": 3e-5,
        "warmup_steps_fraction": 0.1,
        "cosine_learning_rate_final_fraction": 0.1,
    },
    "nanotron": {
        "learning_rate": 3e-4,
        "lr_decay_steps": 13,
        "lr_decay_style": "cosine",
        "lr_warmup_steps": 2,
    },
    "diffusers": {"learning_rate": 1e-4, "lr_scheduler": "constant"},
    "torchtitan": {
        "optimizer": {"name": "AdamW", "lr": 8e-4},
        "lr_scheduler": {"warmup_steps": 200, "decay_ratio": 0.8},
        "training": {"steps": 10_000},
    },
    "verl": {"actor": {"optim": {"lr": 1e-6, "lr_warmup_steps_ratio": 0.1}}},
    "ultralytics": {"lr0": 0.01, "lrf": 0.01, "warmup_epochs": 3, "epochs": 100, "batch": 16},
    "torchtune": {"lr_scheduler": {"num_warmup_steps": 100}, "optimizer": {"lr": 3e-4}},
    "fairseq": "--lr 5e-4 --lr-scheduler inverse_sqrt --warmup-updates 4000 --max-update 50000",
    "timm": "--sched cosine --lr 0.1 --epochs 300 --warmup-epochs 5",
}
FILES = ("deepspeed", "transformers", "megatron")
TOLD = {
    "kohya": "kohya",
    "levanter": "levanter",
    "MaxText": "maxtext",
    "torchtitan": "torchtitan",
    "ultralytics": "ultralytics",
    "fairseq": "fairseq",
    "timm": "timm",
}
"""Of these, the files that have a field of one project alone."""


def library_of(config: Any) -> Told:
    """Return the library that a file's fields tell."""
    return library_of_data(document(config))


def fields(library: str, config: Any) -> set[str]:
    """Return the fields that are refused."""
    with pytest.raises(Invalid) as caught:
        convert_config(library, config, steps_per_epoch=1000)
    return {error.field for error in caught.value.errors}


@pytest.mark.parametrize("project", FOREIGN)
def test_a_file_of_another_project_is_refused(project: str) -> None:
    """No file that has a schedule of its own is taken for one of ours, even if it is said to be."""
    for library in FILES:
        assert all(field.startswith("config") for field in fields(library, FOREIGN[project]))


@pytest.mark.parametrize("project", FOREIGN)
def test_a_library_is_not_guessed(project: str) -> None:
    """A field that other projects have too tells no library but its own; the answer says why."""
    told = library_of(FOREIGN[project])
    assert told.library == TOLD.get(project)
    assert told.library or told.why


def test_a_library_is_told_by_its_own_fields() -> None:
    """What one project alone has tells it; where two fit, none is taken."""
    own = {"lr_scheduler_type": "cosine", "learning_rate": 1e-4}
    own |= {"weight_decay": 0.0, "warmup_ratio": 0.1, "max_steps": 100}
    assert library_of(own).library == "transformers"
    assert library_of({"zero_optimization": {"stage": 3}}).library == "deepspeed"
    assert library_of({"optimizer": ADAM, "bf16": {"enabled": True}}).library == "deepspeed"
    line = "pretrain_gpt.py --lr 1e-4 --train-iters 10 --lr-decay-style linear --weight-decay 0"
    assert library_of(line).library == "megatron"
    both = library_of({**own, "zero_optimization": {}})
    assert both.library is None
    assert "zero_optimization" in both.why
    assert "lr_scheduler_type" in both.why
    assert library_of({"optimizer": ADAM}).library is None


SOUNDING = [
    *("lr_schedular_type", "lr_scheduler", "lrSchedulerType", "learning-rate", "warmup", "lr0"),
    *("warm_up_steps", "num_warmup_steps", "min_lr", "lr_decay_ratio", "max_train_steps"),
    *("total_steps", "epochs", "wieght_decay", "anneal_strategy", "num_cycles"),
]
OWN = {"learning_rate": 1e-5, "lr_scheduler_type": "cosine", "num_train_epochs": 3}


@pytest.mark.parametrize("field", SOUNDING)
def test_a_field_that_sounds_like_a_schedule_is_refused(field: str) -> None:
    """A field that sounds like a schedule and is not read is named, wherever it stands."""
    assert fields("transformers", {**OWN, field: 1}) == {f"config.{field}"}
    inside = {"trainer": {"args": [{field: 1}]}}
    assert fields("transformers", {**OWN, **inside}) == {f"config.trainer.args[0].{field}"}


@pytest.mark.parametrize("field", ["leraning_rate", "max_step", "num_train_epoch", "warmupsteps"])
def test_a_misspelled_field_is_refused(field: str) -> None:
    """A field that is nearly spelled as one that is read is named."""
    assert fields("transformers", {**OWN, field: 1}) == {f"config.{field}"}


def test_the_likely_spelling_is_asked_for() -> None:
    """The error names the field that was probably meant."""
    with pytest.raises(Invalid) as caught:
        convert_config("transformers", {"max_steps": 9, "lr_schedular_type": "cosine"})
    (error,) = caught.value.errors
    assert "did you mean lr_scheduler_type?" in error.message


def test_what_is_no_schedule_is_ignored() -> None:
    """Whole files can be given: what says nothing about a rate is left alone, nulls too."""
    rest = {
        "output_dir": "out",
        "per_device_train_batch_size": 4,
        "gradient_accumulation_steps": 8,
        "eval_steps": 100,
        "logging_steps": 10,
        "save_steps": 500,
        "save_total_limit": 2,
        "max_grad_norm": 1.0,
        "adam_beta1": 0.9,
        "max_samples": 1000,
        "lr_scheduler_kwargs": None,
        "lr_end": None,
        "fsdp_config": {"min_num_params": 0, "xla": False},
        "accelerator_config": {"gradient_accumulation_kwargs": {"num_steps": 8}},
        "deepspeed": {"zero_optimization": {"stage": 2}, "train_batch_size": "auto"},
    }
    own = {"learning_rate": 1e-4, "lr_scheduler_type": "cosine", "max_steps": 100}
    assert convert_config("transformers", {**own, **rest}) == convert_config("transformers", own)
    flags = "--lr 0.1 --train-samples 40 --weight-decay 0.2"
    resumed = "--use-checkpoint-opt_param-scheduler"
    more = f"--num-layers 2 --eval-iters 10 --cuda-graph-warmup-steps 3 {resumed}"
    assert convert_config("megatron", f"{flags} {more}") == convert_config("megatron", flags)
    file = {"optimizer": {"type": "Adam", "params": {"lr": 0.1}}}
    curriculum = {"enabled": True, "schedule_type": "fixed_linear", "schedule_config": {}}
    more_blocks = {
        "curriculum_learning": curriculum,
        "data_efficiency": {"data_sampling": {"dynamic_batching": {"enabled": False, "lr": 1}}},
        "gradient_clipping": 1.0,
        "steps_per_print": 10,
    }
    assert convert_config("deepspeed", {**file, **more_blocks}) == convert_config("deepspeed", file)


def test_a_block_that_changes_the_rate_is_refused() -> None:
    """DeepSpeed changes the rate in a few more places; none of them is read."""
    file = {"optimizer": {"type": "Adam", "params": {"lr": 0.1}}}
    batching = {"enabled": True, "lr_scaling_method": "linear"}
    efficiency = {"data_sampling": {"dynamic_batching": batching}}
    path = "config.data_efficiency.data_sampling.dynamic_batching.lr_scaling_method"
    assert fields("deepspeed", {**file, "data_efficiency": efficiency}) == {path}
    adagrad = {"type": "Adagrad", "params": {"lr": 0.1, "lr_decay": 0.01}}
    assert fields("deepspeed", {"optimizer": adagrad}) == {"config.optimizer.params.lr_decay"}
    schedule = {"type": "WarmupLR", "param": {"warmup_num_steps": 5}}
    assert "config.scheduler.param" in fields("deepspeed", {**file, "scheduler": schedule})
    inner = {"scheduler": {"type": "WarmupLR", "params": {}}}
    own = {"lr_scheduler_type": "cosine", "max_steps": 100, "deepspeed": inner}
    assert fields("transformers", own) == {"config.deepspeed.scheduler"}


def test_a_length_must_not_contradict_the_file() -> None:
    """A total beside a file that states another one is refused; the same one is taken."""
    own = {"lr_scheduler_type": "cosine", "max_steps": 100}
    flags = "--lr 0.1 --train-samples 40"
    for library, config, total in (("transformers", own, 100), ("megatron", flags, 40)):
        assert convert_config(library, config, total=total) == convert_config(library, config)
        with pytest.raises(Invalid) as caught:
            convert_config(library, config, total=total + 1)
        assert caught.value.errors[0].field == "total"


def test_a_huge_file_is_refused() -> None:
    """P10: looking for fields of a schedule takes work that is bounded."""
    config = {"lr_scheduler_type": "cosine", "max_steps": 9, "list": [{"a": 1}] * 5_001}
    assert fields("transformers", config) == {"config"}


ACTING: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "transformers": (
        {
            "learning_rate": 1e-3,
            "weight_decay": 0.1,
            "lr_scheduler_type": "cosine",
            "lr_scheduler_kwargs": {"num_cycles": 0.5},
            "num_train_epochs": 3.0,
        },
        {
            "learning_rate": 1e-4,
            "weight_decay": 0.2,
            "lr_scheduler_type": "linear",
            "lr_scheduler_kwargs": {"num_cycles": 1.5},
            "warmup_steps": 10,
            "warmup_ratio": 0.1,
            "max_steps": 90,
            "num_train_epochs": 4.0,
            "metric_for_best_model": "f1",
        },
    ),
    "megatron": (
        {
            "lr": 0.1,
            "min_lr": 0.01,
            "decoupled_lr": 0.2,
            "decoupled_min_lr": 0.02,
            "lr_decay_style": "WSD",
            "lr_wsd_decay_style": "linear",
            "lr_decay_samples": 100,
            "lr_wsd_decay_samples": 20,
            "lr_warmup_samples": 10,
            "lr_warmup_init": 0.001,
            "train_samples": 200,
            "global_batch_size": 8,
            "rampup_batch_size": [2, 2, 50],
            "weight_decay": 0.1,
            "start_weight_decay": 0.1,
            "end_weight_decay": 0.2,
            "weight_decay_incr_style": "linear",
        },
        {
            "lr": 0.2,
            "min_lr": 0.02,
            "decoupled_lr": 0.3,
            "decoupled_min_lr": 0.01,
            "lr_decay_style": "linear",
            "lr_wsd_decay_style": "cosine",
            "lr_decay_samples": 120,
            "lr_decay_iters": 5,
            "lr_wsd_decay_samples": 30,
            "lr_wsd_decay_iters": 5,
            "lr_warmup_samples": 20,
            "lr_warmup_iters": 5,
            "lr_warmup_fraction": 0.5,
            "lr_warmup_init": 0.002,
            "train_samples": 300,
            "train_iters": 30,
            "global_batch_size": 16,
            "rampup_batch_size": [4, 2, 50],
            "step_batch_size_schedule": "0:2 1K:4",
            "seq_length": 10,
            "weight_decay": 0.3,
            "start_weight_decay": 0.15,
            "end_weight_decay": 0.25,
            "weight_decay_incr_style": "cosine",
        },
    ),
}


def outcome(library: str, config: dict[str, Any]) -> Any:
    """Return what a file becomes, or the fields that are refused."""
    try:
        return config_conversion(library, config, steps_per_epoch=50)
    except Invalid as error:
        return {item.field for item in error.errors}


@pytest.mark.parametrize("library", ACTING)
def test_every_field_that_is_read_acts(library: str) -> None:
    """Each field that a file is read for changes what it becomes, or is refused."""
    module = {"megatron": megatron, "transformers": transformers}[library]
    base, changes = ACTING[library]
    before = outcome(library, base)
    assert isinstance(before, ConfigConversion)
    idle = [name for name in changes if outcome(library, {**base, name: changes[name]}) == before]
    if library == "megatron":  # the decay that changes is given by its start and its end
        assert idle == ["seq_length", "weight_decay"]
        base = {**base, "weight_decay_incr_style": "constant"}
        assert outcome(library, {**base, "weight_decay": 0.3}) != outcome(library, base)
        stairs = {"lr": 0.1, "train_samples": 40, "step_batch_size_schedule": "0:2 1K:4"}
        assert outcome(library, {**stairs, "seq_length": 10}) != outcome(library, stairs)
    else:  # what a plateau watches
        assert idle == ["metric_for_best_model"]
        base = {"lr_scheduler_type": "reduce_lr_on_plateau"}
        assert outcome(library, {**base, "metric_for_best_model": "f1"}) != outcome(library, base)
    left = set(module.Arguments.model_fields) - changes.keys()
    assert not left
