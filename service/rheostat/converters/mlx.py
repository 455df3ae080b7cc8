"""Apple's MLX: mlx.optimizers.schedulers. In float64; the library's own values are float32."""

from __future__ import annotations

from rheostat.converters import kit
from rheostat.converters.core import Case, Library, Nested
from rheostat.converters.parameters import Length, Positive, Steps
from rheostat.schedules.union import AnyDefinition

library = Library("mlx")


@library.scheduler("exponential_decay", hyperparameters=None)
def exponential(case: Case, *, init: float, decay_rate: Positive) -> AnyDefinition:
    """`exponential`."""
    return kit.exponential(init, decay_rate)


@library.scheduler("step_decay", hyperparameters=None)
def step(case: Case, *, init: float, decay_rate: Positive, step_size: Length) -> AnyDefinition:
    """`step`."""
    return kit.exponential(init, decay_rate, step_size, staircase=True)


@library.scheduler("cosine_decay", hyperparameters=None)
def cosine(case: Case, *, init: float, decay_steps: Length, end: float = 0.0) -> AnyDefinition:
    """`cosine`."""
    return kit.cosine(init, end, decay_steps)


@library.scheduler("linear_schedule", hyperparameters=None)
def linear(case: Case, *, init: float, end: float, steps: Length) -> AnyDefinition:
    """`linear`."""
    return kit.polynomial(init, end, steps)


@library.scheduler("join_schedules", hyperparameters=None)
def join(case: Case, *, schedules: list[Nested], boundaries: list[Steps]) -> AnyDefinition:
    """
    `sequence`.

    Each part counts from its own boundary.
    """
    if len(boundaries) != len(schedules) - 1:
        bound = f"{len(schedules) - 1} boundaries"
        raise case.wrong("boundaries", f"must be {bound}", boundaries, bound)
    parts = [case.nested(spec, f"schedules[{i}]") for i, spec in enumerate(schedules)]
    return kit.joined(case, parts, boundaries)
