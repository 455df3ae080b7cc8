"""
Ultralytics: the arguments of a training of YOLO, as `args.yaml` and `default.yaml` have them.

A step is a batch, as there: while `nbs` is above `batch`, several of them make one update of the
weights.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil
from typing import Any, Final

from pydantic import BaseModel

from rheostat.converters.configs.project import Project, leaves_out
from rheostat.converters.configs.reading import (
    LENIENT,
    ConfigConversion,
    TrainingLengths,
    by_epochs,
    read,
)
from rheostat.converters.configs.unread_fields import Read, check_unknown
from rheostat.converters.core import refused
from rheostat.converters.kit import Phase, phases, polynomial, times
from rheostat.converters.mmengine import by_counts
from rheostat.converters.parameters import Length, NotNegative
from rheostat.errors import FieldError
from rheostat.schedules.definition import Definition
from rheostat.schedules.field_errors import shown
from rheostat.schedules.kinds.curves import Constant, Cosine, Linear
from rheostat.schedules.kinds.pointwise import Sum
from rheostat.schedules.union import AnyDefinition

_WITH_BETAS: Final = ("adam", "adamax", "adamw", "nadam", "radam")
_WITH_MOMENTUM: Final = ("sgd", "musgd", "rmsprop")
_OF_YOLOV5: Final = ("anchor_t", "fl_gamma", "hyp", "iou_t", "obj_pw")
"""What only the files of YOLOv5 and its kin have."""
_LONG: Final = 10_000
"""A training of more updates is a long one to `optimizer: auto`."""
_FEWEST: Final = 100
"""The batches of a warm-up, at least, before version 8.4.103."""


class Arguments(BaseModel):
    """The arguments that describe a schedule, with the defaults of Ultralytics."""

    model_config = LENIENT

    epochs: Length = 100
    time: float | None = None
    batch: float = 16
    nbs: Length = 64
    optimizer: str = "auto"
    cos_lr: bool = False
    lr0: NotNegative = 0.01
    lrf: NotNegative = 0.01
    momentum: NotNegative = 0.937
    weight_decay: NotNegative = 0.0005
    warmup_epochs: NotNegative = 3.0
    warmup_momentum: NotNegative = 0.8
    warmup_bias_lr: NotNegative = 0.1


_READ: Final = Read("ultralytics", tuple(Arguments.model_fields), harmless={"optimize"})


def conversion(config: Mapping[str, Any], lengths: TrainingLengths) -> ConfigConversion:
    """
    Return the rates of the weights and of the biases, the momentum and the weight decay.

    The rate falls once an epoch, and the warm-up rises with every batch. That of releases before
    8.4.103 had 100 batches at least: shorter ones are refused.
    """
    for name in _OF_YOLOV5:
        if name in config:
            message = "is of YOLOv5, whose epochs and optimizer stand on its command line"
            raise refused(FieldError(f"config.{name}", message, shown(config[name]), "not given"))
    arguments = read(Arguments, config)
    check_unknown(config, _READ)
    _check(arguments)
    epoch, total = by_epochs("epochs", arguments.epochs, lengths)
    arguments = _chosen(arguments, epoch)
    found = {**_rates(arguments, epoch), **_momentum(arguments, epoch)}
    found["weight_decay"] = Constant(value=_weight_decay(arguments, total))
    found["batch_size"] = Constant(value=arguments.batch)
    return ConfigConversion(found, total=total, steps_per_epoch=epoch)


def _check(arguments: Arguments) -> None:
    """Refuse what the machine decides: a length in hours, a batch that fits its memory."""
    if arguments.time is not None:
        message = "ends the training by the clock, which no step tells"
        raise refused(FieldError("config.time", message, arguments.time, "null, and epochs"))
    if arguments.batch < 1 or arguments.batch % 1:
        message = "lets Ultralytics choose by the memory: give the batch that it chose"
        raise refused(FieldError("config.batch", message, arguments.batch, "a whole number ≥ 1"))
    known = ("auto", *_WITH_BETAS, *_WITH_MOMENTUM)
    if arguments.optimizer.lower() not in known:
        bound = f"one of {', '.join(known)}"
        message = "is no optimizer of Ultralytics"
        raise refused(FieldError("config.optimizer", message, arguments.optimizer, bound))


def _chosen(arguments: Arguments, epoch: int) -> Arguments:
    """Return the arguments with what `optimizer: auto` puts in place of them."""
    if arguments.optimizer.lower() != "auto":
        return arguments
    fewest, most = _updates(arguments, epoch)
    if most <= _LONG or fewest <= _LONG:
        message = (
            f"takes lr0 from the number of classes in a training of ≤ {_LONG} updates, and this "
            f"one has {fewest} to {most}: name the optimizer and the lr0 that it chose"
        )
        raise refused(FieldError("config.optimizer", message, "auto", "SGD, AdamW and the like"))
    chosen = {"optimizer": "MuSGD", "lr0": 0.01, "warmup_bias_lr": 0.0}
    if _warmup(arguments, epoch) == 0:  # which ends at the momentum of the file all the same
        chosen["momentum"] = 0.9
    return arguments.model_copy(update=chosen)


def _updates(arguments: Arguments, epoch: int) -> tuple[int, int]:
    """Return how many updates there are, at least and at most: the last batch may be a part."""
    size = max(arguments.batch, arguments.nbs)
    fewest, most = (epoch - 1) * arguments.batch + 1, epoch * arguments.batch
    return ceil(fewest / size) * arguments.epochs, ceil(most / size) * arguments.epochs


def _rates(arguments: Arguments, epoch: int) -> dict[str, Definition]:
    """Return the rates, which differ during the warm-up: that of the biases falls."""
    end, epochs = arguments.lr0 * arguments.lrf, arguments.epochs
    curve: AnyDefinition = Linear(start=arguments.lr0, end=end, steps=epochs)
    if arguments.cos_lr:
        curve = Cosine(start=arguments.lr0, end=end, steps=epochs)
    curve = by_counts(curve, epoch)
    if _warmup(arguments, epoch) == 0:
        return {"lr": curve}
    rate = times(curve, _ramp(arguments, epoch, 0.0, 1.0))
    if arguments.warmup_bias_lr == 0:
        return {"lr": rate}
    falling = _ramp(arguments, epoch, arguments.warmup_bias_lr, 0.0)
    return {"lr": rate, "lr/bias": Sum(of=(rate, falling))}


def _warmup(arguments: Arguments, epoch: int) -> int:
    """Return the batches of the warm-up; one that versions count or end otherwise is refused."""
    if arguments.warmup_epochs == 0:
        return 0
    whole = round(arguments.warmup_epochs * epoch)
    steps = round(min(arguments.warmup_epochs, arguments.epochs - 1) * epoch)
    older = max(whole, _FEWEST)
    if older != steps or steps % epoch:
        message = (
            f"is a warm-up of {steps} batches since version 8.4.103, and of {older} before, when a "
            "part of an epoch was also followed by another rate: the file does not say its version"
        )
        bound = f"0, or whole epochs below {arguments.epochs}, of ≥ {_FEWEST} batches"
        raise refused(FieldError("config.warmup_epochs", message, arguments.warmup_epochs, bound))
    return steps


def _ramp(arguments: Arguments, epoch: int, start: float, end: float) -> AnyDefinition:
    """Return a line of a warm-up, and the end that it reaches."""
    steps = _warmup(arguments, epoch)
    return phases(Phase(polynomial(start, end, steps), until=steps), Phase(Constant(value=end)))


def _momentum(arguments: Arguments, epoch: int) -> dict[str, Definition]:
    """
    Return the momentum, or the beta.

    Releases from 8.4.103 to 8.4.175 at least left it a batch short of the warm-up's end.
    """
    steps, end = _warmup(arguments, epoch), arguments.momentum
    if arguments.optimizer.lower() in _WITH_BETAS:
        return {"beta1": Constant(value=end)}
    if steps == 0:
        return {"momentum": Constant(value=end)}
    line = polynomial(arguments.warmup_momentum, end, steps)
    return {"momentum": phases(Phase(line, until=steps), Phase(Constant(value=end)))}


def _weight_decay(arguments: Arguments, total: int) -> float:
    """Return the weight decay of an update, which grows with how far its batch is from nbs."""
    batches = min(max(round(arguments.nbs / arguments.batch), 1), total)
    return arguments.weight_decay * arguments.batch * batches / arguments.nbs


def _doubt(config: Mapping[str, Any]) -> str | None:
    """Return why the file may be of YOLOv5, v7 or v9, whose hyperparameters have these names."""
    return leaves_out(config, "epochs", "batch")


PROJECT: Final = Project(
    "ultralytics",
    conversion,
    signs={"lr0", "lrf", "cos_lr", "warmup_bias_lr", "warmup_momentum", "nbs", "close_mosaic"},
    checked="the trainer's own formula, step by step, of version 8.4.190: from 8.4.103 to 8.4.175 "
    "the momentum's warm-up was left a batch before its end",
    refused="a length in hours, AutoBatch, `optimizer: auto` in a training of few updates, YOLOv5, "
    "and warm-ups that older versions count otherwise: of < 100 batches, or of a part of an epoch; "
    "left out is the rate of a part of the head, which MuSGD takes three times",
    doubt=_doubt,
)
