"""nanochat: the schedules of scripts.base_train."""

from __future__ import annotations

from rheostat.converters.core import Case, Library
from rheostat.converters.kit import Phase, phases, warmed_ahead
from rheostat.converters.parameters import Count, Length, Share, Shared
from rheostat.schedules.kinds.curves import Constant, Cosine, Linear
from rheostat.schedules.kinds.presets import Wsd
from rheostat.schedules.union import AnyDefinition

library = Library("nanochat")

_MOMENTUM = 0.97
"""Muon's momentum between its rise and its fall."""


class Warmdown(Shared):
    """The length of the training, and the share of it that falls."""

    num_iterations: Length
    warmdown_ratio: Share = 0.65

    @property
    def fall(self) -> int:
        """How many steps fall, the last of which would be the one after the training."""
        return round(self.warmdown_ratio * self.num_iterations)

    @property
    def begin(self) -> int:
        """The last step before the fall."""
        return self.num_iterations - self.fall


@library.scheduler("get_lr_multiplier")
def rate(
    case: Case, warmdown: Warmdown, *, warmup_steps: Count = 40, final_lr_frac: float = 0.05
) -> AnyDefinition:
    """
    `wsd`, whose warm-up is a step ahead.

    A warm-up that is longer than what is not falling goes on into the fall.
    """
    begin, fall, base = warmdown.begin, warmdown.fall, case.base
    if fall == 0:
        return warmed_ahead(warmup_steps, Constant(value=base))
    if warmup_steps <= begin:
        return Wsd(
            peak=base,
            warmup=warmup_steps,
            warmup_ahead=min(warmup_steps, 1),
            stable=begin - warmup_steps,
            decay=fall,
            decay_shape="linear",
            end=base * final_lr_frac,
        )
    return phases(
        Phase(warmed_ahead(warmup_steps, Constant(value=base)), until=warmup_steps),
        Phase(Linear(start=base, end=base * final_lr_frac, steps=fall), origin=begin),
    )


@library.scheduler("get_muon_momentum", hyperparameters=("momentum",))
def momentum(case: Case, warmdown: Warmdown) -> AnyDefinition:
    """`sequence` of a line from 0.85 to 0.97 in 400 steps, a constant, and a line to 0.9."""
    fall: AnyDefinition = Constant(value=_MOMENTUM)
    if warmdown.fall:
        fall = Linear(start=_MOMENTUM, end=0.9, steps=warmdown.fall)
    return phases(
        Phase(Linear(start=0.85, end=_MOMENTUM, steps=400), until=400),
        Phase(Constant(value=_MOMENTUM), until=warmdown.begin),
        Phase(fall, origin=warmdown.begin),
    )


@library.scheduler("get_weight_decay", hyperparameters=("weight_decay",))
def weight_decay(case: Case, *, num_iterations: Length) -> AnyDefinition:
    """`cosine` to 0."""
    return Cosine(start=case.base, end=0.0, steps=num_iterations)
