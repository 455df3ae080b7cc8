"""OLMo: olmo.optim, the schedulers of its configuration."""

from __future__ import annotations

from rheostat.converters.core import Case, Library
from rheostat.converters.kit import Phase, cosine, phases, polynomial, raised, times, warmed
from rheostat.converters.parameters import NotNegative, Positive, Shared
from rheostat.schedules.kinds.curves import Constant
from rheostat.schedules.kinds.decays import InverseSqrt
from rheostat.schedules.kinds.pointwise import Maximum
from rheostat.schedules.union import AnyDefinition

library = Library("olmo")


class Warm(Shared):
    """A warm-up, in whatever the schedule counts; it begins at a tenth of the base value."""

    t_warmup: NotNegative = 100.0
    warmup_min_lr: NotNegative | None = None

    def start(self, case: Case) -> float:
        """Return where the warm-up begins."""
        start = case.base * 0.1 if self.warmup_min_lr is None else self.warmup_min_lr
        if start >= case.base and self.t_warmup > 0:
            bound = f"< {case.base}"
            raise case.wrong("warmup_min_lr", "must be below the base value", start, bound)
        return start

    def before(self, case: Case, curve: AnyDefinition) -> AnyDefinition:
        """Return the warm-up to the base value, and a curve that starts there."""
        return warmed(self.t_warmup, curve, self.start(case))


class Falling(Warm):
    """A warm-up, and the end of what follows: t_max counts both."""

    alpha_f: NotNegative = 0.1
    t_max: Positive | None = None

    def length(self, case: Case) -> float:
        """Return what the warm-up leaves, which may be nothing."""
        whole = case.total if self.t_max is None else self.t_max
        return whole - self.t_warmup

    def end(self, case: Case) -> float:
        """Return the last value."""
        return case.base * self.alpha_f

    def dropped(self, case: Case) -> AnyDefinition:
        """Return the warm-up where it leaves nothing, and the last value."""
        rise = polynomial(self.start(case), case.base, self.t_warmup)
        return phases(Phase(rise, until=self.t_warmup), Phase(Constant(value=self.end(case))))


@library.scheduler("CosWithWarmup", "cosine_with_warmup")
def cosine_with_warmup(case: Case, falling: Falling) -> AnyDefinition:
    """`warmup` to a `cosine`."""
    length = falling.length(case)
    if length <= 0:
        return falling.dropped(case)
    return falling.before(case, cosine(case.base, falling.end(case), length))


@library.scheduler("LinearWithWarmup", "linear_with_warmup")
def linear_with_warmup(case: Case, falling: Falling) -> AnyDefinition:
    """`warmup` to a `linear` decay."""
    length = falling.length(case)
    if length <= 0:
        return falling.dropped(case)
    return falling.before(case, polynomial(case.base, falling.end(case), length))


@library.scheduler("CosLinearEnvelope", "cosine_linear_envelope")
def envelope(case: Case, falling: Falling) -> AnyDefinition:
    """`warmup` to a `product` of a cosine and a line, above its last value."""
    length, end = falling.length(case), falling.end(case)
    if length <= 0:
        return falling.dropped(case)
    wave = cosine(case.base - end, 0.0, length)
    return falling.before(case, raised(end, times(polynomial(1.0, 0.0, length), wave)))


@library.scheduler("InvSqrtWithWarmup", "inverse_sqrt_with_warmup")
def inverse_sqrt(case: Case, warm: Warm) -> AnyDefinition:
    """
    `warmup` to an `inverse_sqrt`, whose timescale is the warm-up.

    Without one it is 0 from step 1 on, and at step 0 OLMo divides by zero.
    """
    if warm.t_warmup == 0:
        return Constant(value=0.0)
    return warm.before(case, InverseSqrt(start=case.base, timescale=warm.t_warmup))


@library.scheduler("MaxScheduler", "max_scheduler")
def greater(case: Case, falling: Falling) -> AnyDefinition:
    """`maximum` of a CosWithWarmup and an InvSqrtWithWarmup, which have one warm-up."""
    return Maximum(of=(cosine_with_warmup(case, falling), inverse_sqrt(case, falling)))


@library.scheduler("ConstantScheduler", "constant")
def constant(case: Case) -> AnyDefinition:
    """`constant`."""
    return Constant(value=case.base)


@library.scheduler("ConstantWithWarmupScheduler", "constant_with_warmup")
def constant_with_warmup(case: Case, warm: Warm) -> AnyDefinition:
    """`warmup` to a constant."""
    return warm.before(case, Constant(value=case.base))
