"""OpenRLHF's command lines, by the names of now and of before."""

from __future__ import annotations

from typing import Any

import pytest
from tests.converters.configs.formulas import check, constant, line, refused, times, wave

from rheostat.converters.configs import library_of
from rheostat.converters.configs.documents import document

SFT = "--train.max_epochs 2 --adam.lr 5e-6 --ds.zero_stage 2 --actor.model_name_or_path x"
PPO = "--actor.adam.lr 5e-7 --critic.adam.lr 9e-6 --train.max_epochs 1 --train.num_episodes 3"

OLD = "--actor_learning_rate 5e-7 --critic_learning_rate 9e-6 --max_epochs 1 --num_episodes 3"


def test_a_command_line_gives_the_trainer_s_values() -> None:
    """The warm-up is 3 % of the training, rounded up, and the floor a tenth, by default."""
    expected = {"lr": times(5e-6, wave(7, 202, floor=0.1)), "weight_decay": constant(0.0)}
    check("openrlhf", document(SFT), expected, {"steps_per_epoch": 101}, 202)
    assert library_of(document(SFT)).library == "openrlhf"


def test_the_schedule_is_the_file_s() -> None:
    """A schedule without a floor has none; a share of 0 is no warm-up."""
    own = "--lr_scheduler linear --lr_warmup_ratio 0.1 --min_lr_ratio 0.5 --adam.weight_decay 0.1"
    expected = {"lr": times(5e-6, line(21, 202)), "weight_decay": constant(0.1)}
    check("openrlhf", document(f"{SFT} {own}"), expected, {"steps_per_epoch": 101}, 202)


@pytest.mark.parametrize(
    "config",
    [
        {"learning_rate": 1e-6, "lr_warmup_ratio": 0.03, "lr_scheduler": "cosine_with_min_lr"},
        {"adam": {"lr": 1e-6}},
        {"adam.lr": 1e-6},
    ],
)
def test_names_of_before_mean_the_same(config: dict[str, Any]) -> None:
    """learning_rate was the name of adam.lr; blocks are names with dots."""
    expected = {"lr": times(1e-6, wave(30, 1000, floor=0.1)), "weight_decay": constant(0.0)}
    check("openrlhf", config, expected, {"total": 1000}, 1000)


@pytest.mark.parametrize(
    ("flags", "share"),
    [
        (f"{PPO} --actor.lr_warmup_ratio 0.1 --critic.lr_warmup_ratio 0.1", 0.1),
        (f"{OLD} --lr_warmup_ratio 0.1", 0.1),
        (PPO, 0.03),
        ("-m openrlhf.cli.train_ppo_ray --train.num_episodes 3 --critic.optim adam", 0.03),
    ],
)
def test_ppo_has_two_optimizers(flags: str, share: float) -> None:
    """The actor's rate is lr; episodes and epochs make the training so many times longer."""
    curve = wave(-int(-share * 300 // 1), 300, floor=0.1)
    expected = {
        "lr": times(1e-6 if "ray" in flags else 5e-7, curve),
        "lr/critic": times(9e-6, curve),
        "weight_decay": constant(0.0),
        "weight_decay/critic": constant(0.0),
    }
    check("openrlhf", document(flags), expected, {"steps_per_epoch": 100}, 300)


@pytest.mark.parametrize(
    ("trainer", "rate", "epochs"), [("sft", 5e-6, 2), ("dpo", 1e-5, 1), ("rm", 9e-6, 1)]
)
def test_a_trainer_that_is_named_has_its_defaults(trainer: str, rate: float, epochs: int) -> None:
    """The command line may name the trainer, whose rate and epochs are those of its own."""
    line = f"deepspeed --module openrlhf.cli.train_{trainer} --ds.zero_stage 2"
    total = 100 * epochs
    curve = wave(3 * epochs, total, floor=0.1)
    expected = {"lr": times(rate, curve), "weight_decay": constant(0.0)}
    check("openrlhf", document(line), expected, {"steps_per_epoch": 100}, total)


def test_muon_has_a_rate_of_its_own() -> None:
    """The matrices have muon's rate, and what else there is has Adam's."""
    curve = wave(7, 202, floor=0.1)
    expected = {
        "lr": times(5e-6, curve),
        "lr/muon": times(0.01, curve),
        "weight_decay": constant(0.0),
    }
    config = document(f"{SFT} --optim muon --muon.lr 0.01")
    check("openrlhf", config, expected, {"steps_per_epoch": 101}, 202)


@pytest.mark.parametrize(
    ("flags", "field"),
    [
        ("--train.max_epochs 1", "config.adam.lr"),
        ("--adam.lr 1e-6", "config.train.max_epochs"),
        ("--adam.lr --train.max_epochs 1", "config.adam.lr"),
        ("--adam.lr fast --train.max_epochs 1", "config.adam.lr"),
        (f"{SFT} --learning_rate 1e-6", "config.learning_rate"),
        (f"{SFT} --lr_schedular linear", "config.lr_schedular"),
        (f"{SFT} --lr_scheduler sine", "config.lr_scheduler"),
        (f"{PPO} --actor.lr_warmup_steps 5", "config.actor.lr_warmup_steps"),
        (f"{PPO} --adam.lr 1e-6", "config.adam.lr"),
        (f"{PPO} --critic.freezing_steps 5", "config.critic.freezing_steps"),
        (f"{PPO} --actor.min_lr_ratio 2", "config.actor.min_lr_ratio"),
    ],
)
def test_what_would_be_another_curve_is_refused(flags: str, field: str) -> None:
    """What each trainer has by another default, and what is not read, is refused by its flag."""
    assert refused("openrlhf", document(flags), steps_per_epoch=10) == {field}


def test_the_length_is_asked_for() -> None:
    """The warm-up is a share of the training, whose length must be known."""
    assert refused("openrlhf", document(SFT)) == {"total"}
