"""PaddleDetection: `epoch`, `LearningRate` and `OptimizerBuilder` of a YAML file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final

from pydantic import BaseModel, Field

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
from rheostat.converters.kit import Phase, cosine, levels, phases, polynomial, scaled, value_at
from rheostat.converters.parameters import STRICT, Count, Length, NotNegative, Positive
from rheostat.errors import FieldError
from rheostat.schedules.definition import Definition
from rheostat.schedules.field_errors import shown
from rheostat.schedules.kinds.curves import Constant, Cosine, Linear
from rheostat.schedules.kinds.pointwise import Power
from rheostat.schedules.union import AnyDefinition

_RATE: Final = "config.LearningRate"
_BUILDER: Final = "config.OptimizerBuilder"


class CosineDecay(BaseModel):
    """Half a wave that ends with max_epochs, less a plateau."""

    model_config = STRICT

    max_epochs: Length = 1000
    use_warmup: bool = True
    min_lr_ratio: float = 0.0
    last_plateau_epochs: Count = 0

    def after(self, base: float, warmup: int, epoch: int, path: str) -> AnyDefinition:
        """Return the curve on the training's axis, from the end of a warm-up on."""
        low, end = base * self.min_lr_ratio, self.max_epochs * epoch
        last = end - self.last_plateau_epochs * epoch
        if not self.use_warmup and last == end:
            return Cosine(start=base, end=low, steps=end, periodic=True)
        if last <= warmup:
            message = "leaves no step between the warm-up and the plateau"
            bound = f"> {self.max_epochs - (last - warmup) / epoch:g} epochs"
            raise refused(FieldError(f"{path}.max_epochs", message, self.max_epochs, bound))
        fall = cosine(base, low, last - warmup)
        # Paddle lists a rate for each step, and the last one holds.
        held = low if last < end else value_at(fall, last - warmup - 1)
        return phases(
            Phase(Constant(value=base), until=warmup),
            Phase(fall, until=last, origin=warmup),
            Phase(Constant(value=held)),
        )


class PiecewiseDecay(BaseModel):
    """Rates that hold until their epoch: of a gamma, one tenth of the last one each time."""

    model_config = STRICT

    gamma: float | list[float] = [0.1, 0.01]
    milestones: Annotated[list[Count], Field(min_length=1)] = [8, 11]
    values: list[float] | None = None
    use_warmup: bool = True

    def after(self, base: float, _warmup: int, epoch: int, path: str) -> AnyDefinition:
        """Return the curve on the training's axis."""
        places = [place * epoch for place in self.milestones]
        if self.values is not None:
            if self.use_warmup:
                message = "take the place of the warm-up's too, of which there are more"
                bound = "null, or use_warmup false"
                raise refused(FieldError(f"{path}.values", message, self.values, bound))
            return self._levels(places, self.values, f"{path}.values")
        factors = self.gamma
        if not isinstance(factors, list):
            factors = [factors / 10**i for i in range(len(places))]
        return self._levels(places, [base, *(base * one for one in factors)], f"{path}.gamma")

    def _levels(self, places: list[int], values: list[float], field: str) -> AnyDefinition:
        if len(values) != len(places) + 1:
            message = "must fit the milestones"
            bound = f"{len(places)} factors, or {len(places) + 1} values"
            raise refused(FieldError(field, message, len(values), bound))
        return levels(places, values)


class LinearWarmup(BaseModel):
    """A line from a share of the rate."""

    model_config = STRICT

    steps: Count = 500
    start_factor: float = 1 / 3
    epochs: Count | None = None
    epochs_first: bool = True

    def length(self, epoch: int) -> int:
        """Return how many steps it takes."""
        by_epoch = self.epochs_first and self.epochs is not None
        return max((self.epochs or 0) * epoch if by_epoch else self.steps, 1)

    def curve(self, base: float, steps: int) -> AnyDefinition:
        """Return the way up to a rate."""
        return polynomial(base * self.start_factor, base, steps)


class ExpWarmup(BaseModel):
    """A power of a line from 0."""

    model_config = STRICT

    steps: Count = 1000
    epochs: Count | None = None
    power: Positive = 2.0

    def length(self, epoch: int) -> int:
        """Return how many steps it takes."""
        return max(self.steps if self.epochs is None else self.epochs * epoch, 1)

    def curve(self, base: float, steps: int) -> AnyDefinition:
        """Return the way up to a rate."""
        line = Linear(start=0.0, end=1.0, steps=steps)
        return scaled(base, Power(of=line, exponent=self.power))


_DECAYS: Final[dict[str, type[BaseModel]]] = {
    "CosineDecay": CosineDecay,
    "PiecewiseDecay": PiecewiseDecay,
}
_WARMUPS: Final[dict[str, type[BaseModel]]] = {"LinearWarmup": LinearWarmup, "ExpWarmup": ExpWarmup}


class Rate(BaseModel):
    """The rate and its schedulers: a decay, and the warm-up before it."""

    model_config = LENIENT

    base_lr: NotNegative = 0.01
    schedulers: Annotated[list[dict[str, Any]], Field(min_length=1)] = [
        {"name": "PiecewiseDecay"},
        {"name": "LinearWarmup"},
    ]


class Regularizer(BaseModel):
    """What pulls the weights to 0."""

    model_config = LENIENT

    type: str
    factor: NotNegative


class Optimizer(BaseModel):
    """The optimizer, and what it holds constant."""

    model_config = LENIENT

    type: str = "Momentum"
    momentum: NotNegative | None = None
    weight_decay: NotNegative | None = None
    param_groups: Any = None


class Builder(BaseModel):
    """What builds the optimizer."""

    model_config = LENIENT

    regularizer: dict[str, Any] | bool | str | None = None
    optimizer: dict[str, Any] | None = None


class File(BaseModel):
    """The parts of the file that matter."""

    model_config = LENIENT

    epoch: Length | None = None
    LearningRate: dict[str, Any] = Field(default_factory=dict)
    OptimizerBuilder: dict[str, Any] = Field(default_factory=dict)


_READ: Final = Read(
    "ppdet",
    tuple(File.model_fields),
    harmless={"ema_decay", "ema_decay_type", "cycle_epoch", "snapshot_epoch"},
)
_READ_OF_BUILDER: Final = Read("ppdet", tuple(Builder.model_fields))
_READ_OF_OPTIMIZER: Final = Read("ppdet", tuple(Optimizer.model_fields))
_READ_OF_RATE: Final = Read("ppdet", tuple(Rate.model_fields), apart={"schedulers"})


def conversion(config: Mapping[str, Any], lengths: TrainingLengths) -> ConfigConversion:
    """
    Return the rate by iterations, the momentum and the weight decay.

    A tag, as `!PiecewiseDecay`, is the name of a scheduler.
    """
    file = read(File, config)
    check_unknown({name: _scalar(value) for name, value in config.items()}, _READ)
    check_unknown(file.LearningRate, _READ_OF_RATE, _RATE)
    based = bool(config.get("_BASE_"))
    _check_base(file, based=based)
    if file.epoch is None:
        raise missing("epoch", "for it is the training's length", "≥ 1")
    epoch, total = by_epochs("epoch", file.epoch, lengths)
    found: dict[str, Definition] = {"lr": _rate(read(Rate, file.LearningRate, _RATE), epoch)}
    found.update(_optimizer(file.OptimizerBuilder, based=based))
    return ConfigConversion(found, total=total, steps_per_epoch=epoch)


def _scalar(value: Any) -> Any:
    """Return a value, or that there is a block: those of models and readers have no schedule."""
    return True if isinstance(value, (Mapping, list)) else value


def _check_base(file: File, *, based: bool) -> None:
    """Refuse a file that leaves to its base files, which are not read, what the rate is."""
    for name in Rate.model_fields:
        if based and name not in file.LearningRate:
            message = "is required beside _BASE_, files that are not read and may set it"
            raise refused(FieldError(f"{_RATE}.{name}", message, None, "given"))


def _rate(rate: Rate, epoch: int) -> AnyDefinition:
    """Return the decay after its warm-up, if it has one."""
    path = f"{_RATE}.schedulers[0]"
    decay = _named(rate.schedulers[0], _DECAYS, path)
    if not decay.use_warmup:
        return _after(decay, rate, 0, epoch)
    if len(rate.schedulers) < 2:
        message = "is required: a decay with use_warmup takes its warm-up from there"
        bound = f"one of {', '.join(_WARMUPS)}; or use_warmup false"
        raise refused(FieldError(f"{_RATE}.schedulers[1]", message, None, bound))
    warmup = _named(rate.schedulers[1], _WARMUPS, f"{_RATE}.schedulers[1]")
    steps = warmup.length(epoch)
    rise = Phase(warmup.curve(rate.base_lr, steps), until=steps)
    return phases(rise, Phase(_after(decay, rate, steps, epoch)))


def _after(decay: Any, rate: Rate, warmup: int, epoch: int) -> AnyDefinition:
    curve: AnyDefinition = decay.after(rate.base_lr, warmup, epoch, f"{_RATE}.schedulers[0]")
    return curve


def _named(block: dict[str, Any], known: Mapping[str, type[BaseModel]], path: str) -> Any:
    """Return a scheduler of the list, which is named by a field or by its tag."""
    name, params = block.get("name"), {key: v for key, v in block.items() if key != "name"}
    if name is None and len(block) == 1:
        tag, content = next(iter(block.items()))
        if tag.startswith("!"):
            name, params = tag[1:], content or {}
    model = known.get(name) if isinstance(name, str) else None
    if model is None:
        message = "is not such a scheduler of PaddleDetection"
        raise refused(
            FieldError(f"{path}.name", message, shown(name), f"one of {', '.join(known)}")
        )
    return read(model, params, path)


def _optimizer(block: dict[str, Any], *, based: bool) -> dict[str, Definition]:
    """Return what the optimizer holds constant; the defaults only where no base file sets it."""
    builder, path = read(Builder, block, _BUILDER), f"{_BUILDER}.optimizer"
    check_unknown(block, _READ_OF_BUILDER, _BUILDER)
    usual: dict[str, Any] = {} if based else {"type": "Momentum", "momentum": 0.9}
    given = builder.optimizer or usual
    optimizer = read(Optimizer, given, path)
    if optimizer.type == "AdamWDL":
        message = "gives each layer a rate of its own, by a model that is not in the file"
        raise refused(FieldError(f"{path}.type", message, optimizer.type, "another optimizer"))
    if optimizer.param_groups:
        message = "gives parts of the model what they learn with"
        value = shown(optimizer.param_groups)
        raise refused(FieldError(f"{path}.param_groups", message, value, "not given"))
    check_unknown(given, _READ_OF_OPTIMIZER, path)
    decay = optimizer.weight_decay
    if not optimizer.type.startswith("AdamW"):
        decay = _regularized(builder, block, based=based)
    values = {"momentum": optimizer.momentum, "weight_decay": decay}
    return {name: Constant(value=value) for name, value in values.items() if value is not None}


def _regularized(builder: Builder, block: dict[str, Any], *, based: bool) -> float | None:
    if "regularizer" not in block:
        return None if based else 1e-4
    if not isinstance(builder.regularizer, dict):
        return 0.0
    regularizer = read(Regularizer, builder.regularizer, f"{_BUILDER}.regularizer")
    return regularizer.factor if regularizer.type == "L2" else 0.0


PROJECT: Final = Project(
    "ppdet",
    conversion,
    signs={"LearningRate.base_lr", "LearningRate.schedulers", "OptimizerBuilder"},
    checked="the tables that its schedulers make for Paddle, step by step",
    refused="what a `_BASE_` file sets, `values` beside a warm-up, `param_groups`, and AdamWDL",
)
