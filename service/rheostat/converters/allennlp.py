"""
AllenNLP: allennlp.training.learning_rate_schedulers, stepped by `step_batch()`.

What reacts to a metric is given the trainer's validation_metric, whose sign says whether it is to
be great: a "-" negates what is watched.
"""

from __future__ import annotations

from itertools import count
from typing import Annotated, Final

from pydantic import Field

from rheostat.converters.core import Case, Conversion, Library
from rheostat.converters.kit import Phase, cycles, noam, phases, polynomial, restarts, warmed
from rheostat.converters.parameters import (
    Growth,
    Ignored,
    Length,
    NotNegative,
    Positive,
    Resumed,
    Shared,
    Steps,
)
from rheostat.converters.reactions import Mode, PlateauParameters, Printed, metric_of, stop
from rheostat.schedules.kinds.curves import Constant, Cosine
from rheostat.schedules.kinds.points import Piecewise
from rheostat.schedules.union import AnyDefinition

library = Library("allennlp", common=Resumed)

LayerFactor = Annotated[float, Ignored("is for discriminative_fine_tuning, which must be false")]


class Training(Shared):
    """How long the training is."""

    num_epochs: Length
    num_steps_per_epoch: Length

    @property
    def steps(self) -> int:
        """The whole training in steps."""
        return self.num_epochs * self.num_steps_per_epoch


@library.scheduler("NoamLR", "noam")
def noam_decay(
    case: Case, *, model_size: Positive, warmup_steps: Length, factor: float = 1.0
) -> AnyDefinition:
    """
    `sequence` of one step at the base value, and a `warmup` to an `inverse_sqrt`.

    AllenNLP leaves the optimizer's own value for the first step, and ignores it afterwards.
    """
    curve = noam(factor * model_size**-0.5 * warmup_steps**-0.5, warmup_steps)
    return phases(Phase(Constant(value=case.base), until=1), Phase(curve))


@library.scheduler("CosineWithRestarts", "cosine")
def cosine_restarts(
    case: Case,
    *,
    t_initial: Length,
    t_mul: Growth = 1.0,
    eta_min: NotNegative = 0.0,
    eta_mul: float = 1.0,
) -> AnyDefinition:
    """
    `cosine_restarts`, or a `sequence` of cosines if t_mul is no whole number.

    Cycles are ⌊t_initial · t_mulⁱ⌋ long.
    """
    if t_mul.is_integer():
        return restarts(case.base, eta_min, t_initial, t_mul, eta_mul)
    lengths = ((i, int(t_initial * t_mul**i)) for i in count())
    waves = (
        (Cosine(start=case.base * eta_mul**i, end=eta_min, steps=steps), steps)
        for i, steps in lengths
    )
    return cycles(case, waves)


@library.scheduler("SlantedTriangular", "slanted_triangular")
def slanted_triangular(
    case: Case,
    training: Training,
    *,
    cut_frac: Annotated[float, Field(ge=0, lt=1)] = 0.1,
    ratio: float = 32,
    gradual_unfreezing: bool = False,
    discriminative_fine_tuning: bool = False,
    decay_factor: LayerFactor = 0.38,
) -> AnyDefinition:
    """
    `piecewise`.

    AllenNLP guesses the length of the training anew as epochs end; the definition has the one that
    is given. gradual_unfreezing and discriminative_fine_tuning are refused.
    """
    for name, value in (
        ("gradual_unfreezing", gradual_unfreezing),
        ("discriminative_fine_tuning", discriminative_fine_tuning),
    ):
        if value:
            message = "depends on the model's layers, and has no definition"
            raise case.wrong(name, message, value, "false")
    length = training.steps
    cut, low = int(length * cut_frac), case.base / ratio
    rise = ((0.0, low),) if cut else ()
    return Piecewise(points=(*rise, (float(cut), case.base), (float(length), low)))


@library.scheduler("PolynomialDecay", "polynomial_decay")
def polynomial_decay(
    case: Case,
    training: Training,
    *,
    power: Positive = 1.0,
    warmup_steps: Steps = 0,
    end_learning_rate: float = 0.0,
) -> AnyDefinition:
    """`warmup` to a `polynomial`, or a `linear` for power 1, that ends with the training."""
    length = training.steps - warmup_steps
    end: AnyDefinition = Constant(value=end_learning_rate)
    then = polynomial(case.base, end_learning_rate, length, power) if length > 0 else end
    return warmed(max(warmup_steps, 0), then, peak=case.base)


@library.scheduler("LinearWithWarmup", "linear_with_warmup")
def linear_with_warmup(
    case: Case, training: Training, *, warmup_steps: Steps = 100
) -> AnyDefinition:
    """`warmup` to a `linear` that ends with the training."""
    return polynomial_decay(case, training, warmup_steps=warmup_steps)


@library.scheduler(
    "InvertedTriangular", "inverted_triangular", hyperparameters=("momentum", "betas", "lr")
)
def inverted_triangular(
    case: Case, *, cool_down: Length, warm_up: Length, ratio: float = 10
) -> AnyDefinition:
    """
    `piecewise`: down to the base value / ratio, and up again.

    It is for the momentum; a step is an epoch.
    """
    low = case.base / ratio
    corners = ((0.0, case.base), (float(cool_down), low), (float(cool_down + warm_up), case.base))
    return Piecewise(points=corners)


Tracked = Annotated[str | list[str], Field(min_length=1)]
"""A metric with its sign; several would be added up."""
_TURNED: Final[dict[Mode, Mode]] = {"min": "max", "max": "min"}


def _tracked(case: Case, metric: str | list[str]) -> tuple[str, bool]:
    """Return the name of the metric, and whether it is negated."""
    names = [metric] if isinstance(metric, str) else metric
    if len(names) > 1:
        message = "adds up several metrics: report their sum, and name that one"
        raise case.wrong("validation_metric", message, metric, "one metric")
    sign, name = names[0][:1], names[0][1:]
    if sign not in {"+", "-"} or not name:
        raise case.wrong("validation_metric", "must begin with + or -", metric, "+NAME or -NAME")
    return name, sign == "-"


@library.controller("ReduceOnPlateauLearningRateScheduler", "reduce_on_plateau")
def reduce_on_plateau(
    case: Case,
    plateau: PlateauParameters,
    *,
    validation_metric: Tracked = "-loss",
    verbose: Printed = False,
) -> Conversion:
    """
    `plateau`, reading `torch`.

    A metric with "-" is negated before the mode is applied, as the trainer does: mode max then
    becomes min. Relative to a negated metric, what is worse counts as better: that is refused.
    """
    name, negated = _tracked(case, validation_metric)
    if negated and plateau.threshold and plateau.threshold_mode == "rel":
        message = "is relative to a negated metric, so that a worse one counts as better"
        raise case.wrong("threshold_mode", message, plateau.threshold_mode, "abs, or threshold 0")
    mode = _TURNED[plateau.mode] if negated else plateau.mode
    turned = plateau.model_copy(update={"mode": mode})
    return turned.controller(case, metric_of(case, mode, name))


@library.controller("MetricTracker", "early_stopping")
def early_stopping(
    case: Case, *, patience: Length | None = None, validation_metric: Tracked = "-loss"
) -> Conversion:
    """
    `stop`, reading `keras`, of the trainer's patience.

    Without patience, as by default, it never stops: refused.
    """
    if patience is None:
        raise case.wrong("patience", "stops nothing", patience, "≥ 1")
    name, negated = _tracked(case, validation_metric)
    mode: Mode = "min" if negated else "max"
    return stop(case, "keras", metric_of(case, mode, name), mode, patience=patience)
