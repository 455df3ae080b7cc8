"""How parameters are drawn: from a range, and often from its ends."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from random import Random
from typing import Any, TypeAlias

Draw: TypeAlias = Callable[[Random], Any]
Params: TypeAlias = dict[str, Any]

_OFTEN = 0.3
"""How often a number is an end of its range."""
_GIVEN = 0.6
"""How often a parameter that has a default is given."""


def whole(least: int, most: int) -> Draw:
    """Draw an integer."""
    return lambda rng: (
        rng.choice((least, least + 1, most)) if rng.random() < _OFTEN else rng.randint(least, most)
    )


def real(least: float, most: float) -> Draw:
    """Draw a float."""
    return lambda rng: (
        rng.choice((least, most)) if rng.random() < _OFTEN else rng.uniform(least, most)
    )


def among(*values: Any) -> Draw:
    """Draw one of some values."""
    return lambda rng: rng.choice(values)


def either(*draws: Draw) -> Draw:
    """Draw by one of some ways."""
    return lambda rng: rng.choice(draws)(rng)


def several(draw: Draw, least: int, most: int) -> Draw:
    """Draw a list."""
    return lambda rng: [draw(rng) for _ in range(rng.randint(least, most))]


def rising(least: int, most: int, longest: int) -> Draw:
    """Draw a list of different integers that rise."""
    return lambda rng: sorted(rng.sample(range(least, most + 1), rng.randint(0, longest)))


def fields(given: Mapping[str, Draw], **optional: Draw) -> Draw:
    """Draw parameters, and some of those that have defaults."""

    def draw(rng: Random) -> Params:
        found = {name: one(rng) for name, one in given.items()}
        return found | {name: one(rng) for name, one in optional.items() if rng.random() < _GIVEN}

    return draw


FLAG = among(False, True)
"""Draw a boolean."""
RATE = either(among(0.1, 1.0, 3e-4), real(1e-5, 0.5))
"""Draw a learning rate."""
