"""DINO, DINOv2 and DINOv3: their schedules of learning rate, weight decay, momentum and more."""

from __future__ import annotations

from rheostat.converters.core import Case, Library
from rheostat.converters.kit import Phase, phases, value_at, warmed
from rheostat.converters.parameters import Count, Length, NotNegative, Shared
from rheostat.schedules.kinds.curves import Constant, Cosine, Linear
from rheostat.schedules.union import AnyDefinition

library = Library("dino")


class Course(Shared):
    """Where the warm-up and the cosine after it begin and end."""

    base_value: float
    final_value: float
    start_warmup_value: float = 0.0

    def rise(self, steps: int) -> AnyDefinition:
        """Return the warm-up, whose last step is at its end; of one step it is the start."""
        start = self.start_warmup_value
        if steps < 2:
            return Constant(value=start)
        return Linear(start=start, end=self.base_value, steps=steps - 1)

    def wave(self, steps: int) -> AnyDefinition:
        """Return the cosine."""
        return Cosine(start=self.base_value, end=self.final_value, steps=steps)


@library.scheduler("dino.cosine_scheduler", "cosine_scheduler", hyperparameters=None)
def cosine(
    case: Case,
    course: Course,
    *,
    epochs: Length,
    niter_per_ep: Length,
    warmup_epochs: Count = 0,
) -> AnyDefinition:
    """
    `sequence` of a line and a `cosine`.

    The line reaches its end at the last step of the warm-up, so that the peak is there twice. The
    array ends one step before final_value; the definition goes on to it.
    """
    warmup, total = warmup_epochs * niter_per_ep, epochs * niter_per_ep
    if warmup > total:
        bound = f"≤ {epochs}"
        raise case.wrong("warmup_epochs", "must not be above epochs", warmup_epochs, bound)
    rise = course.rise(warmup)
    if warmup == total:
        return rise
    return phases(Phase(rise, until=warmup), Phase(course.wave(total - warmup), origin=warmup))


@library.scheduler(
    "dinov3.CosineScheduler", "dinov2.CosineScheduler", "CosineScheduler", hyperparameters=None
)
def scheduler(
    case: Case,
    course: Course,
    *,
    total_iters: Length,
    warmup_iters: Count = 0,
    freeze_iters: Count = 0,
    trunc_extra: NotNegative = 0.0,
) -> AnyDefinition:
    """
    `sequence` of zeros while frozen, a line and a `cosine`.

    trunc_extra makes the cosine longer by this share, cuts it off, and rescales it to end at
    final_value; only DINOv3 has it.
    """
    begin = freeze_iters + warmup_iters
    steps = total_iters - begin
    if steps < 0:
        message = "must not be below the frozen iterations and the warm-up"
        raise case.wrong("total_iters", message, total_iters, f"≥ {begin}")
    wave = course.wave(steps) if steps > 0 else Constant(value=course.final_value)
    if trunc_extra > 0:
        wave = _truncated(case, course, steps, trunc_extra)
    return phases(
        Phase(Constant(value=0.0), until=freeze_iters),
        Phase(course.rise(warmup_iters), until=begin, origin=freeze_iters),
        Phase(wave, origin=begin),
    )


@library.scheduler(
    "dinov3.linear_warmup_cosine_decay", "linear_warmup_cosine_decay", hyperparameters=None
)
def linear_warmup(
    case: Case,
    *,
    start: float,
    peak: float,
    end: float,
    warmup_iterations: Count,
    total_iterations: Length,
    cosine_iterations: Count | None = None,
) -> AnyDefinition:
    """
    `warmup` to a `cosine`.

    The cosine reaches its end at its last iteration, and so takes one less than it says.
    """
    left = total_iterations - warmup_iterations
    waves = left if cosine_iterations is None else cosine_iterations
    if waves > left:
        bound = f"≤ {left}"
        raise case.wrong("cosine_iterations", "must end with the training", waves, bound)
    if waves > 1:
        return warmed(warmup_iterations, Cosine(start=peak, end=end, steps=waves - 1), start)
    rise = Linear(start=start, end=peak, steps=max(1, warmup_iterations))
    return phases(
        Phase(rise, until=warmup_iterations),
        Phase(Constant(value=peak), until=warmup_iterations + waves),
        Phase(Constant(value=end)),
    )


def _truncated(case: Case, course: Course, steps: int, extra: float) -> AnyDefinition:
    """Return the beginning of a longer cosine, rescaled to end at the last of the steps."""
    start, end = course.base_value, course.final_value
    length = int((1 + extra) * steps) - 1
    if steps < 2:
        raise case.wrong("total_iters", "leaves a cosine of one step, a division by zero", steps)
    last = value_at(Cosine(start=1.0, end=0.0, steps=length), steps - 1)
    bottom = end - (start - end) * last / (1 - last)
    wave = Cosine(start=start, end=bottom, steps=length)
    return phases(Phase(wave, until=steps), Phase(Constant(value=end)))
