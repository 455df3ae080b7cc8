"""`rheostat convert`: other libraries' schedulers as definitions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest


def test_a_scheduler_becomes_a_definition(rheostat: Any, tmp_path: Path) -> None:
    """Parameters are words, whose lists have commas; the answer can be read again as it stands."""
    line = "convert torch MultiStepLR milestones=30,60 gamma=0.5 --base 0.1"
    ran = rheostat(line)
    assert ran.code == 0
    expected = {"kind": "multistep", "start": 0.1, "milestones": [30, 60], "factor": 0.5}
    assert rheostat(line + " --json").json == expected
    (tmp_path / "lr.json").write_text(ran.out)
    assert float(rheostat(f"evaluate @{tmp_path}/lr.json --step 45").out) == pytest.approx(
        0.05, rel=1e-15
    )


def test_parameters_from_json(rheostat: Any, tmp_path: Path) -> None:
    """Parameters are read from a file too, and words go on from it."""
    file = tmp_path / "params.json"
    file.write_text('{"start_value": 1.0, "end_value": 0.5}')
    line = f"convert fvcore LinearParamScheduler @{file} end_value=0 --total 40 --json"
    assert rheostat(line).json == {"kind": "linear", "start": 1.0, "end": 0.0, "steps": 40}


def test_what_a_library_knows_beside_the_parameters(rheostat: Any) -> None:
    """A group, or any other context, is said by its name."""
    line = "convert torch SWALR swa_lr=0.1,0.2 anneal_epochs=0 --base 1 --json --context group="
    assert rheostat(line + "1").json == {"kind": "constant", "value": 0.2}


def test_what_can_be_converted_is_listed(rheostat: Any) -> None:
    """Without a name the schedulers of a library are listed, without a library the libraries."""
    assert {"library": "torch", "names": ["pytorch"]} in rheostat("convert --json").json
    listed = rheostat("convert pytorch").out
    assert "CosineAnnealingLR" in listed
    assert "`cosine`, periodic" in listed


def test_what_reacts_to_a_metric_becomes_a_controller(rheostat: Any) -> None:
    """A plateau and an early stopping are printed as a controller's fields."""
    line = "convert torch ReduceLROnPlateau mode=max factor=0.5 patience=3 --metric accuracy --json"
    found = rheostat(line).json
    assert (found["kind"], found["metric"], found["mode"]) == ("plateau", "accuracy", "max")
    assert (found["factor"], found["patience"]) == (0.5, 3)
    assert not {"limit", "message", "gate", "start", "sources", "effective"} & found.keys()
    found = rheostat("convert keras EarlyStopping patience=2 --json").json
    assert (found["kind"], found["reading"], found["patience"]) == ("stop", "keras", 2)


def test_a_warm_up_is_printed_beside_its_plateau(rheostat: Any) -> None:
    """Where a library has a curve in the class, both are printed by their names."""
    line = "convert timm PlateauLRScheduler warmup_t=5 mode=min --base 0.1 --json"
    found = rheostat(line).json
    assert set(found) == {"definition", "controller"}
    assert (found["definition"]["kind"], found["controller"]["start"]) == ("warmup", 6)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("convert torch ReduceLROnPlateau mode=max", "--metric"),
        ("convert torch CosineAnnealingLR t_max=5 --base 1", "did you mean T_max?"),
        ("convert torch CosineAnnealing T_max=5 --base 1", "did you mean CosineAnnealingLR?"),
        ("convert torhc", "did you mean torch?"),
        ("convert torch StepLR step_size=3", "--base"),
    ],
)
def test_what_cannot_be_converted_is_refused(line: str, said: str, rheostat: Any) -> None:
    """A refusal names the field, and what was probably meant."""
    ran = rheostat(line)
    assert ran.code == 1
    assert said in ran.err


def test_words_that_are_no_parameters(rheostat: Any) -> None:
    """A word without a value is a mistake of the command line."""
    assert rheostat("convert torch StepLR step_size").code == 2


def test_a_plateau_in_a_file_is_printed_beside_the_parameters(
    rheostat: Any, tmp_path: Path
) -> None:
    """What reacts to a metric in a file stands under `controllers`, as a run takes it."""
    file = tmp_path / "arguments.json"
    file.write_text('{"learning_rate": 0.1, "lr_scheduler_type": "reduce_lr_on_plateau"}')
    found = rheostat(f"convert transformers --config {file} --json").json
    assert found["parameters"]["lr"] == {"kind": "constant", "value": 0.1}
    assert found["controllers"]["plateau"]["metric"] == "eval_loss"


def test_a_configuration_file_becomes_the_parameters_of_a_run(
    rheostat: Any, tmp_path: Path
) -> None:
    """The library of a file is told from what is in it; Megatron's command line is one too."""
    file = tmp_path / "ds_config.json"
    file.write_text('{"optimizer": {"type": "SGD", "params": {"lr": 0.1}}, "fp16": {}}')
    expected = {"library": "deepspeed", "parameters": {"lr": {"kind": "constant", "value": 0.1}}}
    assert rheostat(f"convert --config {file} --json").json == expected
    file = tmp_path / "pretrain.sh"
    more = "--lr-decay-style linear --weight-decay 0.01"
    file.write_text(f"--lr 0.1 \\\n --train-samples 40 --num-layers 2 {more}\n")
    linear = {"kind": "linear", "start": 0.1, "end": 0.0, "steps": 40}
    found = rheostat(f"convert --config {file} --json").json
    assert found["parameters"]["lr"] == linear
    assert (found["axis"], found["total"]) == ("samples", 40)
    file = tmp_path / "sft.yaml"
    file.write_text("learning_rate: 1e-1\nlr_scheduler_type: linear\n")
    line = f"convert transformers --config {file} --json --steps-per-epoch 20"
    found = rheostat(line).json
    assert found["parameters"]["lr"] == {**linear, "steps": 60}
    assert (found["total"], found["steps_per_epoch"]) == (60, 20)


def test_the_length_of_an_epoch_is_said(rheostat: Any, tmp_path: Path) -> None:
    """A list of MMEngine with two clocks is converted by iterations."""
    file = tmp_path / "list.json"
    warmup = {"start_factor": 0.5, "end": 10, "by_epoch": False}
    stairs = {"milestones": [3], "gamma": 0.1}
    schedulers = [
        {"name": "LinearLR", "params": warmup},
        {"name": "MultiStepLR", "params": stairs},
    ]
    file.write_text(json.dumps({"schedulers": schedulers}))
    line = f"convert mmengine list @{file} --base 0.1"
    ran = rheostat(line)
    assert ran.code == 1
    assert "--steps-per-epoch" in ran.err
    (tmp_path / "lr.json").write_text(rheostat(f"{line} --steps-per-epoch 20").out)
    for step, value in ((0, 0.05), (59, 0.1), (60, 0.01)):
        out = rheostat(f"evaluate @{tmp_path}/lr.json --step {step}").out
        assert float(out) == pytest.approx(value, rel=1e-12)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('{"learning_rate": 1e-4, "lr_scheduler": "constant"}', "of one library alone"),
        ('{"zero_optimization": {}, "lr_scheduler_type": "cosine"}', "of several"),
        ("learning_rate: 1e-4\nwarmup_ratio: 0.1\n", "fields"),
        ("learning_rate 1e-4", "no YAML"),
        ("--lr 5e-4 --batch-size 4", "flags"),
    ],
)
def test_a_library_is_not_guessed(content: str, said: str, rheostat: Any, tmp_path: Path) -> None:
    """A file that others have too is not taken for anything: the library is asked for, and why."""
    file = tmp_path / "config"
    file.write_text(content)
    ran = rheostat(f"convert --config {file}")
    assert ran.code == 1
    assert said in ran.err


def test_a_file_stands_alone(rheostat: Any, tmp_path: Path) -> None:
    """What describes one scheduler would have no effect beside a whole file: it is refused."""
    file = tmp_path / "config.json"
    file.write_text('{"lr_scheduler_type": "linear", "max_steps": 9}')
    assert rheostat(f"convert transformers --config {file}").code == 0
    for more in ("linear", "linear x=1", "--base 0.1", "--context group=1"):
        assert rheostat(f"convert transformers {more} --config {file}").code == 2
    assert rheostat(f"convert transformers --hyperparameter x --config {file}").code == 2


def test_a_file_that_says_nothing(rheostat: Any, tmp_path: Path) -> None:
    """A file whose library cannot be told is refused, as one is that lacks a schedule."""
    file = tmp_path / "config.json"
    file.write_text("{}")
    ran = rheostat(f"convert --config {file}")
    assert (ran.code, "library: is required" in ran.err) == (1, True)
    ran = rheostat(f"convert deepspeed --config {file}")
    assert ran.code == 1
    assert "config.scheduler" in ran.err
    assert rheostat(f"convert --config {tmp_path}/nothing.json").code == 2
