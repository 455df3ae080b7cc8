"""Ways to configure schedulers that no record has, in which a parameter acts that else does not."""

from __future__ import annotations

from typing import Any

RESCALED = {
    "max_duration": "100ba",
    "dataloader_len": 10,
    "batch_size": 4,
    "scale_schedule_ratio": 0.5,
}
COSINE = {"name": "CosWithWarmup", "params": {"warmup": 5}}
STEPS = {"warmup_steps": 10, "t_max_arg": 100}
SHARE = {"warmup_fraction": 0.1, "t_max_arg": 100}
DECAY = {"warmup": 10, "decay_steps": 20, "decay_fraction": None, "t_max_arg": 100}


def rescaled(**params: Any) -> dict[str, Any]:
    """Return what is asked of Composer where the training is cut to half."""
    return {"params": {"t_warmup": "10ba", **params}, "context": RESCALED}


EXAMPLES: dict[str, list[dict[str, Any]]] = {
    "transformers/get_scheduler": [
        {
            "params": {
                "name": name,
                "num_warmup_steps": 10,
                "num_training_steps": 100,
                "scheduler_specific_kwargs": kwargs,
            }
        }
        for name, kwargs in (("linear", {}), ("cosine", {"num_cycles": 2.0}))
    ],
    "fairseq/PolynomialDecayLRSchedule": [{"params": {"lr": [0.1], "max_update": 100}}],
    "fairseq/FixedLRSchedule": [{"params": {"lr": [0.1], "force_anneal": 2, "lr_shrink": 0.5}}],
    "fairseq/ManualSchedule": [
        {"params": {"epoch2lr": {"1-10": 0.1, "20": 0.01}}},
        {"params": {"update2lr": {"5": 0.1}}},
    ],
    "composer/MultiStepWithWarmupScheduler": [rescaled(milestones=["50ba"], scale_warmup=True)],
    "nemo/NoamAnnealing": [{"params": {"d_model": 256, "warmup_ratio": 0.1, "max_steps": 200}}],
    "olmo_core/SequentialScheduler": [
        {
            "params": {
                "schedulers": [COSINE, COSINE],
                "schedulers_max_steps": [50],
                "t_max_arg": 100,
            }
        }
    ],
    "olmo_core/PowerLR": [
        {"params": {**DECAY, "b": -0.6}},
        {"params": {**STEPS, "decay": 20, "decay_fraction": None}},
    ],
    "axolotl/JaggedLRRestartScheduler": [
        {
            "params": {
                "inner_schedule": {"name": "ExponentialLR", "params": {"gamma": 0.9}},
                "jagged_restart_steps": 20,
                "jagged_restart_warmup_steps": 4,
            }
        }
    ],
    "big_vision/create_learning_rate_schedule": [
        {"params": {"total_steps": 100, "steps": [20, 50], "mults": [0.1, 0.01]}}
    ],
}
for _name in ("Constant", "Linear", "CosineAnnealing", "Polynomial"):
    EXAMPLES[f"composer/{_name}WithWarmupScheduler"] = [rescaled(scale_warmup=True)]
for _name in ("constant", "cosine"):
    EXAMPLES[f"llm_foundry/{_name}_with_warmup"] = [rescaled(scale_warmup=True)]
EXAMPLES["llm_foundry/linear_decay_with_warmup"] = [rescaled(scale_warmup=True)]
for _name in ("HalfCosWithWarmup", "ConstantWithWarmup", "LinearWithWarmup", "InvSqrtWithWarmup"):
    EXAMPLES[f"olmo_core/{_name}"] = [{"params": STEPS}, {"params": SHARE}]
for _name in ("CosWithWarmupAndLinearDecay", "WSD"):
    EXAMPLES[f"olmo_core/{_name}"] = [{"params": STEPS}, {"params": DECAY}]
