"""torchtitan: torchtitan.components.optimizer.lr_scheduler, LRSchedulersContainer.Config."""

from __future__ import annotations

from typing import Literal

from rheostat.converters.core import Case, Library
from rheostat.converters.kit import Phase, phases, warmed_ahead
from rheostat.converters.parameters import Count, Length, NotNegative
from rheostat.schedules.kinds.curves import Constant, Cosine
from rheostat.schedules.kinds.presets import Wsd
from rheostat.schedules.numeric import ShapeName
from rheostat.schedules.union import AnyDefinition

library = Library("torchtitan")


@library.scheduler("LRSchedulersContainer")
def container(
    case: Case,
    *,
    training_steps: Length | None = None,
    warmup_steps: Count = 200,
    total_steps: Length | None = None,
    decay_ratio: NotNegative | None = None,
    decay_type: Literal["linear", "sqrt", "cosine"] = "linear",
    min_lr_factor: float = 0.0,
) -> AnyDefinition:
    """
    `wsd`, whose warm-up is a step ahead.

    The decay ends at the step after the last one that is trained. There torchtitan's line and root
    go on below their end, where the definition holds; its cosine rises again, and so does the
    definition, which is then a `warmup` to a constant and a periodic `cosine`. A training that goes
    on after total_steps is refused where such steps are trained.
    """
    total = total_steps or training_steps or case.context.total
    if total is None:
        raise case.wrong("training_steps", "is required, or else total_steps", None, "≥ 1")
    warmup = min(warmup_steps, total)
    decay = total - warmup
    if decay_ratio is not None:
        decay = min(round(total * decay_ratio), decay)
    stable, end = total - decay - warmup, case.base * min_lr_factor
    if (training_steps or 0) > total + 1 and (decay == 0 or decay_type != "cosine"):
        message = "must not end before the training, in which torchtitan would go on below the end"
        raise case.wrong("total_steps", message, total_steps, f"≥ {(training_steps or 0) - 1}")
    if decay == 0:
        return warmed_ahead(warmup, Constant(value=case.base))
    if decay_type == "cosine":
        held = Phase(Constant(value=case.base), until=stable)
        wave = Cosine(start=case.base, end=end, steps=decay, periodic=True)
        return warmed_ahead(warmup, phases(held, Phase(wave, origin=stable)))
    shape: ShapeName = "linear" if decay_type == "linear" else "1-sqrt"
    return Wsd(
        peak=case.base,
        warmup=warmup,
        warmup_ahead=min(warmup, 1),
        stable=stable,
        decay=decay,
        decay_shape=shape,
        end=end,
    )
