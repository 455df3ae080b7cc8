"""MMCV before version 2: `lr_config`, `optimizer` and `runner` of the older OpenMMLab projects."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, Field

from rheostat.converters.configs.paramwise import bases
from rheostat.converters.configs.project import Project
from rheostat.converters.configs.reading import (
    LENIENT,
    ConfigConversion,
    TrainingLengths,
    by_epochs,
    missing,
    read,
    stated,
)
from rheostat.converters.configs.unread_fields import Read, check_unknown
from rheostat.converters.core import refused
from rheostat.converters.kit import (
    Phase,
    cosine,
    exponential,
    levels,
    phases,
    polynomial,
    times,
)
from rheostat.converters.mmengine import by_counts
from rheostat.converters.parameters import STRICT, Count, Length, NotNegative, Positive, Share
from rheostat.errors import FieldError
from rheostat.schedules.definition import Definition
from rheostat.schedules.field_errors import shown
from rheostat.schedules.kinds.curves import Constant
from rheostat.schedules.kinds.points import Piecewise
from rheostat.schedules.kinds.pointwise import Clip
from rheostat.schedules.kinds.repeat import Repeat
from rheostat.schedules.union import AnyDefinition

_RATE: Final = "config.lr_config"
_MOMENTUM: Final = "config.momentum_config"
_RUNNERS: Final = {"EpochBasedRunner": "max_epochs", "IterBasedRunner": "max_iters"}
_WITH_BETAS: Final = ("adam", "lamb", "lion")
"""What is in the names of the optimizers whose momentum is their first beta."""


@dataclass(frozen=True)
class Training:
    """The lengths of the training: in iterations, and of an epoch if its runner counts those."""

    total: int
    epoch: int | None
    epochs: int | None


class Warm(BaseModel):
    """What the hooks of all policies take: their clock, and a warm-up that multiplies."""

    model_config = STRICT

    by_epoch: bool = True
    warmup: Literal["constant", "linear", "exp"] | None = None
    warmup_iters: Count = 0
    warmup_ratio: Annotated[float, Field(gt=0, le=1)] = 0.1
    warmup_by_epoch: bool = False

    def whole(self, training: Training) -> int:
        """Return the length of the training in the hook's own counts."""
        return (training.epochs or 1) if self.by_epoch else training.total

    def curve(self, base: float, training: Training, path: str) -> AnyDefinition:
        """Return the rate without a warm-up, in the hook's own counts."""
        raise NotImplementedError

    def rate(self, base: float, training: Training, path: str) -> AnyDefinition:
        """Return the rate by iterations."""
        if self.by_epoch and training.epochs is None:
            message = "counts epochs, of which a runner of iterations has but one"
            raise refused(FieldError(f"{path}.by_epoch", message, True, "False"))
        curve = self.curve(base, training, path)
        if self.by_epoch:
            curve = by_counts(curve, training.epoch or 1)
        return curve if self.warmup is None else times(curve, self._warmup(training, path))

    def _warmup(self, training: Training, path: str) -> AnyDefinition:
        steps, start = self.warmup_iters, self.warmup_ratio
        if steps == 0:
            raise refused(FieldError(f"{path}.warmup_iters", "must be above 0", steps, "≥ 1"))
        if self.warmup_by_epoch:
            if training.epoch is None:
                message = "is required: the warm-up counts epochs"
                raise refused(FieldError("steps_per_epoch", message, None, "≥ 1"))
            steps *= training.epoch
        if self.warmup == "linear":
            return polynomial(start, 1.0, steps)
        if self.warmup == "exp":
            ends = ((0.0, start), (float(steps), 1.0))
            return Piecewise(points=ends, interpolation="geometric")
        return phases(Phase(Constant(value=start), until=steps), Phase(Constant(value=1.0)))


class Fixed(Warm):
    """The rate itself."""

    def curve(self, base: float, training: Training, path: str) -> AnyDefinition:  # noqa: ARG002
        """Return a constant."""
        return Constant(value=base)


class Step(Warm):
    """A factor at each of some places, or at every so many."""

    step: Length | Annotated[list[Length], Field(min_length=1)]
    gamma: NotNegative = 0.1
    min_lr: float | None = None

    def curve(self, base: float, training: Training, path: str) -> AnyDefinition:  # noqa: ARG002
        """Return stairs, and where they stop."""
        if isinstance(self.step, list):
            values = [base * self.gamma**i for i in range(len(self.step) + 1)]
            stairs = levels(self.step, values)
        else:
            stairs = exponential(base, self.gamma, self.step, staircase=True)
        return stairs if self.min_lr is None else Clip(of=stairs, min=self.min_lr)


class Exp(Warm):
    """A factor at each count."""

    gamma: Positive

    def curve(self, base: float, training: Training, path: str) -> AnyDefinition:  # noqa: ARG002
        """Return a geometric decay."""
        return exponential(base, self.gamma)


class Poly(Warm):
    """A power of what is left of the training."""

    power: NotNegative = 1.0
    min_lr: float = 0.0

    def curve(self, base: float, training: Training, path: str) -> AnyDefinition:  # noqa: ARG002
        """Return a polynomial to the end of the training."""
        return polynomial(base, self.min_lr, self.whole(training), self.power)


class Annealing(Warm):
    """A way to the end of the training, to a value or to a share of the rate."""

    min_lr: float | None = None
    min_lr_ratio: float | None = None

    def target(self, base: float, path: str) -> float:
        """Return where it ends."""
        if (self.min_lr is None) == (self.min_lr_ratio is None):
            message = "is required, or min_lr_ratio, but not both"
            raise refused(FieldError(f"{path}.min_lr", message, self.min_lr, "one of both"))
        return base * self.min_lr_ratio if self.min_lr_ratio is not None else self.min_lr or 0.0


class CosineAnnealing(Annealing):
    """Half a wave."""

    def curve(self, base: float, training: Training, path: str) -> AnyDefinition:
        """Return half a wave to the end of the training."""
        return cosine(base, self.target(base, path), self.whole(training))


class LinearAnnealing(Annealing):
    """A line."""

    def curve(self, base: float, training: Training, path: str) -> AnyDefinition:
        """Return a line to the end of the training."""
        return polynomial(base, self.target(base, path), self.whole(training))


class Cyclic(Warm):
    """Half a wave to a multiple of the value, and another one to another multiple."""

    by_epoch: bool = False
    target_ratio: Annotated[list[float], Field(min_length=2, max_length=2)] = [10.0, 1e-4]
    cyclic_times: Length = 1
    step_ratio_up: Share = 0.4

    def curve(self, base: float, training: Training, path: str) -> AnyDefinition:
        """Return the cycles."""
        length = training.total // self.cyclic_times
        up = int(self.step_ratio_up * length)
        if self.by_epoch or not 0 < up < length:
            field = "by_epoch" if self.by_epoch else "step_ratio_up"
            message = "leaves no way up or down in its cycles, which count iterations"
            value = getattr(self, field)
            raise refused(FieldError(f"{path}.{field}", message, value, "two ways, by iterations"))
        high, low = (base * ratio for ratio in self.target_ratio)
        points = ((0.0, base), (float(up), high), (float(length), low))
        return Repeat(of=Piecewise(points=points, interpolation="cosine"), every=float(length))


class CyclicMomentum(Cyclic):
    """The same of a momentum, which falls while the rate rises; its warm-up divides: refused."""

    warmup: None = None

    target_ratio: Annotated[list[float], Field(min_length=2, max_length=2)] = [0.85 / 0.95, 1.0]


_POLICIES: Final[dict[str, type[Warm]]] = {
    "fixed": Fixed,
    "step": Step,
    "exp": Exp,
    "poly": Poly,
    "CosineAnnealing": CosineAnnealing,
    "LinearAnnealing": LinearAnnealing,
    "cyclic": Cyclic,
}
_OF_MOMENTUM: Final[dict[str, type[Warm]]] = {"cyclic": CyclicMomentum}


class Optimizer(BaseModel):
    """What the optimizer starts from."""

    model_config = LENIENT

    type: str
    lr: NotNegative
    momentum: NotNegative | None = None
    betas: Annotated[list[float] | tuple[float, ...], Field(min_length=1)] | None = None
    weight_decay: NotNegative | None = None


class Runner(BaseModel):
    """What runs the training."""

    model_config = LENIENT

    type: str = "EpochBasedRunner"
    max_epochs: Length | None = None
    max_iters: Length | None = None


class File(BaseModel):
    """The parts of the file that matter."""

    model_config = LENIENT

    optimizer: dict[str, Any]
    lr_config: dict[str, Any] | None = None
    momentum_config: dict[str, Any] | None = None
    runner: dict[str, Any] = Field(default_factory=dict)
    total_epochs: Length | None = None


_READ: Final = Read("mmcv", tuple(File.model_fields), harmless={"optimizer_config"})
_READ_OF_OPTIMIZER: Final = Read(
    "mmcv",
    (*Optimizer.model_fields, "paramwise_cfg", "constructor"),
    harmless={"momentum_decay"},
)
_READ_OF_RUNNER: Final = Read("mmcv", tuple(Runner.model_fields))


def conversion(config: Mapping[str, Any], lengths: TrainingLengths) -> ConfigConversion:
    """
    Return the rate and the momentum by iterations, and the weight decay.

    A momentum that is scheduled is that of SGD, or the first beta of Adam.
    """
    file = read(File, config)
    blocks = {name: True for name, value in config.items() if isinstance(value, (Mapping, list))}
    check_unknown(blocks, _READ)
    if config.get("_base_") and file.lr_config is None:
        message = "beside _base_, files that are not read; the whole configuration is in work_dir"
        raise missing("lr_config", message, "an object")
    check_unknown(file.optimizer, _READ_OF_OPTIMIZER, "config.optimizer")
    optimizer = read(Optimizer, file.optimizer, "config.optimizer")
    training = _training(file, lengths)
    groups = bases(file.optimizer, "config.optimizer", optimizer.lr, optimizer.weight_decay)
    rates = {"lr": optimizer.lr, **groups.rates}
    found: dict[str, Definition] = {name: Constant(value=rate) for name, rate in rates.items()}
    if file.lr_config is not None:
        hook = _hook(file.lr_config, _POLICIES, _RATE)
        found = {name: hook.rate(rate, training, _RATE) for name, rate in rates.items()}
    found.update(_momentum(file, optimizer, training))
    if optimizer.weight_decay is not None:
        found["weight_decay"] = Constant(value=optimizer.weight_decay)
    for name, decay in groups.weight_decays.items():
        found[name] = Constant(value=decay)
    return ConfigConversion(found, total=training.total, steps_per_epoch=training.epoch)


def _training(file: File, lengths: TrainingLengths) -> Training:
    check_unknown(file.runner, _READ_OF_RUNNER, "config.runner")
    runner = read(Runner, file.runner, "config.runner")
    if runner.type not in _RUNNERS:
        message = "is no runner of MMCV: it may call the hooks at other times"
        bound = f"one of {', '.join(_RUNNERS)}"
        raise refused(FieldError("config.runner.type", message, runner.type, bound))
    if _RUNNERS[runner.type] == "max_iters":
        if runner.max_iters is None:
            raise missing("runner.max_iters", "for it is the training's length", "≥ 1")
        total = stated("runner.max_iters", runner.max_iters, lengths.total)
        return Training(total, lengths.steps_per_epoch, None)
    epochs = runner.max_epochs or file.total_epochs
    if epochs is None:
        raise missing("runner.max_epochs", "for it is the training's length", "≥ 1")
    epoch, total = by_epochs("runner.max_epochs", epochs, lengths)
    return Training(total, epoch, epochs)


def _hook(block: dict[str, Any], policies: Mapping[str, type[Warm]], path: str) -> Warm:
    """Return what a block says of a hook, whose policy is its name."""
    params = {name: list(v) if isinstance(v, tuple) else v for name, v in block.items()}
    policy = params.pop("policy", None)
    written = policy if isinstance(policy, str) else ""
    name = written if written in policies else written.lower()  # `Step` is `step`
    model = policies.get(name)
    if model is None:
        message = "is no policy that is read"
        bound = f"one of {', '.join(policies)}"
        raise refused(FieldError(f"{path}.policy", message, shown(policy), bound))
    return read(model, params, path)


def _momentum(file: File, optimizer: Optimizer, training: Training) -> dict[str, Definition]:
    adam = any(name in optimizer.type.lower() for name in _WITH_BETAS)
    if file.momentum_config is None:
        momentum = optimizer.momentum
        return {} if momentum is None else {"momentum": Constant(value=momentum)}
    base = (optimizer.betas or [0.9])[0] if adam else optimizer.momentum or 0.0
    hook = _hook(file.momentum_config, _OF_MOMENTUM, _MOMENTUM)
    return {"beta1" if adam else "momentum": hook.rate(base, training, _MOMENTUM)}


PROJECT: Final = Project(
    "mmcv",
    conversion,
    signs={"lr_config", "momentum_config"},
    checked="the formulas of its hooks, by iteration and by epoch",
    refused="policies other than the usual seven, what a `_base_` file sets, and constructors that "
    "decay the rate by the layer",
)
