"""The links of a chain: what each scheduler makes of the learning rate from step to step."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

import numpy as np

from rheostat.schedules.convert.building import levels, table, value_at
from rheostat.schedules.convert.case import Nested
from rheostat.schedules.definition import Floats
from rheostat.schedules.kinds.curves import Constant, Cosine
from rheostat.schedules.kinds.decays import Exponential
from rheostat.schedules.kinds.points import Multistep
from rheostat.schedules.kinds.presets import Step
from rheostat.schedules.kinds.repeat import Repeat
from rheostat.schedules.union import AnyDefinition

MOST_WAVES = 10
"""How many waves of a cosine at most forget what the others did, unless all is periodic."""


@dataclass(frozen=True)
class Link:
    """A scheduler of the chain: its curve from the base value, and the steps where it sets it."""

    curve: AnyDefinition
    factor: AnyDefinition
    """The curve from a base value of 1."""
    sets: tuple[int, ...] = ()

    @property
    def wave(self) -> int:
        """The length of a cosine that sets the rate after each of its ends; 0 for all else."""
        return self.curve.steps if isinstance(self.curve, Cosine) and self.sets else 0

    @property
    def rest(self) -> int:
        """The step from which it repeats itself."""
        return self.factor.length or 0

    @property
    def period(self) -> int:
        """After how many steps it repeats itself: 1 if it rests, or shrinks by the same ratio."""
        if isinstance(self.factor, Cosine):
            return 2 * self.factor.steps
        return int(self.factor.every) if isinstance(self.factor, Step) else 1

    @property
    def repeats(self) -> bool:
        """Whether it comes to rest, or at least repeats itself."""
        return self.factor.length is not None or isinstance(self.factor, (Exponential, Step))

    def settled(self, step: int) -> bool:
        """Return whether the rate is left alone after a step."""
        return self.factor.length is not None and self.factor.length <= step

    def neutral(self, step: int) -> bool:
        """Return whether by a step it rests at the base value itself, and never set the rate."""
        return not self.sets and self.settled(step) and value_at(self.factor, step) == 1

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


def turning_points(spec: Nested) -> list[int]:
    """Return the steps at which a sequence sets the rate: its milestones, and its cosines' ends."""
    starts = [0, *(max(0, step) for step in spec.params["milestones"])]
    points = [step for step in starts if step > 0]
    for start, end, inner in zip(
        starts, [*starts[1:], inf], spec.params["schedulers"], strict=True
    ):
        if inner["name"] == "CosineAnnealingLR":
            steps = int(inner["params"]["T_max"])
            ends = range(start + steps + 1, start + 2 * MOST_WAVES * steps, 2 * steps)
            points += [step for step in ends if step < end]
    return points
