"""What becomes of a random configuration: equal, refused, or different."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from random import Random
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from tests.converters.compare.draws import Draw, Params

from rheostat.errors import Invalid
from rheostat.schedules import convert, evaluate

LIBRARIES = ("torch", "optax", "keras", "transformers", "timm", "mmengine")
RTOL, ATOL = 1e-9, 1e-12
"""How far values may be apart, and how far in relation to the greatest of them."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Configuration:
    """A scheduler of a library with its parameters, and what surrounds it."""

    name: str
    params: Params
    base: float = 0.1
    context: Params = field(default_factory=dict)
    """What `convert` is told besides, such as the length of an epoch."""
    steps: int = 120
    """How many values the library has, unless it fails."""


class Library(Protocol):
    """What a file of a library has."""

    VERSION: str
    SCHEDULERS: Mapping[str, Draw]
    """How the configurations of each class are drawn."""

    def values(self, configuration: Configuration) -> list[float]:
        """Return the library's own values from step 0 on, up to where it fails."""

    def spared(self, configuration: Configuration, step: int) -> bool:
        """Return whether the library is known to miss a restart at a step by its rounding."""


def nothing_spared(configuration: Configuration, step: int) -> bool:
    """Return False: the library misses no restart."""
    del configuration, step
    return False


def begins_at(step: int, begin: float, length: float, factor: float) -> bool:
    """Return whether a cycle begins at a step, up to rounding; each is longer than the last one."""
    while begin < step - 1e-6:
        begin, length = begin + length, length * factor
    return begin < step + 1e-6


def with_bases(schedulers: Mapping[str, Draw], base: Draw, steps: int) -> dict[str, Draw]:
    """Return how whole configurations are drawn: the parameters, then the base value."""

    def drawing(name: str, draw: Draw) -> Draw:
        return lambda rng: Configuration(name, draw(rng), base(rng), steps=steps)

    return {name: drawing(name, draw) for name, draw in schedulers.items()}


@dataclass
class Outcome:
    """How the configurations of a class came out."""

    tried: int = 0
    equal: int = 0
    failed: int = 0
    """The library itself failed: at once, or later and the converter refused."""
    refused: Counter[str] = field(default_factory=Counter)
    """By the reason, without its numbers."""
    different: list[str] = field(default_factory=list)

    @property
    def refusals(self) -> int:
        """How many were refused that the library takes."""
        return sum(self.refused.values())


def installed(name: str) -> Library | None:
    """Return the file of a library, or None if that is not installed."""
    try:
        module: Any = import_module(f"tests.converters.compare.of_{name}")
    except ImportError:
        return None
    found: Library = module
    return found


def compared(library: str, own: Library, name: str, count: int, seed: int) -> Outcome:
    """Return how random configurations of a class come out."""
    outcome = Outcome()
    for configuration in drawn(library, own, name, count, seed):
        outcome.tried += 1
        expected = np.array(own.values(configuration), dtype=np.float64)
        if not len(expected):
            outcome.failed += 1
            continue
        try:
            values = converted(library, configuration, len(expected))
        except Invalid as refusal:
            if len(expected) < configuration.steps or not np.isfinite(expected).all():
                outcome.failed += 1
            else:
                outcome.refused[reason(refusal)] += 1
            continue
        wrong = _wrong(own, configuration, expected, values)
        if wrong is None:
            outcome.equal += 1
        else:
            outcome.different.append(wrong)
    return outcome


def drawn(library: str, own: Library, name: str, count: int, seed: int) -> Iterator[Configuration]:
    """Yield random configurations of a class."""
    for number in range(count):
        rng = Random(f"{seed}/{library}/{name}/{number}")
        drawn = own.SCHEDULERS[name](rng)
        yield drawn if isinstance(drawn, Configuration) else Configuration(name, drawn)


def converted(library: str, configuration: Configuration, steps: int) -> Floats:
    """Return the values of what a configuration becomes."""
    name, params = configuration.name, configuration.params
    definition = convert(library, name, params, configuration.base, **configuration.context)
    return evaluate(definition, range(steps))


def reason(refusal: Invalid) -> str:
    """Return why something is refused, without the numbers of the case."""
    error = refusal.errors[0]
    place = re.sub(r"\[\d+\]", "", error.field).removeprefix("params.")
    return re.sub(r"-?\d[\d.,e+-]*", "…", f"{place} {error.message}")


def _wrong(
    own: Library, configuration: Configuration, expected: Floats, values: Floats
) -> str | None:
    """Return the first step at which values differ, with both and the configuration."""
    known = np.isfinite(expected)
    peak = float(np.abs(expected[known]).max(initial=0.0))
    far = np.abs(values - expected) > ATOL * peak + RTOL * np.abs(expected)
    for step in np.flatnonzero(far & known).tolist():
        if not own.spared(configuration, step):
            return f"{configuration}: {values[step]!r} and not {expected[step]!r} at step {step}"
    return None
