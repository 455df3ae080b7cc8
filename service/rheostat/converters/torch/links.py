"""The links of a chain: what each scheduler makes of the learning rate from step to step."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from rheostat.converters.building import levels, table, value_at
from rheostat.schedules.definition import Floats
from rheostat.schedules.kinds.curves import Constant
from rheostat.schedules.kinds.decays import Exponential
from rheostat.schedules.kinds.points import Multistep
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
        return rate * value_at(self.factor, step) / value_at(self.factor, step - 1)

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
