"""
What controllers make of one report after the other: a second opinion about the service's.

The plateau is PyTorch's `ReduceLROnPlateau`, the stop is Lightning's `EarlyStopping`; both are
written from their rules, with nothing of the service.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

Json = Mapping[str, Any]


@dataclass(frozen=True)
class Memory:
    """What a controller remembers: its best, where that was, and what it counts."""

    best: float | None = None
    best_step: int | None = None
    bad: int = 0
    cool: int = 0

    def relieved(self) -> Memory:
        """Return it after something that it decided was taken back: it counts anew."""
        return replace(self, bad=0, cool=0)


def heard(config: Json, memory: Memory, step: int, value: float) -> tuple[Memory, bool]:
    """Return what is remembered after a report, and whether the controller fires."""
    fold = {"plateau": plateau, "stop": stop}[config["kind"]]
    return fold(config, memory, step, value)


def plateau(config: Json, memory: Memory, step: int, value: float) -> tuple[Memory, bool]:
    """Reduce once more than ``patience`` reports in a row are not better by ``threshold``."""
    best = math.inf if memory.best is None else memory.best
    if value < best * (1 - config["threshold"]):
        memory = replace(memory, best=value, best_step=step, bad=0)
    else:
        memory = replace(memory, bad=memory.bad + 1)
    if memory.cool > 0:
        memory = replace(memory, cool=memory.cool - 1, bad=0)
    if memory.bad <= config["patience"]:
        return memory, False
    return replace(memory, bad=0, cool=config["cooldown"]), True


def stop(config: Json, memory: Memory, step: int, value: float) -> tuple[Memory, bool]:
    """Stop at what is not finite, or after ``patience`` reports that are not better."""
    if not math.isfinite(value):
        return replace(memory, bad=0), True
    if value + config["min_delta"] < (math.inf if memory.best is None else memory.best):
        return replace(memory, best=value, best_step=step, bad=0), False
    bad = memory.bad + 1
    fires = bad >= config["patience"]
    return replace(memory, bad=0 if fires else bad), fires


def reduced(config: Json, value: float) -> float | None:
    """Return the factor by which a value falls; None if it stays."""
    lower = value * config["factor"]
    return config["factor"] if value - lower > 1e-8 else None


def mean(values: Iterable[float]) -> float:
    """Return the mean of what several sources say, of whom none is finite or all are."""
    listed = list(values)
    return math.fsum(listed) / len(listed) if all(map(math.isfinite, listed)) else math.nan
