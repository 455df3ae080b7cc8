"""`rheostat run create` from a configuration file, or from what `rheostat convert` printed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

SFT = """
learning_rate: 1e-3
lr_scheduler_type: cosine
warmup_steps: 0
num_train_epochs: 2
weight_decay: 0.1
"""
PLATEAU = "learning_rate: 1e-3\nlr_scheduler_type: reduce_lr_on_plateau\nweight_decay: 0.0\n"


@pytest.fixture
def sft(tmp_path: Path) -> Path:
    """Return a file of TrainingArguments."""
    file = tmp_path / "sft.yaml"
    file.write_text(SFT)
    return file


def test_a_file_becomes_a_run(operator: Any, new_name: Callable[[], str], sft: Path) -> None:
    """One command makes the run that a file describes, with its lengths."""
    options = "--steps-per-epoch 50 --label team=nlp --library huggingface"
    made = operator(f"run create {new_name()} --config {sft} {options} --json").json
    assert (made["total"], made["steps_per_epoch"], made["labels"]) == (100, 50, {"team": "nlp"})
    assert made["current"] == {"lr": 1e-3, "weight_decay": 0.1}


def test_what_was_printed_becomes_the_same_run(
    operator: Any, new_name: Callable[[], str], sft: Path, tmp_path: Path
) -> None:
    """What `convert --config` prints is taken as it is, from a file or from standard input."""
    first, second = new_name(), new_name()
    lengths = "--steps-per-epoch 50"
    made = operator(f"run create {first} --config {sft} {lengths} --json").json
    printed = operator(f"convert --config {sft} {lengths}").out
    (tmp_path / "run.json").write_text(printed)
    again = operator(f"run create {second} @{tmp_path}/run.json --json").json
    piped = [
        operator(f"run create {new_name()} {word} --json", stdin=printed).json
        for word in ("-", "@-")
    ]
    for field in ("parameters", "total", "steps_per_epoch", "current", "axis"):
        assert all(made[field] == each[field] for each in (again, *piped))


def test_controllers_of_a_file_are_armed(
    operator: Any, new_name: Callable[[], str], tmp_path: Path
) -> None:
    """A plateau in a file reads its metric from the start; others may stand beside it."""
    file = tmp_path / "plateau.yaml"
    file.write_text(PLATEAU)
    stop = "--controller s.kind=stop --controller s.metric=loss"
    name = new_name()
    assert operator(f"run create {name} momentum 0.9 --config {file} {stop}").code == 0
    listed = operator(f"run controllers {name} --json").json
    assert {each["name"] for each in listed} == {"plateau", "s"}
    assert set(operator(f"run show {name} --json").json["current"]) == {
        *("lr", "momentum", "weight_decay")
    }


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--config {sft} --steps-per-epoch 50 --total 99", "contradicts the file"),
        ("@{run} --total 9", "--total 9 contradicts"),
        ("lr 0.1 --config {sft} --steps-per-epoch 50", "lr is one of the parameters"),
        ("@{sft}", "is not JSON"),
        ("@{other}", "is no run"),
        ("@{more}", "has name"),
        ("--config {sft} --library torhc", "library"),
        ("lr 0.1 --library transformers", "--config"),
        ("", "--config FILE"),
        ("--config {tmp}/none.yaml", "cannot read"),
        ("--config {sft}", "max_steps"),
    ],
)
def test_what_contradicts_a_file_is_refused(
    words: str, said: str, operator: Any, new_name: Callable[[], str], sft: Path, tmp_path: Path
) -> None:
    """What a file says holds: options and words that say otherwise are refused."""
    run, other, more = (tmp_path / f"{name}.json" for name in ("run", "other", "more"))
    run.write_text('{"parameters": {"lr": 1}, "total": 10}')
    other.write_text('{"lr": 1}')
    more.write_text('{"parameters": {"lr": 1}, "name": "x"}')
    filled = words.format(sft=sft, run=run, other=other, more=more, tmp=tmp_path)
    ran = operator(f"run create {new_name()} {filled}")
    assert ran.code in {1, 2}
    assert said in " ".join(ran.err.replace("│", " ").split())
