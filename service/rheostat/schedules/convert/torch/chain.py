"""
Schedulers that move one learning rate in turns.

In each step every link multiplies the rate by its own ratio F(t)/F(t − 1). A link that sets the
rate instead, as a sequence does at its milestones, forgets what the others did before; so does a
cosine after each of its ends, where the rate is 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from math import lcm

from rheostat.schedules.convert.building import part, scaled, since, table, value_at
from rheostat.schedules.convert.torch.links import MOST_WAVES, Link
from rheostat.schedules.definition import Floats
from rheostat.schedules.kinds.curves import Constant, Cosine
from rheostat.schedules.kinds.pointwise import Product
from rheostat.schedules.kinds.repeat import Repeat
from rheostat.schedules.kinds.sequence import Part, Sequence
from rheostat.schedules.union import AnyDefinition

LONGEST = 300_000
"""How many steps are tabulated at most, times the schedulers that take turns."""
_MOST_TURNS = 100
"""How many turns of all links together are laid out."""
_SMALLEST = 1e-300
_SEVERAL = -1
"""Stands for several cosines that set the rate in the same step."""


@dataclass(frozen=True)
class Turns:
    """The steps at which a link sets the rate, and by which link; from `start` on periodically."""

    setters: dict[int, int]
    start: int | None = None
    period: int = 0


def product(links: list[Link]) -> AnyDefinition:
    """Return what links make of the rate together, from each step at which one of them sets it."""
    turns = _turns(links)
    steps = sorted(turns.setters)
    if turns.start is None:
        return _laid_out(links, turns.setters, [*steps, None])
    before = [step for step in steps if step < turns.start]
    within = [step for step in steps if step >= turns.start]
    last = turns.start + turns.period
    parts = _parts(links, turns.setters, [*before, turns.start])
    again = _laid_out(links, turns.setters, [*within, last], turns.start)
    return Sequence(parts=(*parts, Part(schedule=Repeat(of=again, every=float(turns.period)))))


def _turns(links: list[Link]) -> Turns:
    """Return who sets the rate when; cosines do so at each end until the others come to rest."""
    setters = {0: 0} | {step: i for i, link in enumerate(links) for step in link.sets}
    waves = {i: link.wave for i, link in enumerate(links) if link.wave}
    if not waves:
        return Turns(setters)
    rest = max([*(link.rest for link in links), *setters])
    first, *_ = waves.values()
    start = first * (1 + 2 * -((first - rest) // (2 * first))) + 1
    others = any(link.factor.length is None and not link.wave for link in links)
    period = lcm(*(link.period for link in links)) if others or len(waves) > 1 else 0
    ends = [(t, i) for i, steps in waves.items() for t in _ends(steps, start + max(period, 1))]
    if period and len(ends) <= _MOST_TURNS // len(links):
        return Turns(_with_ends(setters, ends), start, period)
    few = [(t, i) for t, i in ends if t <= 2 * MOST_WAVES * waves[i]]
    return Turns(_with_ends(setters, sorted(few)[: _MOST_TURNS // len(links)]))


def _ends(steps: int, until: int) -> range:
    """Return the steps after each end of a wave."""
    return range(steps + 1, until, 2 * steps)


def _with_ends(setters: dict[int, int], ends: list[tuple[int, int]]) -> dict[int, int]:
    for step, i in ends:
        setters[step] = i if setters.get(step, i) == i else _SEVERAL
    return setters


def _laid_out(
    links: list[Link], setters: dict[int, int], steps: list[int | None], origin: int = 0
) -> AnyDefinition:
    parts = _parts(links, setters, steps, origin)
    return Sequence(parts=tuple(parts)) if len(parts) > 1 else parts[0].schedule


def _parts(
    links: list[Link], setters: dict[int, int], steps: list[int | None], origin: int = 0
) -> list[Part]:
    """Return the rate from each of the steps until the next one, counted from an origin."""
    return [
        Part(
            schedule=_since(links, setters[step], step),
            until=None if until is None else until - origin,
        )
        for step, until in pairwise(steps)
        if step is not None
    ]


def _since(links: list[Link], setter: int, step: int) -> AnyDefinition:
    """Return the rate from a step at which one link has set it."""
    if setter == _SEVERAL:
        return _since_several(links, step)
    factors = [since(step, links[setter].curve)]
    for i, link in enumerate(links):
        before = step if i < setter else step - 1
        if i == setter or (step > 0 and link.settled(before)):
            continue
        factors.append(scaled(1 / _known(link, before), since(step, link.factor)))
    return Product(of=tuple(factors)) if len(factors) > 1 else factors[0]


def _since_several(links: list[Link], step: int) -> AnyDefinition:
    """Return the rate from a step at which several cosines rise from 0, and so add up."""
    rate = 0.0
    for link in links:
        if link.wave and (step - 1) % (2 * link.wave) == link.wave:
            rate += value_at(link.curve, step)
        elif not link.settled(step - 1):
            rate *= value_at(link.factor, step) / _known(link, step - 1)
    moving = [link for link in links if not link.settled(step)]
    factors = [scaled(1 / _known(link, step), since(step, link.factor)) for link in moving]
    return scaled(rate, Product(of=tuple(factors)))


def _known(link: Link, step: int) -> float:
    """Return the factor at a step, which must not be 0: of 0 · ∞ the library makes anything."""
    known = value_at(link.factor, step) if step >= 0 else 1.0
    if abs(known) < _SMALLEST:
        raise ZeroDivisionError("a factor is 0 where another scheduler sets the rate; tabulate")
    return known


def overridden(curve: AnyDefinition, links: list[Link]) -> AnyDefinition:
    """Return a rate that is set in each step, and then multiplied by each link's own ratio."""
    first = Product(of=(curve, *(Constant(value=value_at(link.factor, 0)) for link in links)))
    rest = Product(of=(curve, *(link.ratio() for link in links)))
    return Sequence(parts=(Part(schedule=first, steps=1), part(rest, start=1)))


def with_floor(wave: Cosine, others: list[Link], place: int) -> AnyDefinition:
    """
    Return what other links make of a cosine that does not end at 0.

    It pulls the rate towards its end whatever the others do, which has no formula: the steps until
    they rest are tabulated. From then on it is a cosine that starts from another value, until its
    end; and then its own wave. Where others never rest, all repeats from its end on.
    """
    rest = max(link.rest for link in others)
    if any(link.factor.length is None for link in others):
        return _repeated(wave, others, place, rest)
    if rest >= wave.steps:
        rest, _ = repetition(wave, others, rest)
    values = _walk(wave, others, place, rest)
    parts = [part(table(values[:-1]), steps=rest)] if rest else []
    if rest < wave.steps:
        start = wave.end + (values[-1] - wave.end) / _left(wave, rest)
        bent = Cosine(start=start, end=wave.end, steps=wave.steps)
        parts.append(part(bent, start=rest, steps=wave.steps - rest))
    return Sequence(parts=(*parts, part(wave, start=max(rest, wave.steps))))


def _repeated(wave: Cosine, others: list[Link], place: int, rest: int) -> AnyDefinition:
    """Return the table up to the cosine's first end after the others' own, and then one period."""
    start, period = repetition(wave, others, rest)
    values = _walk(wave, others, place, start + period)
    again = Repeat(of=table(values[start:-1]), every=float(period))
    return Sequence(parts=(part(table(values[:start]), steps=start), Part(schedule=again)))


def repetition(wave: Cosine, others: list[Link], rest: int) -> tuple[int, int]:
    """Return the wave's first end after the others' own, from which all repeats, and the period."""
    start = wave.steps * (1 + 2 * max(0, -((wave.steps - rest - 1) // (2 * wave.steps))))
    return start, lcm(2 * wave.steps, *(link.period for link in others))


def _walk(wave: Cosine, others: list[Link], place: int, steps: int) -> list[float]:
    """Return the rate at steps 0 … ``steps``; the cosine has its turn before ``others[place]``."""
    ratios = [link.ratios(steps) for link in others]
    rate = _turn(wave.start, ratios, 0)
    rates = [rate]
    for t in range(1, steps + 1):
        rate = _turn(rate, ratios[:place], t)
        rate = _turn(_wave_turn(wave, rate, t), ratios[place:], t)
        rates.append(rate)
    return rates


def _turn(rate: float, ratios: list[Floats], t: int) -> float:
    for ratio in ratios:
        rate *= float(ratio[t])
    return rate


def _wave_turn(wave: Cosine, rate: float, t: int) -> float:
    """Pull the rate towards the end; from the end itself, rise along the wave."""
    if (t - 1) % (2 * wave.steps) == wave.steps:
        return rate + (wave.start - wave.end) * _left(wave, t)
    return wave.end + (rate - wave.end) * _left(wave, t) / _left(wave, t - 1)


def _left(wave: Cosine, t: int) -> float:
    """Return how much of the way to the end is left: from 1 at step 0 to 0 at the end."""
    return value_at(Cosine(start=1.0, end=0.0, steps=wave.steps, periodic=True), t)
