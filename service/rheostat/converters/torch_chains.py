"""
Schedulers that move one learning rate in turns.

In each step every link multiplies the rate by its own ratio F(t)/F(t − 1). A link that sets the
rate instead, as a sequence does at its milestones, forgets what the others did before; so does a
cosine after each of its ends, where the rate is 0 and it adds the way up to what it finds.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from math import inf, lcm
from typing import NamedTuple

import numpy as np

from rheostat.converters.kit import Phase, levels, phases, scaled, since, table, value_at
from rheostat.schedules.definition import Floats
from rheostat.schedules.kinds.curves import Constant, Cosine
from rheostat.schedules.kinds.decays import Exponential
from rheostat.schedules.kinds.points import Multistep
from rheostat.schedules.kinds.pointwise import Product
from rheostat.schedules.kinds.presets import Step
from rheostat.schedules.kinds.repeat import Repeat
from rheostat.schedules.union import AnyDefinition


@dataclass(frozen=True)
class Link:
    """A scheduler of the chain: its curve from the base value, and the steps where it sets it."""

    curve: AnyDefinition
    factor: AnyDefinition
    """The curve from a base value of 1."""
    sets: tuple[int, ...] = ()
    """The steps at which it sets the rate, whatever it was: a sequence's milestones."""
    inner: tuple[int, ...] = ()
    """The steps at which a cosine inside of it rises from its end, before the last milestone."""
    wave: int = 0
    """The length of a cosine that rises after each of its ends, for ever; 0 for all else."""
    origin: int = 0
    """The step at which that cosine begins."""

    @property
    def pull(self) -> Cosine | None:
        """The cosine, if it is one that pulls the rate towards another end than 0."""
        return self.curve if isinstance(self.curve, Cosine) and self.curve.end != 0 else None

    def rises(self, until: int) -> Iterator[int]:
        """Yield the steps after each end of the cosine."""
        yield from range(self.origin + self.wave + 1, until, 2 * self.wave)

    def first_rise(self, step: int) -> int:
        """Return the first step at or after another one at which the cosine rises."""
        first = self.origin + self.wave + 1
        return first + 2 * self.wave * max(0, -((first - step) // (2 * self.wave)))

    def rises_at(self, step: int) -> bool:
        """Return whether a cosine rises from its end at a step, adding to what it finds."""
        past = step - self.origin - self.wave - 1
        return step in self.inner or (self.wave > 0 and past >= 0 and past % (2 * self.wave) == 0)

    def sets_at(self, step: int) -> bool:
        """Return whether it sets the rate at a step, or rises from an end."""
        return step in self.sets or self.rises_at(step)

    def turn(self, step: int, rate: float) -> float:
        """Return what its turn at a step makes of the rate."""
        if step in self.sets:
            return value_at(self.curve, step)
        if self.rises_at(step):
            return rate + value_at(self.curve, step)
        if self.settled(step - 1):
            return rate
        return rate * value_at(self.factor, step) / _known(self, step - 1)

    @property
    def rest(self) -> int:
        """The step from which it repeats itself."""
        return self.factor.length or 0

    @property
    def period(self) -> int:
        """After how many steps it repeats itself: 1 if it rests, or shrinks by the same ratio."""
        if self.wave:
            return 2 * self.wave
        return int(self.factor.every) if isinstance(self.factor, Step) else 1

    @property
    def repeats(self) -> bool:
        """Whether it comes to rest, or at least repeats itself."""
        return (
            self.wave > 0
            or self.factor.length is not None
            or isinstance(self.factor, (Exponential, Step))
        )

    def settled(self, step: int) -> bool:
        """Return whether the rate is left alone after a step."""
        return self.factor.length is not None and self.factor.length <= step

    def vanishes(self, until: int) -> bool:
        """Return whether it is 0 before a step, so that its ratio there is not told."""
        return not self.factor.values(np.arange(until)).all()

    def neutral(self, step: int) -> bool:
        """Return whether by a step it rests at the base value itself, and never set the rate."""
        return (
            not self.sets
            and not self.inner
            and not self.wave
            and self.settled(step)
            and value_at(self.factor, step) == 1
        )

    def ratios(self, steps: int) -> Floats:
        """Return the factor at step 0, and then what each step up to the last multiplies it by."""
        if isinstance(self.factor, Exponential):
            ratios = np.full(steps + 1, value_at(self.factor, 1))
            ratios[0] = 1.0
            return ratios
        if isinstance(self.factor, Step):
            ratios = np.ones(steps + 1)
            ratios[self.period :: self.period] = self.factor.factor
            return ratios
        if isinstance(self.factor, Multistep):
            ratios = np.ones(steps + 1)
            np.multiply.at(ratios, list(self.factor.milestones), self.factor.factor)
            return ratios
        values = self.factor.values(np.arange(steps + 1))
        known = values[:-1] != 0
        ratios = np.divide(values[1:], values[:-1], out=np.ones(steps), where=known)
        return np.concatenate([values[:1], ratios])

    def ratio(self) -> AnyDefinition:
        """Return the definition of what each step multiplies the rate by, from step 1 on."""
        if isinstance(self.factor, Exponential):
            return Constant(value=value_at(self.factor, 1))
        if isinstance(self.factor, Step):
            again = levels([1], [self.factor.factor, 1.0])
            return Repeat(of=again, every=self.factor.every)
        return table([*self.ratios(self.rest), 1.0])


LONGEST = 300_000
"""How many steps are tabulated at most, times the schedulers that take turns."""
_MOST_PARTS = 100
"""How many parts of a sequence are written out, times the schedulers; more become a table."""
_MOST_INTERVALS = 3_000
"""How often the rate is set at most until all repeats, times the schedulers."""
_SMALLEST = 1e-300


class NoFormulaError(ValueError):
    """What the schedulers make of the rate together has no definition that ends."""


class UpdateSteps(NamedTuple):
    """The steps at which a link sets the rate; from ``start`` on all repeats, or one is left."""

    steps: list[int]
    start: int
    period: int = 0
    """After how many steps all repeats; 0 if what follows the start is a definition of its own."""


class Interval(NamedTuple):
    """The rate from a step at which it is set until the next one, as a definition from there."""

    step: int
    rate: AnyDefinition


def product(links: list[Link]) -> AnyDefinition:
    """Return what links make of the rate together, from each step at which one of them sets it."""
    turns = _turns(links)
    intervals = _intervals(links, turns)
    if len(intervals) == 1:
        return intervals[0].rate
    if len(intervals) * len(links) <= _MOST_PARTS:
        return _laid_out(intervals, turns)
    return _tabulated(intervals, turns, len(links))


def _turns(links: list[Link]) -> UpdateSteps:
    """Return the steps that set the rate; cosines do so at each end until the others rest."""
    steps = sorted({0, *(step for link in links for step in (*link.sets, *link.inner))})
    waves = [link for link in links if link.wave]
    if not waves:
        return _few(UpdateSteps(steps, steps[-1]), len(links))
    rest = max([*(link.rest for link in links), *steps])
    start = waves[0].first_rise(rest + 1)
    endless = any(link.factor.length is None and not link.wave for link in links)
    period = lcm(*(link.period for link in links)) if endless or len(waves) > 1 else 0
    if period and not all(link.repeats for link in links):
        raise NoFormulaError("a cosine goes on past its end while others never repeat")
    until = start + max(period, 1)
    most = _MOST_INTERVALS // len(links)
    if sum((until - link.origin) // (2 * link.wave) for link in waves) > most:
        raise NoFormulaError(f"a cosine ends more than {most} times until all repeats")
    ends = {step for link in waves for step in link.rises(until)}
    return _few(UpdateSteps(sorted({*steps, *ends}), start, period), len(links))


def _few(turns: UpdateSteps, links: int) -> UpdateSteps:
    if len(turns.steps) > _MOST_INTERVALS // links:
        raise NoFormulaError(f"the rate is set more than {_MOST_INTERVALS // links} times")
    return turns


def _intervals(links: list[Link], turns: UpdateSteps) -> list[Interval]:
    """Return the rate from each step that sets it; what it was before counts where it is not 0."""
    found: list[Interval] = []
    end = turns.start + turns.period if turns.period else None
    for step, following in pairwise([*turns.steps, end]):
        before = _last(found, step) if found and step is not None else 0.0
        if step is None:
            break
        if turns.period and step == turns.start and before != 0:
            raise NoFormulaError("the rate does not repeat itself")
        found.append(Interval(step, _since(links, step, before, following)))
    if end is not None and _last(found, end) != 0:
        raise NoFormulaError("the rate does not repeat itself")
    return found


def _last(intervals: list[Interval], step: int) -> float:
    """Return the rate one step before the end of the last interval."""
    return value_at(intervals[-1].rate, step - 1 - intervals[-1].step)


def _since(links: list[Link], step: int, before: float, following: int | None) -> AnyDefinition:
    """Return the rate from a step at which it is set, which was another one before."""
    setters = [i for i, link in enumerate(links) if link.sets_at(step)] or [0]
    alone = len(setters) == 1 and (before == 0 or step in links[setters[0]].sets)
    if step == 0 or (alone and all(_moves(link, step) for link in links)):
        return _since_one(links, setters[-1], step)
    rate = before
    for link in links:
        rate = link.turn(step, rate)
    moving = [link for link in links if not link.settled(step)]
    still = [link for link in moving if abs(value_at(link.factor, step)) < _SMALLEST]
    if still and following != step + 1:
        raise NoFormulaError("a factor is 0 where another scheduler sets the rate")
    factors = [
        scaled(1 / _known(link, step), since(step, link.factor))
        for link in moving
        if link not in still
    ]
    return scaled(rate, Product(of=tuple(factors))) if factors else Constant(value=rate)


def _moves(link: Link, step: int) -> bool:
    """Return whether a factor has a ratio at a step, or rests: of 0 · ∞ there is anything."""
    known = all(abs(value_at(link.factor, place)) >= _SMALLEST for place in (step - 1, step))
    return known or link.sets_at(step) or link.settled(step - 1)


def _since_one(links: list[Link], setter: int, step: int) -> AnyDefinition:
    """Return the rate from a step at which one link has set it."""
    factors = [since(step, links[setter].curve)]
    for i, link in enumerate(links):
        before = step if i < setter else step - 1
        if i == setter or (step > 0 and link.settled(before)):
            continue
        known = _known(link, before) if before >= 0 else 1.0
        factors.append(scaled(1 / known, since(step, link.factor)))
    return Product(of=tuple(factors)) if len(factors) > 1 else factors[0]


def _known(link: Link, step: int) -> float:
    """Return the factor that a link had at a step, which is to be taken back."""
    factor = value_at(link.factor, step)
    if factor == 0:
        raise NoFormulaError("a factor is 0 where another scheduler sets the rate")
    return factor


def _laid_out(intervals: list[Interval], turns: UpdateSteps) -> AnyDefinition:
    """Return the intervals one after the other, of which the last ones may repeat."""
    if not turns.period:
        return phases(*_phases(intervals, inf))
    before = [interval for interval in intervals if interval.step < turns.start]
    within = [interval for interval in intervals if interval.step >= turns.start]
    once = phases(*_phases(within, inf, turns.start))
    again = Repeat(of=once, every=float(turns.period))
    return phases(*_phases(before, turns.start), Phase(again, origin=turns.start))


def _phases(intervals: list[Interval], end: float, origin: int = 0) -> Iterator[Phase]:
    """Yield the phases of intervals, the last one up to an end, counted from an origin."""
    ends = [*(interval.step for interval in intervals[1:]), end]
    for interval, until in zip(intervals, ends, strict=True):
        yield Phase(interval.rate, until - origin, interval.step - origin)


def _tabulated(intervals: list[Interval], turns: UpdateSteps, links: int) -> AnyDefinition:
    """Return the intervals in a table, and what follows it: a definition, or one that repeats."""
    end = turns.start + turns.period
    if end > LONGEST // links:
        raise NoFormulaError(f"the rate is set too often within {LONGEST // links} steps")
    steps = [*(interval.step for interval in intervals), end]
    values = np.concatenate(
        [
            interval.rate.values(np.arange(until - begin))
            for interval, (begin, until) in zip(intervals, pairwise(steps), strict=True)
            if until > begin
        ]
    ).tolist()
    again = intervals[-1].rate
    if turns.period:
        again = Repeat(of=table(values[turns.start :]), every=float(turns.period))
    first = Phase(table(values[: turns.start]), until=turns.start)
    return phases(first, Phase(again, origin=turns.start))


def overridden(curve: AnyDefinition, links: list[Link]) -> AnyDefinition:
    """Return a rate that is set in each step, and then multiplied by each link's own ratio."""
    first = Product(of=(curve, *(Constant(value=value_at(link.factor, 0)) for link in links)))
    rest = Product(of=(curve, *(link.ratio() for link in links)))
    return phases(Phase(first, until=1), Phase(rest))


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
    known = [Phase(table(values[:-1]), until=rest)] if rest else []
    if rest < wave.steps:
        start = wave.end + (values[-1] - wave.end) / _left(wave, rest)
        bent = Cosine(start=start, end=wave.end, steps=wave.steps)
        known.append(Phase(bent, until=wave.steps))
    return phases(*known, Phase(wave))


def _repeated(wave: Cosine, others: list[Link], place: int, rest: int) -> AnyDefinition:
    """Return the table up to the cosine's first end after the others' own, and then one period."""
    start, period = repetition(wave, others, rest)
    values = _walk(wave, others, place, start + period)
    again = Repeat(of=table(values[start:-1]), every=float(period))
    return phases(Phase(table(values[:start]), until=start), Phase(again, origin=start))


def walked(links: list[Link], base: float, total: int) -> AnyDefinition:
    """Return the rate at each step of a training in which the links take turns."""
    if any(link.sets and link.vanishes(total) for link in links):
        raise NoFormulaError("a scheduler inside of a sequence goes down to 0")
    ratios = [link.ratios(total) for link in links]
    rate, rates = base, []
    for t in range(total + 1):
        for link, ratio in zip(links, ratios, strict=True):
            if t and (wave := link.pull) is not None:
                rate = _wave_turn(wave, rate, t)
            elif link.sets_at(t):
                rate = link.turn(t, rate)
            else:
                rate *= float(ratio[t])
        rates.append(rate)
    return table(rates)


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
