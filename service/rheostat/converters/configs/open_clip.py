"""OpenCLIP: the flags of `open_clip_train.main`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from pydantic import BaseModel

from rheostat.converters.configs.project import Project
from rheostat.converters.configs.reading import (
    LENIENT,
    ConfigConversion,
    TrainingLengths,
    by_epochs,
    missing,
    read,
)
from rheostat.converters.configs.unread_fields import Read, check_unknown
from rheostat.converters.core import refused
from rheostat.converters.kit import Phase, cosine, phases, polynomial, since
from rheostat.converters.parameters import Count, Length, NotNegative
from rheostat.errors import FieldError
from rheostat.schedules.definition import Definition
from rheostat.schedules.kinds.curves import Constant, Linear
from rheostat.schedules.union import AnyDefinition

_NAMES: Final = ("cosine", "const", "const-cooldown")


class Arguments(BaseModel):
    """The flags that describe a schedule, with the defaults of OpenCLIP."""

    model_config = LENIENT

    lr: NotNegative = 5e-4
    wd: NotNegative = 0.2
    momentum: NotNegative | None = None
    warmup: Count = 10_000
    epochs: Length = 32
    epochs_cooldown: Count | None = None
    lr_scheduler: str = "cosine"
    lr_cooldown_end: NotNegative = 0.0
    lr_cooldown_power: NotNegative = 1.0
    skip_scheduler: bool = False
    text_layer_decay: NotNegative | None = None
    image_layer_decay: NotNegative | None = None
    visual_layer_decay: NotNegative | None = None
    audio_layer_decay: NotNegative | None = None


_READ: Final = Read(
    "open_clip",
    tuple(Arguments.model_fields),
    harmless={"train_num_samples"},
)


def conversion(config: Mapping[str, Any], lengths: TrainingLengths) -> ConfigConversion:
    """
    Return the rate by updates, and the weight decay.

    The warm-up is one step ahead: its first rate is lr/warmup. An epoch is of updates: with
    accum_freq it has fewer than batches.
    """
    check_unknown(config, _READ)
    arguments = read(Arguments, config)
    if arguments.lr_scheduler not in _NAMES:
        field, message = "config.lr_scheduler", "is no schedule of OpenCLIP"
        bound = f"one of {', '.join(_NAMES)}"
        raise refused(FieldError(field, message, arguments.lr_scheduler, bound))
    for tower in ("text", "image", "visual", "audio"):
        decay = getattr(arguments, f"{tower}_layer_decay")
        if decay not in {None, 1}:
            message = "gives each layer a rate of its own, by a model that is not in the file"
            bound = "not given, or 1"
            raise refused(FieldError(f"config.{tower}_layer_decay", message, decay, bound))
    epoch, total = by_epochs("epochs", arguments.epochs, lengths)
    found: dict[str, Definition] = {"lr": Constant(value=arguments.lr)}
    if not arguments.skip_scheduler:
        found["lr"] = _rate(arguments, epoch, total)
    found["weight_decay"] = Constant(value=arguments.wd)
    if arguments.momentum is not None:
        found["momentum"] = Constant(value=arguments.momentum)
    return ConfigConversion(found, total=total, steps_per_epoch=epoch)


def _rate(arguments: Arguments, epoch: int, total: int) -> AnyDefinition:
    peak, warmup = arguments.lr, arguments.warmup
    held = Constant(value=peak)
    rest = [Phase(held)]
    if arguments.lr_scheduler == "cosine" and warmup < total:
        rest = [Phase(cosine(peak, 0.0, total - warmup), origin=warmup)]
    elif arguments.lr_scheduler == "const-cooldown":
        if arguments.epochs_cooldown is None:
            raise missing("epochs_cooldown", "for the schedule const-cooldown", "≥ 0")
        rest = _cooldown(arguments, epoch, total)
    if warmup == 0:
        return phases(*rest)
    rise = since(1, Linear(start=0.0, end=peak, steps=warmup))
    return phases(Phase(rise, until=warmup), *rest)


def _cooldown(arguments: Arguments, epoch: int, total: int) -> list[Phase]:
    """Return the rate that holds until the last epochs, and falls in them."""
    peak, end = arguments.lr, arguments.lr_cooldown_end
    steps = (arguments.epochs_cooldown or 0) * epoch
    if steps > total:
        field, bound = "config.epochs_cooldown", f"≤ {arguments.epochs}"
        message = "must not be above epochs"
        raise refused(FieldError(field, message, arguments.epochs_cooldown, bound))
    held = Phase(Constant(value=peak), until=total - steps)
    if steps == 0:
        return [Phase(Constant(value=peak))]
    fall = polynomial(peak, end, steps, arguments.lr_cooldown_power)
    return [held, Phase(fall, origin=total - steps)]


PROJECT: Final = Project(
    "open_clip",
    conversion,
    signs={"lr_cooldown_end", "lr_cooldown_power", "epochs_cooldown", "skip_scheduler"},
    flags={
        *("lr_cooldown_end", "lr_cooldown_power", "epochs_cooldown", "skip_scheduler"),
        *("train_num_samples", "local_loss", "gather_with_grad", "dataset_type", "imagenet_val"),
        *("zeroshot_frequency", "csv_img_key", "accum_freq", "lock_image", "lock_text"),
    },
    checked="its own parser and `scheduler.py` with random scripts",
    refused="none but wrong values",
)
