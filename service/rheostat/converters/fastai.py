"""
fastai: fastai.callback.schedule, and what reacts to a metric of fastai.callback.tracker.

Schedules are functions of the share of the training: step/total.
"""

from __future__ import annotations

import re
from itertools import accumulate
from math import inf
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from rheostat.converters.core import Case, Conversion, Library, Nested
from rheostat.converters.fvcore import first_step
from rheostat.converters.kit import Phase, cosine, over, phases, polynomial
from rheostat.converters.parameters import (
    Count,
    Function,
    Ignored,
    NotNegative,
    Positive,
    Share,
    Shared,
    Steps,
)
from rheostat.converters.reactions import Mode, metric_of, plateau, stop
from rheostat.schedules.kinds.curves import Constant, Ramp
from rheostat.schedules.kinds.cycles import OneCycle
from rheostat.schedules.kinds.points import Piecewise
from rheostat.schedules.union import AnyDefinition

library = Library("fastai")

EpochCount = Annotated[Steps | None, Ignored("is counted in steps by total")]

_CALL = re.compile(r"(\w{1,64})\(([^()]{0,200})\)(?: ?x ?(\d{1,3}))?[,+ ]{0,8}")
"""One call, read from where the one before it ended."""
_MOST_CALLS = 1_000
_ARGUMENTS = ("start", "end", "power")


def _read(value: Any) -> Any:
    """Read ``SchedCos(0.1,0) x3`` as three schedulers; what is not text is left as it is."""
    if isinstance(value, list):
        return [spec for item in value for spec in _calls(item)]
    return _calls(value)


def _calls(text: Any) -> list[Any]:
    """Return the calls that a text consists of; anything else is left as it is."""
    if not isinstance(text, str):
        return [text]
    found, place = list[Any](), 0
    while place < len(text):
        match = _CALL.match(text, place)
        if match is None or len(found) > _MOST_CALLS:
            return [text]
        name, numbers, times = match.groups()
        found += [_call(name, numbers)] * int(times or 1)
        place = match.end()
    return found


def _call(name: str, numbers: str) -> dict[str, Any]:
    values = [float(number) for number in numbers.split(",")]
    return {"name": name, "params": dict(zip(_ARGUMENTS, values, strict=False))}


Schedulers = Annotated[list[Nested], BeforeValidator(_read)]


@library.scheduler("SchedNo", hyperparameters=None)
def constant(
    case: Case,
    *,
    start: float,
    end: Annotated[float, Ignored("is not used by fastai either: start holds")],
) -> AnyDefinition:
    """`constant`: start."""
    return Constant(value=start)


@library.scheduler("SchedLin", hyperparameters=None)
def linear(case: Case, *, start: float, end: float) -> AnyDefinition:
    """`linear`."""
    return polynomial(start, end, case.total)


@library.scheduler("SchedCos", hyperparameters=None)
def cosine_curve(case: Case, *, start: float, end: float) -> AnyDefinition:
    """`cosine`."""
    return cosine(start, end, case.total)


@library.scheduler("SchedExp", hyperparameters=None)
def exponential(case: Case, *, start: float, end: float) -> AnyDefinition:
    """`piecewise`, geometric."""
    points = ((0.0, start), (float(case.total), end))
    return Piecewise(points=points, interpolation="geometric")


@library.scheduler("SchedPoly", hyperparameters=None)
def power_law(case: Case, *, start: float, end: float, power: float) -> AnyDefinition:
    """
    `ramp` of shape `power`.

    It is flat at the start: start + (end − start) · y^power, not a `polynomial`. With power 0 it is
    at the end at once.
    """
    if power == 0:
        return Constant(value=end)
    return over(
        case.total, lambda n: Ramp(start=start, end=end, steps=n, shape="power", power=power)
    )


@library.scheduler("combine_scheds", hyperparameters=None)
def combined(case: Case, *, pcts: list[Share], scheds: Schedulers) -> AnyDefinition:
    """
    `sequence`.

    fastai adds up the shares in float32, and so is off by up to 10⁻⁷ of the training.
    """
    if not pcts or abs(sum(pcts) - 1) > 1e-12:
        raise case.wrong("pcts", "must add up to 1", sum(pcts), "1")
    if len(scheds) < len(pcts):
        raise case.wrong("scheds", "must be as many as pcts", len(scheds), f"≥ {len(pcts)}")
    total = case.total
    last = max(i for i, pct in enumerate(pcts) if pct > 0)
    parts, begin = list[Phase](), 0.0
    for i, (pct, end) in enumerate(zip(pcts[: last + 1], accumulate(pcts), strict=False)):
        if pct == 0:
            continue
        until = inf if i == last else _step_at(total, end)
        inner = case.nested(scheds[i], f"scheds[{i}]", total=pct * total)
        # Its start may lie past the first of its steps by a rounding.
        parts.append(Phase(inner, until, origin=min((end - pct) * total, begin)))
        begin = until
    return phases(*parts)


def _step_at(total: float, share: float) -> int:
    """Return the first step at or past a share, which may be off by its rounding."""
    return first_step(share * total, lambda t: t / total >= share * (1 - 1e-12))


@library.scheduler("combined_cos", hyperparameters=None)
def combined_cos(
    case: Case, *, pct: Share, start: float, middle: float, end: float
) -> AnyDefinition:
    """`one_cycle`, or a `constant` and a `cosine` if start and middle are the same."""
    total = case.total
    if isinstance(total, int) and 0 < pct < 1 and start != middle:
        return OneCycle(peak=middle, steps=total, start=start, end=end, up=pct)
    up = Nested(name="SchedCos", params={"start": start, "end": middle})
    if start == middle:
        up = Nested(name="SchedNo", params={"start": start, "end": middle})
    down = Nested(name="SchedCos", params={"start": middle, "end": end})
    return combined(case, pcts=[pct, 1 - pct], scheds=[up, down])


@library.scheduler("fit_one_cycle", hyperparameters=("lr", "mom", "momentum"))
def one_cycle(
    case: Case,
    *,
    n_epoch: EpochCount = None,
    lr_max: float | None = None,
    div: float = 25.0,
    div_final: float = 1e5,
    pct_start: Share = 0.25,
    moms: Annotated[tuple[float, float, float], Field(strict=False)] = (0.95, 0.85, 0.95),
) -> AnyDefinition:
    """
    `one_cycle`.

    The end is lr_max / div_final, not divided by div. The momentum follows moms.
    """
    if case.hyperparameter != "lr":
        start, middle, end = moms
        return combined_cos(case, pct=pct_start, start=start, middle=middle, end=end)
    peak = case.base if lr_max is None else lr_max
    return combined_cos(case, pct=pct_start, start=peak / div, middle=peak, end=peak / div_final)


@library.scheduler("fit_flat_cos")
def flat_cos(
    case: Case,
    *,
    n_epoch: EpochCount = None,
    lr: float | None = None,
    div_final: float = 1e5,
    pct_start: Share = 0.75,
) -> AnyDefinition:
    """`sequence` of a `constant` and a `cosine`."""
    start = case.base if lr is None else lr
    return combined_cos(case, pct=pct_start, start=start, middle=start, end=start / div_final)


@library.scheduler("fit_sgdr")
def sgdr(
    case: Case,
    *,
    n_cycles: Annotated[Steps, Field(ge=1, le=60)],
    cycle_len: Annotated[
        Annotated[Steps, Field(ge=1)],
        Ignored("is counted in steps by total, which all cycles share"),
    ],
    lr_max: float | None = None,
    cycle_mult: Annotated[Steps, Field(ge=2)] = 2,
) -> AnyDefinition:
    """`sequence` of cosines to 0, each cycle_mult times as long as the one before it."""
    start = case.base if lr_max is None else lr_max
    wave = Nested(name="SchedCos", params={"start": start, "end": 0.0})
    whole = sum(cycle_mult**i for i in range(n_cycles))
    pcts = [cycle_mult**i / whole for i in range(n_cycles)]
    return combined(case, pcts=pcts, scheds=[wave] * n_cycles)


@library.scheduler("lr_find", "LRFinder")
def finder(
    case: Case,
    *,
    start_lr: float = 1e-7,
    end_lr: float = 10.0,
    num_it: Steps = 100,
    stop_div: Annotated[bool, Ignored("ends the training when its loss grows")] = True,
) -> AnyDefinition:
    """`piecewise`, geometric, over num_it steps, at least 6."""
    points = ((0.0, start_lr), (float(max(num_it, 6)), end_lr))
    return Piecewise(points=points, interpolation="geometric")


class Tracker(Shared):
    """What is watched, and when a value is better than the best one."""

    monitor: str = "valid_loss"
    comp: Function | None = None
    min_delta: NotNegative = 0.0
    patience: Count = 1
    reset_on_fit: Annotated[bool, Ignored("would matter in a second fit")] = True

    @property
    def mode(self) -> Mode:
        """A loss or an error is to be small, and all else great."""
        return "min" if "loss" in self.monitor or "error" in self.monitor else "max"

    def metric(self, case: Case) -> str:
        """Return what the reports call the metric."""
        return metric_of(case, self.mode, self.monitor)


@library.controller("ReduceLROnPlateau")
def reduce_on_plateau(
    case: Case, tracker: Tracker, *, factor: Positive = 10.0, min_lr: NotNegative = 0.0
) -> Conversion:
    """
    `plateau`, reading `torch`, which waits for one report more than its own patience.

    factor is what the rate is divided by. Patience 0 is as 1. A rate below min_lr stays there,
    where fastai would lift it.
    """
    return plateau(
        case,
        "torch",
        tracker.metric(case),
        tracker.mode,
        factor=1 / factor,
        patience=max(tracker.patience, 1) - 1,
        threshold=tracker.min_delta,
        threshold_mode="abs",
        min=min_lr,
        eps=0.0,
    )


@library.controller("EarlyStoppingCallback")
def early_stopping(case: Case, tracker: Tracker) -> Conversion:
    """`stop`, reading `lightning`, with check_finite false."""
    return stop(
        case,
        "lightning",
        tracker.metric(case),
        tracker.mode,
        patience=tracker.patience,
        min_delta=tracker.min_delta,
        check_finite=False,
    )
