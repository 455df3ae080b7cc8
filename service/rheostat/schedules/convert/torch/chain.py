"""
Schedulers that move one learning rate in turns.

In each step every link multiplies the rate by its own ratio F(t)/F(t − 1). A link that sets the
rate instead, as a sequence does at its milestones, forgets what the others did before.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rheostat.schedules.convert.building import part, scaled, since, table, value_at
from rheostat.schedules.definition import Floats
from rheostat.schedules.kinds.curves import Cosine
from rheostat.schedules.kinds.pointwise import Product
from rheostat.schedules.kinds.sequence import Part, Sequence
from rheostat.schedules.union import AnyDefinition

LONGEST = 300_000
"""How many steps are tabulated at most, times the schedulers that take turns."""


@dataclass(frozen=True)
class Link:
    """A scheduler of the chain: its curve from the base value, and the steps where it sets it."""

    curve: AnyDefinition
    factor: AnyDefinition
    """The curve from a base value of 1."""
    sets: tuple[int, ...] = ()

    def settled(self, step: int) -> bool:
        """Return whether the rate is left alone after a step."""
        return self.factor.length is not None and self.factor.length <= step

    def neutral(self, step: int) -> bool:
        """Return whether it has come to rest at the base value itself by a step."""
        return self.settled(step) and value_at(self.factor, step) == 1


def product(links: list[Link]) -> AnyDefinition:
    """Return what links make of the rate together, from each step at which one of them sets it."""
    setters = {0: 0} | {step: i for i, link in enumerate(links) for step in link.sets}
    steps = sorted(setters)
    parts = [
        Part(schedule=_since(links, setters[step], step), until=until)
        for step, until in zip(steps, [*steps[1:], None], strict=True)
    ]
    return Sequence(parts=tuple(parts)) if len(parts) > 1 else parts[0].schedule


def _since(links: list[Link], setter: int, step: int) -> AnyDefinition:
    """Return the rate from a step at which one link has set it."""
    factors = [since(step, links[setter].curve)]
    for i, link in enumerate(links):
        before = step if i < setter else step - 1
        if i == setter or (step > 0 and link.settled(before)):
            continue
        known = value_at(link.factor, before) if before >= 0 else 1.0
        if known == 0:  # what the library makes of 0 · ∞ depends on its rounding
            raise ZeroDivisionError("a factor is 0 where another scheduler sets the rate; tabulate")
        factors.append(scaled(1 / known, since(step, link.factor)))
    return Product(of=tuple(factors)) if len(factors) > 1 else factors[0]


def with_floor(wave: Cosine, others: list[Link], place: int) -> AnyDefinition:
    """
    Return what other links make of a cosine that does not end at 0.

    It pulls the rate towards its end whatever the others do, which has no formula: the steps until
    they rest are tabulated. From then on it is a cosine that starts from another value, until its
    end; and then its own wave.
    """
    rest = max(link.factor.length or 0 for link in others)
    if rest > wave.steps:
        rest = wave.steps * (1 + 2 * -((wave.steps - rest) // (2 * wave.steps)))
    values = _walk(wave, others, place, rest)
    parts = [part(table(values[:-1]), steps=rest)] if rest else []
    if rest < wave.steps:
        start = wave.end + (values[-1] - wave.end) / _left(wave, rest)
        bent = Cosine(start=start, end=wave.end, steps=wave.steps)
        parts.append(part(bent, start=rest, steps=wave.steps - rest))
    return Sequence(parts=(*parts, part(wave, start=max(rest, wave.steps))))


def _walk(wave: Cosine, others: list[Link], place: int, steps: int) -> list[float]:
    """Return the rate at steps 0 … ``steps``; the cosine has its turn before ``others[place]``."""
    factors = [link.factor.values(np.arange(steps + 1)) for link in others]
    rate = wave.start
    for factor in factors:
        rate *= float(factor[0])
    rates = [rate]
    for t in range(1, steps + 1):
        rate = _turn(rate, factors[:place], t)
        rate = _turn(_wave_turn(wave, rate, t), factors[place:], t)
        rates.append(rate)
    return rates


def _turn(rate: float, factors: list[Floats], t: int) -> float:
    for factor in factors:
        rate *= float(factor[t] / factor[t - 1]) if factor[t - 1] else 1.0
    return rate


def _wave_turn(wave: Cosine, rate: float, t: int) -> float:
    """Pull the rate towards the end; from the end itself, rise along the wave."""
    if (t - 1) % (2 * wave.steps) == wave.steps:
        return rate + (wave.start - wave.end) * _left(wave, t)
    return wave.end + (rate - wave.end) * _left(wave, t) / _left(wave, t - 1)


def _left(wave: Cosine, t: int) -> float:
    """Return how much of the way to the end is left: from 1 at step 0 to 0 at the end."""
    return value_at(Cosine(start=1.0, end=0.0, steps=wave.steps, periodic=True), t)
