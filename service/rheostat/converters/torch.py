"""PyTorch: torch.optim.lr_scheduler, and SWALR of torch.optim.swa_utils, stepped by `step()`."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import replace
from itertools import pairwise
from math import inf
from typing import Annotated, Literal

from pydantic import Field

from rheostat.converters.core import Case, Conversion, Library, Nested
from rheostat.converters.kit import (
    Mode,
    Phase,
    cyclic_by_mode,
    exponential,
    of_group,
    one_cycle,
    phases,
    value_at,
)
from rheostat.converters.parameters import (
    Count,
    Function,
    Length,
    NotNegative,
    PerGroup,
    Positive,
    Resumed,
    ScaleMode,
    Share,
    Shared,
    Steps,
)
from rheostat.converters.reactions import PlateauParameters, metric_of
from rheostat.converters.torch_chains import (
    LONGEST,
    Link,
    NoFormulaError,
    overridden,
    product,
    repetition,
    walked,
    with_floor,
)
from rheostat.errors import Invalid
from rheostat.schedules.kinds.curves import Constant, Cosine, Linear, Polynomial
from rheostat.schedules.kinds.cycles import CosineRestarts
from rheostat.schedules.kinds.points import Multistep
from rheostat.schedules.union import AnyDefinition

library = Library("torch", common=Resumed)

BOTH = ("lr", "momentum", "beta1", "betas")
Schedulers = Annotated[list[Nested], Field(min_length=1)]


class Momentum(Shared):
    """What moves the momentum against the learning rate."""

    cycle_momentum: bool = True
    base_momentum: PerGroup = 0.8
    max_momentum: PerGroup = 0.9

    def wanted(self, case: Case) -> bool:
        """Return whether the momentum is asked for, and not the learning rate."""
        if case.hyperparameter != "lr" and not self.cycle_momentum:
            message = f"is false: {case.name} leaves the {case.hyperparameter} alone"
            raise case.wrong("cycle_momentum", message, self.cycle_momentum, "true")
        return case.hyperparameter != "lr"

    def lowest(self, case: Case) -> float:
        """Return the momentum where the learning rate is highest."""
        return of_group(case, "base_momentum", self.base_momentum)

    def highest(self, case: Case) -> float:
        """Return the momentum where the learning rate is lowest."""
        return of_group(case, "max_momentum", self.max_momentum)


class OneCycleMomentum(Momentum):
    """The same, with the defaults of OneCycleLR."""

    base_momentum: PerGroup = 0.85
    max_momentum: PerGroup = 0.95


@library.scheduler("LambdaLR", "MultiplicativeLR")
def function(case: Case, *, lr_lambda: Function) -> AnyDefinition:
    """Refused: a function is no data. Tabulate its values, and give them as a `table`."""
    raise case.wrong("lr_lambda", "must be a function", lr_lambda, "a function")


@library.scheduler("StepLR")
def step(case: Case, *, step_size: Steps, gamma: float = 0.1) -> AnyDefinition:
    """
    `step`.

    With gamma above 1 it holds where it would pass 1e100.
    """
    return exponential(case.base, gamma, step_size, staircase=True)


@library.scheduler("MultiStepLR")
def multistep(case: Case, *, milestones: list[Count], gamma: float = 0.1) -> AnyDefinition:
    """
    `multistep`.

    A repeated milestone counts again; milestone 0 counts from the start.
    """
    return Multistep(start=case.base, milestones=tuple(milestones), factor=gamma)


@library.scheduler("ConstantLR")
def constant(case: Case, *, factor: Share = 1 / 3, total_iters: Steps = 5) -> AnyDefinition:
    """
    `sequence` of two constants.

    With total_iters 0 PyTorch never leaves the first one, and so does the definition. With factor
    0 PyTorch divides by zero at the end.
    """
    reduced = Constant(value=case.base * factor)
    if total_iters <= 0 or factor == 1:
        return reduced
    return phases(Phase(reduced, until=total_iters), Phase(Constant(value=case.base)))


@library.scheduler("LinearLR")
def linear(
    case: Case,
    *,
    start_factor: Annotated[float, Field(gt=0, le=1)] = 1 / 3,
    end_factor: Share = 1.0,
    total_iters: Steps = 5,
) -> AnyDefinition:
    """
    `linear`.

    With total_iters 0 PyTorch never leaves the start, and so does the definition.
    """
    start, end = case.base * start_factor, case.base * end_factor
    if total_iters <= 0:
        return Constant(value=start)
    return Linear(start=start, end=end, steps=total_iters)


@library.scheduler("ExponentialLR")
def decay(case: Case, *, gamma: float) -> AnyDefinition:
    """
    `exponential`.

    With gamma above 1 it holds where it would pass 1e100.
    """
    return exponential(case.base, gamma)


@library.scheduler("PolynomialLR")
def polynomial(case: Case, *, total_iters: Steps = 5, power: float = 1.0) -> AnyDefinition:
    """
    `polynomial` to 0.

    With total_iters 0, or power 0, the base value holds for ever.
    """
    if total_iters <= 0 or power == 0:
        return Constant(value=case.base)
    return Polynomial(start=case.base, end=0.0, steps=total_iters, power=power)


@library.scheduler("CosineAnnealingLR")
def cosine(case: Case, *, T_max: Steps, eta_min: float = 0.0) -> AnyDefinition:
    """`cosine`, periodic: past T_max the wave goes on."""
    return Cosine(start=case.base, end=eta_min, steps=T_max, periodic=True)


@library.scheduler("SWALR")
def averaging(
    case: Case,
    *,
    swa_lr: PerGroup,
    anneal_epochs: Count = 10,
    anneal_strategy: Literal["cos", "linear"] = "cos",
) -> AnyDefinition:
    """
    `cosine` or `linear` from the base value to swa_lr.

    With anneal_epochs 0 swa_lr holds at once.
    """
    end = of_group(case, "swa_lr", swa_lr)
    if anneal_epochs == 0:
        return Constant(value=end)
    curve = Cosine if anneal_strategy == "cos" else Linear
    return curve(start=case.base, end=end, steps=anneal_epochs)


@library.scheduler("CosineAnnealingWarmRestarts")
def restarts(
    case: Case,
    *,
    T_0: Length,
    T_mult: Annotated[Steps, Field(ge=1)] = 1,
    eta_min: float = 0.0,
) -> AnyDefinition:
    """
    `cosine_restarts`.

    `step(epoch)` finds the cycle by a rounded logarithm, and misses some restarts by one step;
    `step()` and the definition do not.
    """
    return CosineRestarts(start=case.base, end=eta_min, period=T_0, period_factor=T_mult)


@library.scheduler("CyclicLR", hyperparameters=BOTH)
def cyclic(
    case: Case,
    momentum: Momentum,
    *,
    base_lr: PerGroup,
    max_lr: PerGroup,
    step_size_up: Positive = 2000,
    step_size_down: NotNegative | None = None,
    mode: Mode = "triangular",
    gamma: float = 1.0,
    scale_fn: Function | None = None,
    scale_mode: ScaleMode = "cycle",
) -> AnyDefinition:
    """
    `cyclic`.

    The momentum mirrors it, from max_momentum down. The optimizer's own value plays no part.
    exp_range shrinks with every step, not with every cycle. scale_fn cannot be converted.
    """
    low, high = of_group(case, "base_lr", base_lr), of_group(case, "max_lr", max_lr)
    if momentum.wanted(case):
        low, high = momentum.highest(case), momentum.lowest(case)
    return cyclic_by_mode(low, high, step_size_up, step_size_down, mode, gamma)


@library.scheduler("OneCycleLR", hyperparameters=BOTH)
def onecycle(
    case: Case,
    momentum: OneCycleMomentum,
    *,
    max_lr: PerGroup,
    total_steps: Length | None = None,
    epochs: Length | None = None,
    steps_per_epoch: Length | None = None,
    pct_start: Share = 0.3,
    anneal_strategy: Literal["cos", "linear"] = "cos",
    div_factor: float = 25.0,
    final_div_factor: float = 1e4,
    three_phase: bool = False,
) -> AnyDefinition:
    """
    `one_cycle` of total_steps − 1 steps.

    The momentum mirrors it. The optimizer's own value plays no part. At step total_steps, which
    PyTorch still accepts, it runs past the end, a line even below zero; the definition holds.
    """
    total = total_steps
    if total is None and epochs is not None and steps_per_epoch is not None:
        total = epochs * steps_per_epoch
    if total is None:
        message = "is required, or else epochs and steps_per_epoch"
        raise case.wrong("total_steps", message, None, "≥ 1")
    peak = of_group(case, "max_lr", max_lr)
    start = peak / div_factor
    end = start / final_div_factor
    if momentum.wanted(case):
        peak = momentum.lowest(case)
        start = end = momentum.highest(case)
    shape: Literal["cosine", "linear"] = "cosine" if anneal_strategy == "cos" else "linear"
    values, up = (start, peak, end), ("pct_start", pct_start)
    return one_cycle(case, values, total, up, shape, three_phase=three_phase)


_MOST_RISES = 1_000
_COMPOSED = {"SequentialLR", "ChainedScheduler"}
_ABSOLUTE = {"CosineAnnealingWarmRestarts", "CyclicLR", "OneCycleLR"}
"""What sets the learning rate in each step, whatever it was."""
_SHARED: dict[str, dict[str, float | None]] = {
    "OneCycleLR": {"max_lr": None, "div_factor": 25.0, "final_div_factor": 1e4},
    "SWALR": {"swa_lr": None},
}
"""What schedulers keep in the optimizer's group, with its default: the last one's holds."""


@library.scheduler("SequentialLR")
def sequential(case: Case, *, schedulers: Schedulers, milestones: list[Steps]) -> AnyDefinition:
    """
    `sequence`.

    Each part starts again from the base value; SWALR starts from the value before it. A OneCycleLR
    among the parts changes the base value of those after it and of the first one (a cosine that
    is the first one rises past T_max to its own), as in PyTorch;
    of several the last one's max_lr, div_factor and final_div_factor hold for all, and so does
    swa_lr of several SWALR.
    PyTorch fails on a SequentialLR or ChainedScheduler that is not the first part; the definition
    runs each from its beginning. One that is the first part it steps twice at once: refused.
    """
    if len(milestones) != len(schedulers) - 1:
        bound = f"{len(schedulers) - 1} milestones"
        raise case.wrong("milestones", "must be one less than schedulers", milestones, bound)
    for before, after in pairwise(milestones):
        if after < before:
            raise case.wrong("milestones", "must not fall", after, f"≥ {before}")
    first = bisect_right(milestones, 0)
    if schedulers[first].name in _COMPOSED:
        message = "is the first part, and PyTorch steps its schedulers twice at once"
        name = schedulers[first].name
        raise case.wrong(f"schedulers[{first}].name", message, name, "a scheduler of one curve")
    bases = _bases(case, schedulers)
    starts, ends = [0, *milestones[first:]], [*milestones[first:], inf]
    parts: list[Phase] = []
    for i, (start, end) in enumerate(zip(starts, ends, strict=True), first):
        if start == end:
            continue  # it is never stepped
        spec, path = schedulers[i], f"schedulers[{i}]"
        base = bases[-1] if i == first and spec.name not in _ABSOLUTE else bases[i]
        if i > first and spec.name == "SWALR":
            base = value_at(phases(*parts), start - 1)
        begun = spec if i == first else _at_milestone(case, spec, path)
        begun = _with_shared_ends(begun, schedulers)
        curve = case.nested(begun, path, base_value=base)
        if isinstance(curve, Cosine) and curve.periodic and base != bases[i]:
            own = case.nested(begun, path, base_value=bases[i])
            curve = phases(Phase(curve, until=curve.steps + 1), Phase(own))
        parts.append(Phase(curve, until=end, origin=start))
    return phases(*parts)


def _at_milestone(case: Case, spec: Nested, path: str) -> Nested:
    """Return a scheduler of no length as it is from a milestone on; there it does not get stuck."""
    length = spec.params.get("total_iters")
    if length != 0 or spec.name not in {"ConstantLR", "LinearLR", "PolynomialLR"}:
        return spec
    if spec.name == "ConstantLR":
        return Nested(name="ConstantLR", params={"factor": 1.0})
    message = "is a division by zero at the milestone"
    raise case.wrong(f"{path}.params.total_iters", message, length, "≥ 1")


def _with_shared_ends(spec: Nested, schedulers: list[Nested]) -> Nested:
    """Return a scheduler with the ends of the last one of its kind, which all keep in the group."""
    if spec.name not in _SHARED:
        return spec
    last = next(one for one in reversed(schedulers) if one.name == spec.name).params
    ends = {k: last.get(k, default) for k, default in _SHARED[spec.name].items()}
    return Nested(name=spec.name, params={**spec.params, **ends})


def _bases(case: Case, schedulers: list[Nested]) -> list[float]:
    """Return the base value of each scheduler as it is constructed, and the one in the end."""
    bases = [case.base]
    for i, spec in enumerate(schedulers):
        base = bases[-1]
        if spec.name == "OneCycleLR":
            case.nested(spec, f"schedulers[{i}]")
            peak = of_group(case, "max_lr", spec.params["max_lr"])
            base = float(peak / spec.params.get("div_factor", 25.0))
        elif spec.name == "CyclicLR" and i == 0:
            case.nested(spec, "schedulers[0]")
            base = float(of_group(case, "base_lr", spec.params["base_lr"]))
        bases.append(base)
    return bases


@library.scheduler("ChainedScheduler", common=False)
def chained(case: Case, *, schedulers: Schedulers) -> AnyDefinition:
    """
    `product`.

    A scheduler that sets the rate whatever it was (CosineAnnealingWarmRestarts, CyclicLR,
    OneCycleLR) undoes those before it; those after it multiply it by their change of each step
    alone, as in PyTorch. Where another one sets it (a SequentialLR at its milestones, a
    CosineAnnealingLR after each of its ends) the others start again: a `sequence` of products. With
    eta_min, and others beside it, a CosineAnnealingLR has no formula until the others rest, or
    until all repeats: those steps become a `table`, and so do many ends. Where nothing repeats
    soon, the steps up to the total do; without one there is no definition. A ChainedScheduler
    inside is the same as its own schedulers.
    """
    schedulers = _flat(schedulers)
    after = next((i for i, s in enumerate(reversed(schedulers)) if s.name in _ABSOLUTE), None)
    if after is not None or len(schedulers) == 1:
        return _overridden(case, schedulers, len(schedulers) - (after or 0))
    links = [_link(case, spec, f"schedulers[{i}]") for i, spec in enumerate(schedulers)]
    total, longest = case.context.total, LONGEST // len(links)
    try:
        try:
            return _together(case, links)
        except (Invalid, NoFormulaError):
            if total is None or total > longest:
                raise
            return walked(links, case.base, total)
    except NoFormulaError as error:
        bound = f"schedulers that rest or repeat, or a total up to {longest}"
        raise case.wrong("schedulers", f"have no definition: {error}", len(links), bound) from None


def _together(case: Case, links: list[Link]) -> AnyDefinition:
    """Return the formula of what links make of the rate."""
    for i, link in enumerate(links):
        if (wave := link.pull) is not None and len(links) > 1:
            others = links[:i] + links[i + 1 :]
            _check_floor(case, wave, others, i)
            return with_floor(wave, others, i)
    return product(_without_needless(links))


def _flat(schedulers: list[Nested]) -> list[Nested]:
    """Return schedulers with those of chains inside in the chains' place: they step in turns."""
    flat: list[Nested] = []
    for spec in schedulers:
        inner = spec.params.get("schedulers") if spec.name == "ChainedScheduler" else None
        flat += _flat([Nested.model_validate(item) for item in inner]) if inner else [spec]
    return flat


def _check_floor(case: Case, wave: Cosine, others: list[Link], place: int) -> None:
    """Refuse a cosine that does not end at 0 where what it makes of the others has no table."""
    longest = LONGEST // (len(others) + 1)
    known = all(other.repeats and not (other.sets or other.wave) for other in others)
    rest = max(other.rest for other in others)
    if known and any(other.factor.length is None for other in others):
        rest = sum(repetition(wave, others, rest))
    if not known or rest > longest:
        message = f"must be 0 unless all the others rest or repeat within {longest} steps"
        bound = f"0, or a total up to {longest}"
        raise case.wrong(f"schedulers[{place}].params.eta_min", message, wave.end, bound)


def _overridden(case: Case, schedulers: list[Nested], count: int) -> AnyDefinition:
    """Return the last of so many schedulers, which sets the rate, and what those after it do."""
    *before, last = schedulers[:count]
    for i, spec in enumerate(before):
        case.nested(spec, f"schedulers[{i}]")
    base = _bases(case, before)[-1]
    curve = case.nested(last, f"schedulers[{len(before)}]", base_value=base)
    if last.name == "CyclicLR" and before:  # it leaves the first step as it was
        curve = phases(Phase(Constant(value=base), until=1), Phase(curve))
    links = [
        _link(case, spec, f"schedulers[{i}]") for i, spec in enumerate(schedulers[count:], count)
    ]
    for i, link in enumerate(links, count):
        if link.sets or link.wave or not link.repeats or link.rest > LONGEST // len(links):
            message = "has no definition after a scheduler that sets the rate in each step"
            raise case.wrong(f"schedulers[{i}].name", message, schedulers[i].name, "before it")
    return overridden(curve, links) if links else curve


def _link(case: Case, spec: Nested, path: str) -> Link:
    curve = case.nested(spec, path)
    factor = case.nested(spec, path, base_value=1.0)
    _check_link(case, spec, path)
    if spec.name == "SequentialLR":
        return _sequence(case, spec, path, (curve, factor))
    wave = curve.steps if isinstance(curve, Cosine) else 0
    return Link(curve, factor, wave=wave)


def _sequence(
    case: Case, spec: Nested, path: str, curves: tuple[AnyDefinition, AnyDefinition]
) -> Link:
    """Return a sequence, which sets the rate at its milestones; cosines in it rise past an end."""
    starts = [0, *(max(0, int(step)) for step in spec.params["milestones"])]
    inner: list[int] = []
    wave = origin = 0
    parts = spec.params["schedulers"]
    for start, end, scheduler in zip(starts, [*starts[1:], None], parts, strict=True):
        if scheduler["name"] != "CosineAnnealingLR":
            continue
        steps = int(scheduler["params"]["T_max"])
        if end is None:
            wave, origin = steps, start
            continue
        rises = range(start + steps + 1, end, 2 * steps)
        if len(rises) > _MOST_RISES:
            message = f"ends more than {_MOST_RISES} times before the next milestone; tabulate"
            raise case.wrong(f"{path}.params.schedulers", message, steps, "a longer T_max")
        inner += rises
    sets = tuple(dict.fromkeys(starts))
    return Link(*curves, sets, tuple(inner), wave, origin)


def _check_link(case: Case, spec: Nested, path: str) -> None:
    """Refuse what does not multiply the rate."""
    if spec.name in _ABSOLUTE | {"SWALR"}:
        message = "sets the rate in each step: that has a definition only as the last scheduler"
        raise case.wrong(f"{path}.name", message, spec.name, "another scheduler")
    for i, inner in enumerate(spec.params.get("schedulers", [])):
        here = f"{path}.params.schedulers[{i}]"
        _check_link(case, Nested.model_validate(inner), here)
        if inner.get("params", {}).get("eta_min"):
            message = "must be 0 inside of a chain's scheduler"
            raise case.wrong(f"{here}.params.eta_min", message, inner["params"]["eta_min"], "0")


def _without_needless(links: list[Link]) -> list[Link]:
    """Return the links; a cosine whose others rest at their base value by its end sets nothing."""
    return [
        replace(link, wave=0)
        if isinstance(link.curve, Cosine)
        and all(other.neutral(link.curve.steps) for other in links if other is not link)
        else link
        for link in links
    ]


@library.controller("ReduceLROnPlateau")
def reduce_on_plateau(case: Case, plateau: PlateauParameters) -> Conversion:
    """
    `plateau`, reading `torch`.

    Where min_lr has a floor for each group, it is that of the group.
    """
    return plateau.controller(case, metric_of(case, plateau.mode))
