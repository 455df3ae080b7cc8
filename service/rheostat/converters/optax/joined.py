"""optax's schedules of several curves."""

from __future__ import annotations

from typing import Any

from rheostat.converters.building import polynomial, since, warmed
from rheostat.converters.case import Case, Nested, Steps
from rheostat.converters.optax.curves import cosine_decay, exponential_decay
from rheostat.converters.optax.registry import library
from rheostat.schedules.kinds.curves import Constant
from rheostat.schedules.kinds.sequence import Part, Sequence
from rheostat.schedules.union import AnyDefinition


@library.scheduler("warmup_constant_schedule", hyperparameters=None)
def warmup_constant(
    case: Case, *, init_value: float, peak_value: float, warmup_steps: Steps
) -> AnyDefinition:
    """
    `linear`.

    With warmup_steps 0 init_value holds for ever.
    """
    return (
        polynomial(init_value, peak_value, warmup_steps)
        if warmup_steps > 0
        else (Constant(value=init_value))
    )


@library.scheduler("warmup_cosine_decay_schedule", hyperparameters=None)
def warmup_cosine(
    case: Case,
    *,
    init_value: float,
    peak_value: float,
    warmup_steps: Steps,
    decay_steps: Steps,
    end_value: float = 0.0,
    exponent: float = 1.0,
) -> AnyDefinition:
    """
    `warmup` and `cosine`.

    decay_steps is the whole length, warm-up included.
    """
    length = decay_steps - warmup_steps
    if length <= 0:
        raise case.wrong(
            "decay_steps", "must lie above warmup_steps", decay_steps, f"> {warmup_steps}"
        )
    then = cosine_decay(
        case,
        init_value=peak_value,
        decay_steps=length,
        alpha=end_value / peak_value if peak_value else 0.0,
        exponent=exponent,
    )
    return warmed(warmup_steps, init_value, peak_value, then)


@library.scheduler("warmup_exponential_decay_schedule", hyperparameters=None)
def warmup_exponential(
    case: Case,
    *,
    init_value: float,
    peak_value: float,
    warmup_steps: Steps,
    transition_steps: Steps,
    decay_rate: float,
    transition_begin: Steps = 0,
    staircase: bool = False,
    end_value: float | None = None,
) -> AnyDefinition:
    """
    `warmup` and `exponential`.

    transition_begin counts from the end of the warm-up.
    """
    then = exponential_decay(
        case,
        init_value=peak_value,
        transition_steps=transition_steps,
        decay_rate=decay_rate,
        transition_begin=transition_begin,
        staircase=staircase,
        end_value=end_value,
    )
    return warmed(warmup_steps, init_value, peak_value, then)


@library.scheduler("join_schedules", hyperparameters=None)
def join(case: Case, *, schedules: list[Nested], boundaries: list[Steps]) -> AnyDefinition:
    """
    `sequence`.

    Each part counts from its own boundary. A schedule without a boundary is left out, as in optax.
    """
    parts = [case.nested(spec, f"schedules[{i}]") for i, spec in enumerate(schedules)]
    return _joined(case, parts, boundaries)


@library.scheduler("sgdr_schedule", hyperparameters=None)
def sgdr(case: Case, *, cosine_kwargs: list[dict[str, Any]]) -> AnyDefinition:
    """`sequence` of warm-ups and cosines, each decay_steps long."""
    parts, boundaries, end = [], [], 0
    for i, kwargs in enumerate(cosine_kwargs):
        spec = Nested(name="warmup_cosine_decay_schedule", params=kwargs)
        parts.append(case.nested(spec, f"cosine_kwargs[{i}]", inside=""))
        end += int(kwargs["decay_steps"])
        boundaries.append(end)
    return _joined(case, parts, boundaries[:-1])


def _joined(case: Case, parts: list[AnyDefinition], boundaries: list[int]) -> AnyDefinition:
    """Return parts one after the other; of overlapping ones the last holds."""
    if not parts:
        raise case.wrong("schedules", "must have at least one schedule", parts, "≥ 1 schedules")
    kept: list[tuple[int, AnyDefinition]] = [(0, parts[0])]
    for boundary, part in zip(boundaries, parts[1:], strict=False):
        kept = [(begin, known) for begin, known in kept if begin < boundary]
        kept.append((max(boundary, 0), since(max(-boundary, 0), part)))
    ends = [*(begin for begin, _ in kept[1:]), None]
    if len(kept) == 1:
        return kept[0][1]
    return Sequence(
        parts=tuple(
            Part(schedule=part, until=end) for (_, part), end in zip(kept, ends, strict=True)
        )
    )
