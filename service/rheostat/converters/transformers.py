"""
Hugging Face transformers: transformers.optimization, by function or by `lr_scheduler_type`.

A plateau watches `eval_loss` unless `metric` says otherwise, and an early stopping what
`TrainingArguments` has: metric_for_best_model and greater_is_better.
"""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

from rheostat.converters.core import Case, Conversion, Library, Nested, refused
from rheostat.converters.kit import Phase, over, phases, share, warmed
from rheostat.converters.parameters import Count, NotNegative, Positive, Resumed, Shared, Steps
from rheostat.converters.reactions import Mode, PlateauParameters, metric_of, stop
from rheostat.errors import FieldError
from rheostat.schedules.kinds.curves import Constant, Cosine, Linear, Polynomial, Ramp
from rheostat.schedules.kinds.cycles import CosineRestarts
from rheostat.schedules.kinds.decays import InverseSqrt
from rheostat.schedules.kinds.pointwise import Clip
from rheostat.schedules.kinds.presets import Warmup, Wsd
from rheostat.schedules.union import AnyDefinition

library = Library("transformers", common=Resumed)

REACTING = ("reduce_lr_on_plateau", "greedy")
"""The names of get_scheduler that take no lengths."""


class Lengths(Shared):
    """How long the warm-up is, and the whole training."""

    num_warmup_steps: Count
    num_training_steps: Count

    @property
    def decay(self) -> int:
        """How many steps the training has after the warm-up."""
        return self.num_training_steps - self.num_warmup_steps

    def warmed(self, curve: AnyDefinition) -> AnyDefinition:
        """Return the warm-up to a curve."""
        return warmed(self.num_warmup_steps, curve)

    def warmed_until(self, peak: float, value: float) -> AnyDefinition:
        """Return the warm-up to a peak, at whose end another value holds at once."""
        rise = Linear(start=0.0, end=peak, steps=max(1, self.num_warmup_steps))
        return phases(Phase(rise, until=self.num_warmup_steps), Phase(Constant(value=value)))


class Waves(Lengths):
    """A cosine after the warm-up, and how many whole waves it makes until the training ends."""

    num_cycles: NotNegative = 0.5

    def wave(self, start: float, end: float) -> AnyDefinition:
        """Return the cosine from a start to an end and back, which goes on."""
        return wave(start, end, self.decay, self.num_cycles)


class FlooredWaves(Waves):
    """A cosine with a floor, given as a value or as a share of the learning rate."""

    min_lr: float | None = None
    min_lr_rate: float | None = None

    def floor(self, case: Case) -> float:
        """Return the floor: min_lr belongs to the optimizer's default learning rate."""
        lowest, rate = self.min_lr, self.min_lr_rate
        if lowest is not None and rate is not None:
            raise case.wrong("min_lr_rate", "cannot stand beside min_lr", rate, "one of both")
        if lowest is not None:
            rate = lowest / (case.context.optimizer_default_lr or case.base)
        if rate is None:
            raise case.wrong("min_lr", "is required, or else min_lr_rate", None, "a number")
        return case.base * rate

    def fall(self, start: float, floor: float) -> AnyDefinition:
        """Return the cosine without what lies below zero: a negative floor is never reached."""
        return _not_negative(self.wave(start, floor), floor)


def wave(start: float, end: float, steps: int, cycles: float) -> AnyDefinition:
    """Return a cosine that makes so many whole waves in the steps, and goes on."""
    if cycles == 0:
        return Constant(value=start)
    half = max(1, steps) / (2 * cycles)
    return over(half, lambda n: Cosine(start=start, end=end, steps=n, periodic=True))


def _not_negative(curve: AnyDefinition, floor: float) -> AnyDefinition:
    return Clip(of=curve, min=0.0) if floor < 0 else curve


@library.scheduler("get_constant_schedule", "constant")
def constant(case: Case) -> AnyDefinition:
    """`constant`."""
    return Constant(value=case.base)


@library.scheduler("get_constant_schedule_with_warmup", "constant_with_warmup")
def warm(case: Case, *, num_warmup_steps: Count) -> AnyDefinition:
    """`warmup` to a constant."""
    return warmed(num_warmup_steps, Constant(value=case.base))


@library.scheduler("get_linear_schedule_with_warmup", "linear")
def linear(case: Case, lengths: Lengths) -> AnyDefinition:
    """
    `warmup` to a `linear` decay to 0.

    A warm-up that is longer than the training goes on past its end, and then drops to 0.
    """
    if lengths.decay <= 0:
        return lengths.warmed_until(case.base, 0.0)
    return lengths.warmed(Linear(start=case.base, end=0.0, steps=lengths.decay))


@library.scheduler("get_polynomial_decay_schedule_with_warmup", "polynomial")
def polynomial(
    case: Case, lengths: Lengths, *, lr_end: float = 1e-7, power: NotNegative = 1.0
) -> AnyDefinition:
    """
    `warmup` to a `polynomial` decay.

    lr_end belongs to the optimizer's default learning rate: a group that starts elsewhere ends in
    proportion. Where the warm-up is as long as the training the library divides by zero at its
    end; the definition goes on at lr_end.
    """
    default = case.context.optimizer_default_lr or case.base
    if lr_end >= default:
        raise case.wrong("lr_end", "must be below the learning rate", lr_end, f"< {default}")
    end, steps = case.base * lr_end / default, lengths.decay
    if steps <= 0:
        return lengths.warmed_until(case.base, end)
    if power > 0:
        return lengths.warmed(Polynomial(start=case.base, end=end, steps=steps, power=power))
    held = Phase(Constant(value=case.base), until=steps + 1)
    return lengths.warmed(phases(held, Phase(Constant(value=end))))


@library.scheduler("get_inverse_sqrt_schedule", "inverse_sqrt")
def inverse_sqrt(
    case: Case, *, num_warmup_steps: Count, timescale: Positive | None = None
) -> AnyDefinition:
    """
    `warmup` to an `inverse_sqrt`.

    The timescale is the warm-up by default, and 10,000 without one.
    """
    scale = timescale or float(num_warmup_steps or 10_000)
    return warmed(num_warmup_steps, InverseSqrt(start=case.base, timescale=scale))


@library.scheduler("get_scheduler", common=False)
def by_name(
    case: Case,
    *,
    name: str,
    num_warmup_steps: Count | None = None,
    num_training_steps: Count | None = None,
    scheduler_specific_kwargs: dict[str, Any] | None = None,
) -> Conversion:
    """What the schedule of this name becomes."""
    if name in REACTING:
        params = scheduler_specific_kwargs or {}
        return case.of(Nested(name=name, params=params), "scheduler_specific_kwargs")
    lengths = {"num_warmup_steps": num_warmup_steps, "num_training_steps": num_training_steps}
    taken = {"constant": 0, "constant_with_warmup": 1, "inverse_sqrt": 1}.get(name, 2)
    given = {key: value for key, value in [*lengths.items()][:taken] if value is not None}
    params = {**given, **(scheduler_specific_kwargs or {})}
    return case.of(Nested(name=name, params=params), "scheduler_specific_kwargs")


@library.scheduler("get_cosine_schedule_with_warmup", "cosine")
def cosine(case: Case, waves: Waves) -> AnyDefinition:
    """
    `warmup` to a periodic `cosine`.

    num_cycles counts whole waves: the half one of the default falls to 0. Past num_training_steps
    the wave goes on.
    """
    return waves.warmed(waves.wave(case.base, 0.0))


@library.scheduler("get_cosine_with_hard_restarts_schedule_with_warmup", "cosine_with_restarts")
def restarts(case: Case, lengths: Lengths, *, num_cycles: NotNegative = 1) -> AnyDefinition:
    """
    `warmup` to `cosine_restarts`.

    Past num_training_steps it is 0.
    """
    return lengths.warmed(_restarted(case.base, max(1, lengths.decay), num_cycles))


def _restarted(base: float, steps: int, cycles: float) -> AnyDefinition:
    if cycles == 0:
        return phases(Phase(Constant(value=base), until=steps), Phase(Constant(value=0.0)))
    period = share(steps, cycles)
    if float(cycles).is_integer():
        return CosineRestarts(start=base, end=0.0, period=period, cycles=int(cycles))
    cut = Phase(CosineRestarts(start=base, end=0.0, period=period), until=steps)
    return phases(cut, Phase(Constant(value=0.0)))


@library.scheduler("get_cosine_with_min_lr_schedule_with_warmup", "cosine_with_min_lr")
def floored(case: Case, waves: FlooredWaves) -> AnyDefinition:
    """
    `warmup` to a periodic `cosine` that ends above 0.

    min_lr belongs to the optimizer's default learning rate: a group that starts elsewhere has its
    floor in proportion. Past num_training_steps the wave rises again.
    """
    return waves.warmed(waves.fall(case.base, waves.floor(case)))


@library.scheduler(
    "get_cosine_with_min_lr_schedule_with_warmup_lr_rate", "cosine_warmup_with_min_lr"
)
def ahead(case: Case, waves: FlooredWaves, *, warmup_lr_rate: float | None = None) -> AnyDefinition:
    """
    `sequence` of a warm-up and a periodic `cosine`, both one step ahead.

    The first step has base/num_warmup_steps, or base · warmup_lr_rate; the peak is in force at the
    last step of the warm-up, and the floor one step before the end.
    """
    warmup, base = waves.num_warmup_steps, case.base
    fall = waves.fall(base, waves.floor(case))
    if warmup_lr_rate is None:
        rise, origin = Linear(start=0.0, end=base, steps=max(1, warmup)), -1
    else:
        start = base * warmup_lr_rate
        rise, origin = Linear(start=start, end=base, steps=max(1, warmup - 1)), 0
    return phases(Phase(rise, until=warmup, origin=origin), Phase(fall, origin=warmup - 1))


Shape: TypeAlias = Literal["linear", "cosine", "1-sqrt"]


@library.scheduler("get_wsd_schedule", "warmup_stable_decay")
def stages(
    case: Case,
    *,
    num_warmup_steps: Count,
    num_decay_steps: Count,
    num_training_steps: Steps | None = None,
    num_stable_steps: Steps | None = None,
    warmup_type: Shape = "linear",
    decay_type: Shape = "cosine",
    min_lr_ratio: float = 0.0,
    num_cycles: NotNegative = 0.5,
) -> AnyDefinition:
    """
    `wsd`.

    min_lr_ratio lifts the start of the warm-up too. Without num_stable_steps the stable stage is
    what num_training_steps leaves; less than nothing, and the decay begins in its middle.
    """
    stable = num_stable_steps
    if stable is None:
        if num_training_steps is None:
            message = "is required, or else num_training_steps"
            raise case.wrong("num_stable_steps", message, None, "a number of steps")
        stable = num_training_steps - num_warmup_steps - num_decay_steps
    peak, floor = case.base, case.base * min_lr_ratio
    plain = warmup_type == "linear" and (decay_type != "cosine" or num_cycles == 0.5)
    if plain and stable >= 0 and num_decay_steps > 0 and min_lr_ratio >= 0:
        return Wsd(
            peak=peak,
            warmup=num_warmup_steps,
            warmup_start=floor,
            stable=stable,
            decay=num_decay_steps,
            decay_shape=decay_type,
            end=floor,
        )
    rise = Warmup(
        steps=max(1, num_warmup_steps), start=floor, shape=warmup_type, then=Constant(value=peak)
    )
    fall = (
        wave(peak, floor, num_decay_steps, num_cycles)
        if decay_type == "cosine"
        else Ramp(start=peak, end=floor, steps=max(1, num_decay_steps), shape=decay_type)
    )
    start = num_warmup_steps + stable
    curve = phases(
        Phase(rise, until=num_warmup_steps),
        Phase(Constant(value=peak), until=start),
        Phase(fall, until=start + num_decay_steps, origin=start),
        Phase(Constant(value=floor)),
    )
    return _not_negative(curve, floor)


@library.controller("get_reduce_on_plateau_schedule", "reduce_lr_on_plateau")
def reduce_on_plateau(case: Case, plateau: PlateauParameters) -> Conversion:
    """
    `plateau`, reading `torch`.

    It has PyTorch's parameters. The mode is min unless it is given, whatever greater_is_better is.
    """
    return plateau.controller(case, metric_of(case, plateau.mode, usual="eval_loss"))


@library.controller("EarlyStoppingCallback")
def early_stopping(
    case: Case,
    *,
    early_stopping_patience: Count = 1,
    early_stopping_threshold: NotNegative = 0.0,
    metric_for_best_model: str | None = None,
    greater_is_better: bool | None = None,
) -> Conversion:
    """
    `stop`, reading `transformers`.

    metric_for_best_model (loss) and greater_is_better are those of `TrainingArguments`, with its
    rules: the reports' name begins with eval_, and greater is better unless it ends with loss.
    """
    name = metric_for_best_model or "loss"
    greater = not name.endswith("loss") if greater_is_better is None else greater_is_better
    if (metric_for_best_model, greater_is_better) == (None, None):
        _check_is_a_loss(case)
    mode: Mode = "max" if greater else "min"
    return stop(
        case,
        "transformers",
        metric_of(case, mode, f"eval_{name.removeprefix('eval_')}"),
        mode,
        patience=early_stopping_patience,
        min_delta=early_stopping_threshold,
    )


def _check_is_a_loss(case: Case) -> None:
    """Refuse a metric of which nobody says whether greater is better."""
    metric = case.context.metric
    if metric is not None and not metric.endswith("loss"):
        message = f"is required, or else metric_for_best_model: {metric} may be no loss"
        raise case.wrong("greater_is_better", message, None, "true or false")


@library.controller("GreedyLR", "get_greedy_schedule", "greedy")
def greedy(
    case: Case,
    *,
    mode: str = "min",
    factor: float = 0.95,
    patience: int = 10,
    threshold: float = 1e-6,
    threshold_mode: str = "abs",
    cooldown: int = 0,
    warmup: int = 0,
    min_lr: float | list[float] = 1e-3,
    max_lr: float | list[float] = 1.0,
    eps: float = 1e-8,
    verbose: bool = False,
    smooth: bool = False,
    window_size: int = 50,
    reset_start: int = 500,
) -> Conversion:
    """Refused: it raises the learning rate when the metric improves, and a plateau never does."""
    message = "raises the learning rate when the metric improves, and a plateau never does"
    raise refused(FieldError(case.name_field, message, case.name, "reduce_lr_on_plateau"))
