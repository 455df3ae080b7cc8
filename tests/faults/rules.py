"""
What controllers decide, written anew from what their libraries do: the judge's own opinion.

A state is a tuple, so that a judge who cannot know which of two things came first can follow both.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import fsum, inf, isfinite, isnan, nan
from typing import Any, NamedTuple

Config = Mapping[str, Any]


class State(NamedTuple):
    """What a rule remembers: its best value, the bad reports in a row, and those that cool."""

    best: float = inf
    bad: int = 0
    cool: int = 0


FRESH = State()


def step(config: Config, state: State, value: float) -> tuple[State, bool]:
    """Return the state after a report, and whether the rule fires."""
    match config["kind"]:
        case "plateau":
            return _plateau(config, state, value)
        case "stop":
            return _early_stopping(config, state, value)
        case "guard":
            return _guard(config, state, value)
        case "rule":
            return _rule(config, state, value)
    raise ValueError(f"nobody judges a {config['kind']}")


def relieved(state: State) -> State:
    """Return the state after a decision was taken back: it counts anew, and knows its best."""
    return State(best=state.best)


def reduced(expect: int, values: Mapping[str, float]) -> float | None:
    """Return the value of a step from those of its sources; None while too few have reported it."""
    if len(values) < expect:
        return None
    if len(values) == 1:
        return next(iter(values.values()))
    return mean([values[source] for source in sorted(values)])


def mean(values: Sequence[float]) -> float:
    """Return the mean of values as IEEE 754 has it, which is NaN if one of them is."""
    if any(isnan(value) for value in values) or {inf, -inf} <= set(values):
        return nan
    return (fsum(values) if all(map(isfinite, values)) else sum(values)) / len(values)


def _plateau(config: Config, state: State, value: float) -> tuple[State, bool]:
    """Step `torch.optim.lr_scheduler.ReduceLROnPlateau`, of mode min with a relative threshold."""
    better = value < state.best * (1 - config["threshold"])
    best, bad = (value, 0) if better else (state.best, state.bad + 1)
    cool = state.cool
    if cool > 0:
        cool, bad = cool - 1, 0
    if bad > config["patience"]:
        return State(best, 0, config["cooldown"]), True
    return State(best, bad, cool), False


def _early_stopping(config: Config, state: State, value: float) -> tuple[State, bool]:
    """Step Lightning's `EarlyStopping`, of mode min, whose counter starts anew once it fires."""
    if not isfinite(value):
        return State(best=state.best), True
    if value + config["min_delta"] < state.best:
        return State(best=value), False
    fires = state.bad + 1 >= config["patience"]
    return State(state.best, 0 if fires else state.bad + 1), fires


def _guard(config: Config, state: State, value: float) -> tuple[State, bool]:
    """Count values that are too high, or none at all, in a row."""
    if isfinite(value) and value <= config["above"]["value"]:
        return FRESH, False
    fires = state.bad + 1 >= config["for"]
    return State(bad=0 if fires else state.bad + 1), fires


def _rule(config: Config, state: State, value: float) -> tuple[State, bool]:
    """Count values below one in a row: it fires once in each stretch of them."""
    assert config["when"]["op"] == "<"
    if not value < config["when"]["value"]:
        return FRESH, False
    return State(bad=state.bad + 1), state.bad + 1 == config["for"]
