"""Scripts of Megatron-LM, stepped by Megatron Core's own scheduler, by samples."""

from __future__ import annotations

from argparse import ArgumentParser
from random import Random

import torch
from megatron.core.optimizer_param_scheduler import OptimizerParamScheduler
from tests.converters.compare.alone import version_of
from tests.converters.compare.draws import Params, among, either, fields, real
from tests.converters.compare.files.trials import File, Training
from tests.converters.compare.files.writing import as_script, words_of

VERSION = version_of("megatron-core")
_COMMAND = "torchrun --nproc_per_node 8 pretrain_gpt.py"
_ARGUMENTS = fields(
    {
        "lr": either(among(6e-5, 1.5e-4), real(1e-5, 1e-2)),
        "lr-decay-style": among("constant", "linear", "cosine", "inverse-square-root", "WSD"),
        "weight-decay": among(0.1, 0.01, 0.0),
        "tensor-model-parallel-size": among(8),
    },
    **{
        "min-lr": either(among(0.0), real(0.0, 1e-6)),
        "lr-warmup-init": among(0.0, 1e-7),
        "bf16": among(True),
        "clip-grad": among(1.0),
    },
)


def drawn(rng: Random) -> File:
    """Return a script in iterations or in samples, with a decay as long as it or shorter."""
    given: Params = _ARGUMENTS(rng)
    unit = rng.choice(("iters", "samples"))
    train = rng.randint(2, 150)
    given[f"train-{unit}"] = train
    if rng.random() < 0.5:
        given[f"lr-decay-{unit}"] = rng.randint(2, train)
    end = given.get(f"lr-decay-{unit}", train)
    kind = rng.choice(("none", "share", "steps"))
    if kind == "share":
        given["lr-warmup-fraction"] = rng.choice((0.01, 0.001, 0.1, rng.uniform(0.0, 0.9)))
    elif kind == "steps":
        given[f"lr-warmup-{unit}"] = rng.randint(0, end - 1)
    if given["lr-decay-style"] == "WSD":
        given[f"lr-wsd-decay-{unit}"] = rng.randint(1, end)
        given["lr-wsd-decay-style"] = rng.choice(("linear", "cosine", "exponential", "minus_sqrt"))
    if rng.random() < 0.3:
        given |= {"weight-decay-incr-style": rng.choice(("linear", "cosine"))}
        given |= {"start-weight-decay": 0.01, "end-weight-decay": 0.1}
    if unit == "iters" or rng.random() < 0.5:
        given["global-batch-size"] = rng.randint(1, 9)
    return File(as_script(rng, _COMMAND, given), "train_gpt3.sh")


def _parsed(words: list[str]) -> Params:
    """Return the flags, by argparse as Megatron has it."""
    parser = ArgumentParser()
    for name in ("train", "lr-decay", "lr-warmup", "lr-wsd-decay"):
        for unit in ("iters", "samples"):
            parser.add_argument(f"--{name}-{unit}", type=int)
    numbers = {"lr": None, "min-lr": 0.0, "lr-warmup-init": 0.0, "lr-warmup-fraction": None}
    numbers |= {"weight-decay": 0.01, "start-weight-decay": None, "end-weight-decay": None}
    for name, default in numbers.items():
        parser.add_argument(f"--{name}", type=float, default=default)
    parser.add_argument("--lr-decay-style", default="linear")
    parser.add_argument("--lr-wsd-decay-style", default="exponential")
    parser.add_argument("--weight-decay-incr-style", default="constant")
    parser.add_argument("--global-batch-size", type=int)
    return vars(parser.parse_known_args(words)[0])


def trained(file: File) -> Training | None:
    """Work out the lengths as get_optimizer_param_scheduler does, and step sample by sample."""
    given = _parsed(words_of(file.text, "pretrain_gpt.py"))
    by_iterations = given["train_iters"] is not None
    unit, size = ("iters", given["global_batch_size"]) if by_iterations else ("samples", 1)
    whole = given[f"train_{unit}"] * size
    decay = (given[f"lr_decay_{unit}"] or given[f"train_{unit}"]) * size
    warmup = (given[f"lr_warmup_{unit}"] or 0) * size
    if given["lr_warmup_fraction"] is not None:
        warmup = given["lr_warmup_fraction"] * decay
    wsd = given[f"lr_wsd_decay_{unit}"]
    start, end = given["start_weight_decay"], given["end_weight_decay"]
    if given["weight_decay_incr_style"] == "constant":
        start = end = given["weight_decay"]
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], lr=given["lr"])
    group = optimizer.param_groups[0]
    rates, decays = [], []
    try:
        scheduler = OptimizerParamScheduler(
            optimizer,
            init_lr=given["lr_warmup_init"],
            max_lr=given["lr"],
            min_lr=given["min_lr"],
            lr_warmup_steps=warmup,
            lr_decay_steps=decay,
            lr_decay_style=given["lr_decay_style"],
            start_wd=start,
            end_wd=end,
            wd_incr_steps=whole,
            wd_incr_style=given["weight_decay_incr_style"],
            wsd_decay_steps=None if wsd is None else wsd * size,
            lr_wsd_decay_style=given["lr_wsd_decay_style"],
        )
        for _ in range(whole):
            rates.append(float(group["lr"]))
            decays.append(float(group["weight_decay"]))
            scheduler.step(1)
    except (AssertionError, ZeroDivisionError, ValueError):
        return None
    values = {"lr": rates, "weight_decay": decays}
    if given["global_batch_size"] is not None:
        values["batch_size"] = [float(given["global_batch_size"])] * whole
    return Training(values, whole)
