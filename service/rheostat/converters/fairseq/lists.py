"""fairseq's schedulers of lists: a learning rate for each epoch, or for some updates."""

from __future__ import annotations

from ast import literal_eval
from collections.abc import Mapping
from itertools import groupby
from typing import Annotated, Any

from pydantic import Field

from rheostat.converters.building import exponential, times
from rheostat.converters.case import Case, Steps
from rheostat.converters.fairseq.registry import Count, Rates, library
from rheostat.converters.pieces import Piece, pieces
from rheostat.schedules.kinds.curves import Constant, Linear
from rheostat.schedules.kinds.points import Piecewise
from rheostat.schedules.size_limits import MAX_POINTS
from rheostat.schedules.union import AnyDefinition

Written = str | dict[str, float]
"""A dictionary, or the text of one."""


@library.scheduler("FixedLRSchedule", "fixed")
def fixed(
    case: Case,
    *,
    lr: Rates | None = None,
    force_anneal: Annotated[Steps, Field(ge=1)] | None = None,
    lr_shrink: Annotated[float, Field(ge=0)] = 0.1,
    warmup_updates: Count = 0,
) -> AnyDefinition:
    """
    `piecewise` by epochs; with a warm-up, the first epoch's value by updates.

    fairseq numbers epochs from 1, and so does the definition. The warm-up counts updates, which
    are no epochs: with one the definition counts updates. steps_per_epoch says how many make an
    epoch; without it the training is taken to end with its first one.
    """
    rates = [case.base] if lr is None else lr if isinstance(lr, list) else [lr]
    if warmup_updates == 0:
        return _by_epochs(rates, force_anneal, lr_shrink)
    length = case.context.steps_per_epoch
    if length is not None:
        annealed = None if force_anneal is None else (force_anneal - 1) * length
        by_updates = _by_epochs(rates, annealed, lr_shrink, first=0, length=length)
        return times(_rise(1.0, warmup_updates), by_updates)
    if force_anneal is not None:
        message = "counts epochs beside a warm-up of updates: steps_per_epoch is required"
        raise case.wrong("force_anneal", message, force_anneal, "null")
    return _rise(rates[0], warmup_updates)


def _rise(peak: float, steps: int) -> AnyDefinition:
    """Return a line to a peak, one step ahead, which holds."""
    rise = Linear(start=0.0, end=peak, steps=steps)
    return pieces(Piece(rise, until=steps, origin=-1), Piece(Constant(value=peak)))


def _by_epochs(
    rates: list[float], anneal: int | None, shrink: float, *, first: int = 1, length: int = 1
) -> AnyDefinition:
    """Return a rate for each epoch, which shrinks in each from a step on."""
    listed = _steps([(first + epoch * length, rate) for epoch, rate in enumerate(rates)])
    if anneal is None:
        return listed
    annealed = exponential(rates[-1] * shrink, shrink, length, staircase=length > 1)
    return pieces(Piece(listed, until=anneal), Piece(annealed, origin=anneal))


@library.scheduler("ManualSchedule", "manual")
def manual(
    case: Case,
    *,
    epoch2lr: Written = "{}",
    update2lr: Written = "{}",
    lr: Rates | None = None,
) -> AnyDefinition:
    """
    `piecewise`: the value of the largest key that is not above the step.

    Keys name a step, several ("11,12") or a range ("1-10"). The definition counts the updates of
    update2lr, or the epochs of epoch2lr, which fairseq numbers from 1.
    """
    by_epoch, by_update = _read(case, "epoch2lr", epoch2lr), _read(case, "update2lr", update2lr)
    if by_epoch and by_update:
        message = "cannot stand beside update2lr: a definition counts epochs or updates"
        raise case.wrong("epoch2lr", message, epoch2lr, "one of both")
    values = by_epoch or by_update
    first = lr[0] if isinstance(lr, list) else case.base if lr is None else lr
    return _steps([(0, values.get(1, first)), *sorted(values.items())])


def _steps(points: list[tuple[int, float]]) -> AnyDefinition:
    """Return the value of the last point, a constant if there is but one."""
    kept = [next(group) for _, group in groupby(dict(points).items(), key=lambda item: item[1])]
    if len(kept) == 1:
        return Constant(value=kept[0][1])
    places = tuple((float(step), value) for step, value in kept)
    return Piecewise(points=places, interpolation="previous")


def _read(case: Case, parameter: str, written: Written) -> dict[int, float]:
    """Return the value of each step that is named; later names win."""
    values: dict[int, float] = {}
    for key, value in _parsed(case, parameter, written).items():
        for steps in _named(case, parameter, key):
            if len(values) + len(steps) > MAX_POINTS:
                bound = f"≤ {MAX_POINTS} steps in all"
                raise case.wrong(parameter, "names too many steps", key, bound)
            values.update(dict.fromkeys(steps, float(value)))
    return values


def _parsed(case: Case, parameter: str, written: Written) -> Mapping[str, float]:
    if isinstance(written, dict):
        return written
    try:
        parsed: Any = literal_eval(written.replace(" ", ""))
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        parsed = None
    if not isinstance(parsed, dict) or not all(_is_entry(item) for item in parsed.items()):
        bound = "{'1-10': 1e-3, '11,12': 5e-4}"
        raise case.wrong(parameter, "must be a dictionary of steps", written, bound)
    return parsed


def _is_entry(item: tuple[Any, Any]) -> bool:
    return isinstance(item[0], str) and type(item[1]) in {int, float}


def _named(case: Case, parameter: str, key: str) -> list[range]:
    """Return the steps that a key names."""
    try:
        if "," in key:
            return [range(int(part), int(part) + 1) for part in key.split(",")]
        first, _, last = key.partition("-")
        return [range(int(first), int(last or first) + 1)]
    except ValueError:
        bound = '"20", "11,12" or "1-10"'
        raise case.wrong(parameter, "has a key that names no steps", key, bound) from None
