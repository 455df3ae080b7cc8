"""Command lines of OpenCLIP, read by its own parser; its loop steps the functions of its module."""

from __future__ import annotations

from random import Random

import torch
from open_clip_train import params, scheduler
from tests.converters.compare.alone import version_of
from tests.converters.compare.draws import FLAG, among, either, fields, real, whole
from tests.converters.compare.files.trials import File, Training
from tests.converters.compare.files.writing import as_script, words_of

VERSION = version_of("open_clip_torch")
_COMMAND = "torchrun --nproc_per_node 4 -m open_clip_train.main"
_ARGUMENTS = fields(
    {"train-num-samples": whole(100, 10_000), "epochs": whole(1, 5)},
    lr=either(among(5e-4, 1e-3), real(1e-6, 0.1)),
    wd=among(0.1, 0.2, 0.0),
    momentum=real(0.5, 0.99),
    warmup=either(whole(0, 40), whole(0, 300)),
    model=among("ViT-B-32", "RN50"),
    **{
        "lr-scheduler": among("cosine", "const", "const-cooldown"),
        "batch-size": whole(1, 512),
        "local-loss": FLAG,
        "accum-freq": whole(1, 4),
        "epochs-cooldown": whole(1, 5),
        "lr-cooldown-end": real(0.0, 1e-5),
        "lr-cooldown-power": real(0.5, 2.0),
        "skip-scheduler": among(False, False, True),
        "beta1": among(0.9, 0.95),
    },
)


def drawn(rng: Random) -> File:
    """Return a script, and the updates of an epoch."""
    return File(
        as_script(rng, _COMMAND, _ARGUMENTS(rng)),
        "train.sh",
        {"steps_per_epoch": rng.randint(1, 60)},
    )


def trained(file: File) -> Training | None:
    """Read the flags, and set the rates as `main` and `train_one_epoch` do."""
    args = params.parse_args(words_of(file.text, "open_clip_train.main"))
    epoch = file.lengths["steps_per_epoch"]
    total = epoch * args.epochs
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], lr=args.lr)
    group = optimizer.param_groups[0]
    given = (optimizer, args.lr, args.warmup, total)
    if args.lr_scheduler == "const-cooldown":
        if args.epochs_cooldown is None or args.epochs_cooldown > args.epochs:
            return None
        more = (epoch * args.epochs_cooldown, args.lr_cooldown_power, args.lr_cooldown_end)
        adjust = scheduler.const_lr_cooldown(*given, *more)
    else:
        adjust = {"cosine": scheduler.cosine_lr, "const": scheduler.const_lr}[args.lr_scheduler](
            *given
        )
    rates = []
    for step in range(total):
        if not args.skip_scheduler:
            adjust(step)
        rates.append(group["lr"])
    values = {"lr": rates, "weight_decay": [args.wd] * total}
    if args.momentum is not None:
        values["momentum"] = [args.momentum] * total
    return Training(values, total)
