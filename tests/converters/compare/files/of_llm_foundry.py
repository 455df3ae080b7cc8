"""YAML of LLM Foundry, whose scheduler Composer compiles and steps as its Trainer does."""

from __future__ import annotations

from random import Random
from types import SimpleNamespace

import torch
import yaml
from tests.converters.compare.alone import version_of, without
from tests.converters.compare.draws import Draw, Params, among, either, fields, real
from tests.converters.compare.files.trials import File, Training
from tests.converters.compare.files.writing import as_yaml

VERSION = version_of("mosaicml")
without("coolname", "cpuinfo", "mcli", "torchmetrics", "torchvision")
from composer.core import Time, Timestamp  # noqa: E402
from composer.optim import scheduler as schedulers  # noqa: E402

_FLOOR = either(among(0.1, 0.0), real(0.0, 1.0))
_CLASSES: dict[str, tuple[str, Draw]] = {
    "constant_with_warmup": ("ConstantWithWarmupScheduler", fields({})),
    "cosine_with_warmup": ("CosineAnnealingWithWarmupScheduler", fields({}, alpha_f=_FLOOR)),
    "linear_decay_with_warmup": ("LinearWithWarmupScheduler", fields({}, alpha_f=_FLOOR)),
}


def drawn(rng: Random) -> File:
    """Return a file whose lengths are batches, epochs, or shares of the training."""
    epochs, epoch = rng.randint(1, 4), rng.randint(3, 30)
    by_epochs = rng.random() < 0.4
    total = epochs * epoch if by_epochs else rng.randint(4, 120)
    name = rng.choice([*_CLASSES])
    warmup = rng.choice((f"{rng.randint(0, total // 2)}ba", f"{rng.choice((0.01, 0.1, 0.25))}dur"))
    scheduler: Params = {"name": name, "t_warmup": warmup, **_CLASSES[name][1](rng)}
    if rng.random() < 0.3 and name != "constant_with_warmup":
        scheduler["t_max"] = f"{rng.randint(total // 2 + 1, total + 9)}ba"
    optimizer = fields({"lr": either(among(6e-4), real(1e-5, 1e-2))}, weight_decay=among(0.0, 0.1))
    given = {
        "max_seq_len": 2048,
        "train_loader": {"name": "text", "dataset": {"split": "train"}, "drop_last": True},
        "scheduler": scheduler,
        "optimizer": {"name": "decoupled_adamw", "betas": [0.9, 0.95], **optimizer(rng)},
        "max_duration": rng.choice((f"{epochs}ep", epochs)) if by_epochs else f"{total}ba",
        "eval_first": False,
        "global_train_batch_size": rng.choice((64, 256)),
        "device_train_microbatch_size": "auto",
    }
    return File(as_yaml(rng, given), "mpt-125m.yaml", {"steps_per_epoch": epoch})


def trained(file: File) -> Training | None:
    """Compile the scheduler, and step it once a batch."""
    given = yaml.safe_load(file.text)
    block = dict(given["scheduler"])
    duration, epoch = given["max_duration"], file.lengths["steps_per_epoch"]
    whole = Time(duration, "ep") if isinstance(duration, int) else Time.from_timestring(duration)
    optim = given["optimizer"]
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], lr=optim["lr"])
    cls = getattr(schedulers, _CLASSES[block.pop("name")][0])
    state = SimpleNamespace(
        max_duration=whole,
        timestamp=Timestamp(),
        dataloader_len=Time(epoch, "ba"),
        optimizers=[optimizer],
    )
    steps = int(whole) * epoch if whole.unit.value == "ep" else int(whole)
    rates = []
    try:
        scheduler = schedulers.compile_composer_scheduler(cls(**block), state, 1.0)
        for step in range(steps):
            rates.append(optimizer.param_groups[0]["lr"])
            state.timestamp = state.timestamp.to_next_batch()
            if (step + 1) % epoch == 0:
                state.timestamp = state.timestamp.to_next_epoch()
            scheduler.step()
    except (ValueError, ZeroDivisionError):
        return None
    values = {"lr": rates, "batch_size": [given["global_train_batch_size"]] * steps}
    if "weight_decay" in optim:
        values["weight_decay"] = [optim["weight_decay"]] * steps
    return Training(values, steps)
