"""Whole configuration files, against the libraries' own values."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rheostat.converters import config_conversion
from rheostat.errors import Invalid
from rheostat.schedules import convert_config, evaluate
from rheostat.schedules.kinds.curves import Constant

RECORDS = Path(__file__).parent / "golden"
MEGATRON = (
    "--lr 1e-3 --min-lr 1e-5 --lr-decay-style cosine --lr-warmup-samples 10 --lr-decay-samples 100 "
    "--train-samples 100 --weight-decay-incr-style cosine --start-weight-decay=0.04 "
    "--end-weight-decay 0.4 --global-batch-size 2 --num-layers 70 --fp16"
)
LINEAR = {"learning_rate": 5e-5, "max_steps": 10_000, "warmup_steps": 500, "report_to": ["none"]}
RATIO = {"learning_rate": 1e-3, "lr_scheduler_type": "cosine", "warmup_steps": 0.1}
EPOCHS = {**RATIO, "warmup_steps": 0, "warmup_ratio": 0.1, "num_train_epochs": 3.01}
DOUBLING = {"step_size": 4, "gamma": 2.0}
STAGES = {
    "learning_rate": 1e-3,
    "lr_scheduler_type": "warmup_stable_decay",
    "warmup_steps": 10,
    "lr_scheduler_kwargs": '{"num_decay_steps": 20, "num_stable_steps": 30, "min_lr_ratio": 0.1}',
}
WARMUP = {"warmup_min_lr": 0.0, "warmup_max_lr": 0.001, "warmup_num_steps": 20}
ADAM = {"type": "AdamW", "params": {"lr": 1e-3, "weight_decay": 0.1, "betas": [0.9, 0.95]}}
BLOCK = "config.scheduler.params"
CYCLE = {
    "cycle_min_lr": 0.0001,
    "cycle_max_lr": 0.01,
    "cycle_first_step_size": 20,
    "cycle_second_step_size": 40,
    "decay_step_size": 5,
    "decay_lr_rate": 0.5,
}


def record(path: str) -> dict[str, Any]:
    """Return a record of a library's own values, of ids that do not start with it too."""
    library = path.partition("/")[0]
    lines = (RECORDS / f"{library}.jsonl").read_text().splitlines()
    names = {path, path.removeprefix(f"{library}/")}
    (found,) = [case for case in map(json.loads, lines) if case["id"] in names]
    return dict(found)


def scheduler(name: str, params: dict[str, Any]) -> dict[str, Any]:
    """Return a file of DeepSpeed with this scheduler."""
    block = {"type": name, "params": params}
    return {"train_batch_size": 8, "optimizer": ADAM, "scheduler": block, "fp16": {"enabled": True}}


FILES = [
    ("megatron", MEGATRON, {}, "lr", "megatron/wd_cosine"),
    ("megatron", MEGATRON.split(), {}, "weight_decay", "megatron/wd_cosine/wd"),
    ("transformers", LINEAR, {}, "lr", "transformers/hf/linear/500_10000"),
    ("transformers", RATIO, {"total": 100}, "lr", "transformers/hf/cosine/10_100"),
    ("transformers", EPOCHS, {"steps_per_epoch": 33}, "lr", "transformers/hf/cosine/10_100"),
    ("transformers", STAGES, {}, "lr", "transformers/hf/wsd/linear_cosine"),
    ("deepspeed", scheduler("WarmupLR", WARMUP), {}, "lr", "deepspeed/warmup/log"),
    ("deepspeed", scheduler("OneCycle", CYCLE), {}, "lr", "deepspeed/onecycle/asym_decay"),
    ("deepspeed", scheduler("StepLR", DOUBLING), {}, "lr", "torch/step/gamma2_up"),
]


@pytest.mark.parametrize(("library", "config", "lengths", "parameter", "name"), FILES)
def test_a_configuration_file_gives_its_library_s_values(
    library: str, config: Any, lengths: dict[str, Any], parameter: str, name: str
) -> None:
    """The definitions of a whole file have the values that the library's scheduler has."""
    definition = convert_config(library, config, **lengths)[parameter]
    case = record(name)
    expected = np.array(case["values"])
    off = abs(evaluate(definition, np.array(case["steps"])) - expected)
    assert (off <= 1e-9 * abs(expected) + 1e-15 * expected.max()).all()


def test_megatron_s_batch_ramp_is_a_parameter() -> None:
    """BLOOM's flags give its batch ramp: 192 at first, in steps of 16, 2,048 in the end."""
    flags = f"{MEGATRON} --rampup-batch-size 192 16 9_765_625".replace("-size 2 ", "-size 2048 ")
    batch = convert_config("megatron", flags)["batch_size"]
    steps = np.array([0, 84_186, 84_187, 9_765_624, 9_765_625], dtype=np.int64)
    assert evaluate(batch, steps).tolist() == [192, 192, 208, 2032, 2048]


@pytest.mark.parametrize("written", ["0:16 2.4B:320 12b:1536", "12B:1536, 0:16,2.4B:320"])
def test_megatron_s_batch_has_levels(written: str) -> None:
    """--step-batch-size-schedule has a size from each number of tokens on, told in samples."""
    samples, sizes = [0, 2_400_000_000 // 2048, 12_000_000_000 // 2048], [16, 320, 1536]
    flags = (
        f"--lr 0.1 --train-samples 9000000 --seq-length 2048 --step-batch-size-schedule '{written}'"
    )
    batch = convert_config("megatron", flags)["batch_size"]
    for start, size, before in zip(samples, sizes, [16, *sizes], strict=False):
        assert evaluate(batch, start) == size
        assert evaluate(batch, max(0, start - 1)) == before


def test_iterations_of_megatron_become_samples() -> None:
    """A command line in iterations gives the definitions of the same one in samples."""
    by_samples = "--lr 0.1 --train-samples 800 --lr-warmup-samples 80 --lr-decay-samples 640"
    by_iterations = by_samples.replace("samples 800", "samples 100").replace("80", "10")
    by_iterations = by_iterations.replace("640", "80").replace("samples", "iters")
    decay = "--weight-decay-incr-style linear --start-weight-decay 0 --end-weight-decay 0.1"
    flags = f"{by_iterations} --global-batch-size 8 {decay}"
    samples = f"{by_samples} --global-batch-size 8 {decay}"
    found = convert_config("megatron", flags)
    assert found == convert_config("megatron", samples)
    assert found["batch_size"] == Constant(value=8)


def test_megatron_s_decoupled_layers_are_a_group() -> None:
    """--decoupled-lr gives the input and output layers a learning rate of their own."""
    definitions = convert_config("megatron", f"{MEGATRON} --decoupled-lr 5e-3")
    assert evaluate(definitions["lr/decoupled"], 10) == 5e-3
    assert evaluate(definitions["lr/decoupled"], 100) == 1e-5


def test_a_warm_up_of_less_than_a_sample_of_megatron_has_its_first_step() -> None:
    """A fraction may give 0.69 samples: step 0 has the rate that the warm-up begins at."""
    flags = "--lr 1 --lr-decay-style inverse-square-root --train-samples 690 --lr-warmup-init 0.25"
    for fraction, first in (("0.001", 0.25), ("0", 1.0)):
        found = convert_config("megatron", f"{flags} --lr-warmup-fraction {fraction}")["lr"]
        assert evaluate(found, [0, 1, 4]).tolist() == [first, 1.0, 0.5]


def test_a_cycle_of_deepspeed_sets_the_momentum() -> None:
    """OneCycle sets the betas of Adam: its momentum is at 0.8 on the peak, 0.99 is the other."""
    definitions = convert_config("deepspeed", scheduler("OneCycle", CYCLE))
    assert set(definitions) == {"lr", "beta1", "beta2", "weight_decay", "batch_size"}
    assert evaluate(definitions["beta1"], 20) == pytest.approx(0.8, rel=1e-12)
    assert evaluate(definitions["beta2"], 20) == 0.99


def test_a_file_without_a_scheduler_has_a_constant_rate() -> None:
    """A DeepSpeed file without a scheduler has its optimizer's learning rate."""
    definitions = convert_config("deepspeed", {"optimizer": ADAM})
    assert {name: evaluate(definitions[name], 5) for name in definitions} == {
        "lr": 1e-3,
        "weight_decay": 0.1,
    }


@pytest.mark.parametrize(
    ("library", "config", "field"),
    [
        ("optax", {}, "library"),
        ("nowhere", {}, "library"),
        ("deepspeed", [], "config"),
        ("deepspeed", {}, "config.scheduler"),
        ("deepspeed", {"scheduler": {"params": {}}}, "config.scheduler.type"),
        ("deepspeed", scheduler("Warmup", {}), "config.scheduler.type"),
        ("deepspeed", scheduler("WarmupLR", {"warmup_num_steps": 0}), f"{BLOCK}.warmup_num_steps"),
        ("deepspeed", scheduler("WarmupLR", {"warmup_max_lr": "auto"}), f"{BLOCK}.warmup_max_lr"),
        (
            "deepspeed",
            {"optimizer": {**ADAM, "params": {"lr": "1e-3"}}},
            "config.optimizer.params.lr",
        ),
        ("transformers", {"learning_rate": True}, "config.learning_rate"),
        ("transformers", {"learning_rate": 1e-3}, "config.max_steps"),
        ("transformers", {"max_steps": 9, "warmup_steps": -1}, "config.warmup_steps"),
        (
            "transformers",
            {"max_steps": 9, "lr_scheduler_kwargs": "{"},
            "config.lr_scheduler_kwargs",
        ),
        ("transformers", {"max_steps": 9, "lr_scheduler_type": "sine"}, "config.lr_scheduler_type"),
        ("megatron", "--lr", "config.lr"),
        ("megatron", "--lr fast --train-samples 9", "config.lr"),
        ("megatron", "--lr 'open", "config"),
        *(
            ("megatron", f"--lr 1 --step-batch-size-schedule {more}", f"config.{field}")
            for more, field in (
                ("'0:2 1K:4' --train-samples 9", "seq_length"),
                ("0:2 --train-iters 9 --seq-length 2", "step_batch_size_schedule"),
                ("0:2 --global-batch-size 9 --seq-length 2", "step_batch_size_schedule"),
                ("1:2 --train-samples 9 --seq-length 1", "step_batch_size_schedule"),
                ("'0:2 5:3 5:4' --train-samples 9 --seq-length 1", "step_batch_size_schedule"),
                ("0:0 --train-samples 9 --seq-length 1", "step_batch_size_schedule"),
                ("0:2G --train-samples 9 --seq-length 1", "step_batch_size_schedule"),
                ("0 --train-samples 9 --seq-length 1", "step_batch_size_schedule"),
                ("0:1.5 --train-samples 9 --seq-length 1", "step_batch_size_schedule"),
            )
        ),
        ("megatron", "--train-samples 9", "config.lr"),
        ("megatron", "--lr 0.1", "config.train_samples"),
        ("megatron", "--lr 0.1 --train-iters 9", "config.global_batch_size"),
        ("megatron", "--lr 0.1 --train-samples 9 --lr-warmup-iters 1", "config.lr_warmup_iters"),
        ("megatron", "--lr 0.1 --train-samples 9 --lr-decay-style sine", "config.lr_decay_style"),
        (
            "megatron",
            "--lr 0.1 --train-samples 9 --lr-warmup-samples 1 --lr-warmup-fraction 0.1",
            "config.lr_warmup_samples",
        ),
        (
            "megatron",
            "--lr 0.1 --train-iters 9 --global-batch-size 4 --rampup-batch-size 2 2 9",
            "config.rampup_batch_size",
        ),
    ],
)
def test_a_wrong_file_is_refused_by_the_field(library: str, config: Any, field: str) -> None:
    """P10: what is missing or wrong in a file is named by its path."""
    with pytest.raises(Invalid, match=r"^The configuration cannot be ") as caught:
        convert_config(library, config)
    assert field in {error.field for error in caught.value.errors}


def test_a_plateau_of_a_file_is_a_controller() -> None:
    """The Trainer hands metric_for_best_model, a loss by default, to PyTorch's plateau."""
    file = {
        "learning_rate": 1e-3,
        "lr_scheduler_type": "reduce_lr_on_plateau",
        "lr_scheduler_kwargs": {"mode": "max", "factor": 0.5, "patience": 2},
        "metric_for_best_model": "f1",
    }
    found = config_conversion("transformers", file)
    assert found.parameters["lr"].to_json() == {"kind": "constant", "value": 1e-3}
    expected = {"kind": "plateau", "reading": "torch", "metric": "eval_f1", "mode": "max"}
    assert found.controllers["plateau"].document.items() >= {**expected, "patience": 2}.items()
    usual = config_conversion("transformers", {"lr_scheduler_type": "reduce_lr_on_plateau"})
    assert usual.controllers["plateau"].document["metric"] == "eval_loss"
    with pytest.raises(Invalid, match="config_conversion"):
        convert_config("transformers", file)
    wrong = {**file, "lr_scheduler_kwargs": {"patience": "2"}}
    with pytest.raises(Invalid) as caught:
        config_conversion("transformers", wrong)
    assert caught.value.errors[0].field == "config.lr_scheduler_kwargs.patience"
