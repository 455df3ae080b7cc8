"""verl's trainers: PPO with its two optimizers, and SFT."""

from __future__ import annotations

from typing import Any

import pytest
from tests.converters.configs.formulas import (
    Formula,
    check,
    constant,
    refused,
    stages,
    times,
    warmed,
    wave,
)

from rheostat.converters.configs import library_of
from rheostat.converters.configs.documents import document

ACTOR = "config.actor_rollout_ref.actor.optim"
LENGTHS = {"steps_per_epoch": 7}


def ppo(actor: dict[str, Any], **blocks: Any) -> dict[str, Any]:
    """Return a file of PPO with this optimizer of the actor, and without a critic."""
    return {
        "algorithm": {"adv_estimator": "grpo"},
        "actor_rollout_ref": {"actor": {"strategy": "fsdp", "optim": actor}},
        "trainer": {"total_epochs": 15, "critic_warmup": 0},
        **blocks,
    }


CASES: list[tuple[dict[str, Any], Formula]] = [
    ({"lr": 1e-6}, constant(1.0)),
    ({"lr_warmup_steps": 10}, warmed(10, constant(1.0))),
    ({"lr_warmup_steps": 10, "lr_warmup_steps_ratio": 0.5}, warmed(10, constant(1.0))),
    ({"lr_warmup_steps": None, "lr_warmup_steps_ratio": 0.1}, warmed(10, constant(1.0))),
    ({"lr_warmup_steps_ratio": 0.1, "lr_scheduler_type": "cosine"}, wave(10, 105)),
    ({"lr_warmup_steps_ratio": 0.1, "warmup_style": "cosine"}, wave(10, 105)),
    (
        {"lr_scheduler_type": "cosine", "min_lr_ratio": 0.2, "num_cycles": 1.5},
        wave(0, 105, floor=0.2, cycles=1.5),
    ),
    ({"lr_scheduler_type": "cosine", "warmup_style": "constant"}, constant(1.0)),
]


@pytest.mark.parametrize(("optim", "curve"), CASES)
def test_the_actor_has_the_workers_values(optim: dict[str, Any], curve: Formula) -> None:
    """A warm-up in steps comes before its share; a step is one of the trainer."""
    expected = {"lr": times(1e-6, curve), "weight_decay": constant(0.01)}
    check("verl", ppo(optim), expected, LENGTHS, 105)


def test_the_critic_has_an_optimizer_of_its_own() -> None:
    """There is a critic with GAE, which is the default, or if it is enabled."""
    optim = {"lr": 2e-5, "weight_decay": 0.1, "lr_warmup_steps": 5, "warmup_style": "cosine"}
    expected = {
        "lr": constant(1e-6),
        "weight_decay": constant(0.01),
        "lr/critic": times(2e-5, wave(5, 105)),
        "weight_decay/critic": constant(0.1),
    }
    gae = ppo({"lr": 1e-6}, algorithm={}, critic={"optim": optim})
    check("verl", gae, expected, LENGTHS, 105)
    enabled = ppo({"lr": 1e-6}, critic={"enable": True, "optim": optim})
    check("verl", enabled, expected, LENGTHS, 105)
    bare = {**expected, "lr/critic": constant(1e-5), "weight_decay/critic": constant(0.01)}
    check("verl", ppo({}, algorithm={}), bare, LENGTHS, 105)


def test_the_trainer_s_length_comes_first() -> None:
    """total_training_steps of the trainer is the length, whatever the epochs are."""
    trainer = {"total_epochs": 15, "total_training_steps": 50}
    config = ppo({"warmup_style": "cosine"}, trainer=trainer)
    expected = {"lr": times(1e-6, wave(0, 50)), "weight_decay": constant(0.01)}
    check("verl", config, expected, LENGTHS, 50)


def megatron(optim: dict[str, Any]) -> dict[str, Any]:
    """Return a file of PPO whose actor is one of Megatron's workers."""
    return ppo({}) | {"actor_rollout_ref": {"actor": {"strategy": "megatron", "optim": optim}}}


@pytest.mark.parametrize(
    ("optim", "curve"),
    [
        ({}, constant(1.0)),
        ({"lr_warmup_steps": 10}, warmed(10, constant(1.0))),
        ({"lr_warmup_steps_ratio": 0.1, "lr_decay_style": "cosine"}, wave(10, 105)),
        (
            {"lr_decay_style": "cosine", "lr_decay_steps": 60, "min_lr": 1e-7},
            lambda step: wave(0, 60, floor=0.1)(min(step, 60)),
        ),
        (
            {"lr_decay_style": "linear", "lr_warmup_steps": 5, "lr_warmup_init": 5e-7},
            lambda step: 0.5 + 0.1 * step if step < 5 else 1 - (step - 5) / 100,
        ),
    ],
)
def test_megatron_s_workers_have_its_scheduler(optim: dict[str, Any], curve: Formula) -> None:
    """Megatron's scheduler counts the steps of the trainer, and is constant by default."""
    expected = {"lr": times(1e-6, curve), "weight_decay": constant(0.01)}
    check("verl", megatron(optim), expected, LENGTHS, 105)
    assert refused("verl", megatron({"min_lr_ratio": 0.1})) == {f"{ACTOR}.min_lr_ratio"}
    assert refused("verl", megatron({})) == {"total"}


def test_sft_has_one_optimizer() -> None:
    """The SFT trainers have it at the top; the older one has wsd too, nine tenths of it stable."""
    optim = {"lr": 1e-5, "lr_warmup_steps_ratio": 0.1, "lr_scheduler": "wsd"}
    config = {"optim": optim, "trainer": {"total_epochs": 4, "default_local_dir": "x"}}
    expected = {"lr": times(1e-5, stages(2, 23, 3)), "weight_decay": constant(0.01)}
    check("verl", config, expected, LENGTHS, 28)
    cosine = {**config, "optim": {**optim, "lr_scheduler": "cosine"}}
    check("verl", cosine, {**expected, "lr": times(1e-5, wave(2, 28))}, LENGTHS, 28)
    assert library_of(config).library == "verl"
    assert library_of(ppo({})).library == "verl"


def test_a_command_line_is_the_file_s_fields() -> None:
    """What Hydra overrides has dots in its name; an older trainer has defaults of its own."""
    line = (
        "set -x\npip install --quiet verl\npython3 -m verl.trainer.main_ppo "
        "algorithm.adv_estimator=grpo trainer.total_epochs=15 critic.enable=False "
        "actor_rollout_ref.actor.optim.lr=2e-6 +actor_rollout_ref.actor.optim.warmup_style=cosine "
        "actor_rollout_ref.actor.optim.lr_warmup_steps_ratio=0.1 $@"
    )
    expected = {"lr": times(2e-6, wave(10, 105)), "weight_decay": constant(0.01)}
    check("verl", document(line), expected, LENGTHS, 105)
    assert library_of(document(line)).library == "verl"
    older = (
        "torchrun -m verl.trainer.fsdp_sft_trainer optim.weight_decay=0.1 trainer.total_epochs=4"
    )
    expected = {"lr": times(1e-5, wave(2, 28)), "weight_decay": constant(0.1)}
    check("verl", document(older), expected, LENGTHS, 28)
    newer = "torchrun -m verl.trainer.sft_trainer optim.lr=1e-5 trainer.total_epochs=4"
    field = "config.optim.lr_scheduler_type"
    assert refused("verl", document(newer), **LENGTHS) == {field}
    workers = "x.py --config-name=ppo_megatron_trainer.yaml algorithm.adv_estimator=grpo"
    style = "actor_rollout_ref.actor.optim.lr_decay_style=cosine trainer.total_training_steps=105"
    expected = {"lr": times(1e-6, wave(0, 105)), "weight_decay": constant(0.01)}
    check("verl", document(f"{workers} {style}"), expected, {}, 105)
    base = "x.py --config-path=/x --config-name=mine actor_rollout_ref.actor.optim.lr=1e-6"
    assert refused("verl", document(base)) == {"config.config_name"}
    both = "x.py a.b=1 a.b.c=2 actor_rollout_ref.model.path=x"
    assert refused("verl", document(both)) == {"config.a.b.c"}


@pytest.mark.parametrize(
    ("config", "field"),
    [
        (ppo({"lr": "fast"}), f"{ACTOR}.lr"),
        (
            ppo({"lr_scheduler_type": "wsd"}),
            f"{ACTOR}.lr_scheduler_type",
        ),
        (ppo({"lr_decay_style": "x"}), f"{ACTOR}.lr_decay_style"),
        (
            ppo({"lr_warmup_steps": 0, "lr_warmup_steps_ratio": 0.1}),
            f"{ACTOR}.lr_warmup_steps",
        ),
        (
            ppo({"total_training_steps": 9}),
            f"{ACTOR}.total_training_steps",
        ),
        (ppo({"zero_indexed_step": False}), f"{ACTOR}.zero_indexed_step"),
        (
            ppo({"override_optimizer_config": {"lr": 1.0}}),
            f"{ACTOR}.override_optimizer_config.lr",
        ),
        (
            megatron({"override_optimizer_config": {"weight_decay": 1.0, "offload": 1}}),
            f"{ACTOR}.override_optimizer_config.weight_decay",
        ),
        (ppo({}, trainer={"critic_warmup": 5}), "config.trainer.critic_warmup"),
        (ppo({}, trainer={"epochs": 5}), "config.trainer.epochs"),
        (ppo({}, warmup_ratio=0.1), "config.warmup_ratio"),
        ({"optim": {"lr_scheduler_type": "cosine"}}, "config.trainer.total_epochs"),
        (
            {"actor_rollout_ref": {"actor": {"strategy": "veomni"}}},
            "config.actor_rollout_ref.actor.strategy",
        ),
        ({"actor_rollout_ref": 1}, "config.actor_rollout_ref.actor"),
        ({"trainer": []}, "config.trainer"),
    ],
)
def test_what_would_be_another_curve_is_refused(config: dict[str, Any], field: str) -> None:
    """Other workers, other schedules, and what the trainer sets are refused by their paths."""
    assert refused("verl", config, **LENGTHS) == {field}


def test_the_length_is_asked_for() -> None:
    """Shares of the training need its length."""
    assert refused("verl", ppo({"warmup_style": "cosine"})) == {"total"}
    assert refused("verl", ppo({"lr_warmup_steps_ratio": 0.1})) == {"total"}
