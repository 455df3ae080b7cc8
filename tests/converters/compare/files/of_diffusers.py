"""Scripts of diffusers' trainings, whose own `get_scheduler` makes the schedule."""

from __future__ import annotations

from argparse import ArgumentParser
from random import Random

import torch
from diffusers.optimization import get_scheduler
from tests.converters.compare.alone import version_of
from tests.converters.compare.draws import among, either, fields, real, whole
from tests.converters.compare.files.trials import File, Training
from tests.converters.compare.files.writing import as_script, words_of

VERSION = version_of("diffusers")
_COMMAND = "accelerate launch train_text_to_image_lora.py"
_ARGUMENTS = fields(
    {
        "pretrained_model_name_or_path": among("stabilityai/stable-diffusion-xl-base-1.0"),
        "learning_rate": either(among(1e-4, 1e-5), real(1e-6, 1e-2)),
        "lr_scheduler": among(
            "constant",
            "linear",
            "cosine",
            "cosine_with_restarts",
            "polynomial",
            "constant_with_warmup",
        ),
        "lr_warmup_steps": either(among(0, 500), whole(0, 60)),
        "max_train_steps": whole(1, 150),
        "checkpointing_steps": among(500),
    },
    lr_num_cycles=whole(1, 4),
    lr_power=among(1.0, 2.0, 0.5),
    adam_weight_decay=among(0.01, 0.1),
    seed=among(42),
    validation_prompt=among("a pokemon; # with blue eyes"),
)


def drawn(rng: Random) -> File:
    """Return a script."""
    return File(as_script(rng, _COMMAND, _ARGUMENTS(rng)), "train.sh")


def trained(file: File) -> Training | None:
    """Parse the flags as the scripts do, and step the scheduler after each update."""
    parser = ArgumentParser()
    parser.add_argument("--learning_rate", type=float)
    parser.add_argument("--lr_scheduler")
    for name, default in (("warmup_steps", 500), ("num_cycles", 1)):
        parser.add_argument(f"--lr_{name}", type=int, default=default)
    parser.add_argument("--lr_power", type=float, default=1.0)
    parser.add_argument("--max_train_steps", type=int)
    parser.add_argument("--adam_weight_decay", type=float)
    args, _ = parser.parse_known_args(words_of(file.text, "train_text_to_image_lora.py"))
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], lr=args.learning_rate)
    rates, steps = [], args.max_train_steps
    try:
        scheduler = get_scheduler(
            args.lr_scheduler,
            optimizer=optimizer,
            num_warmup_steps=args.lr_warmup_steps,
            num_training_steps=steps,
            num_cycles=args.lr_num_cycles,
            power=args.lr_power,
        )
        for _ in range(steps):
            rates.append(float(optimizer.param_groups[0]["lr"]))
            scheduler.step()
    except (ValueError, ZeroDivisionError):
        return None
    values = {"lr": rates}
    if args.adam_weight_decay is not None:
        values["weight_decay"] = [args.adam_weight_decay] * steps
    return Training(values, steps)
