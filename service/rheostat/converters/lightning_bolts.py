"""Lightning Bolts: pl_bolts.optimizers.lr_scheduler."""

from __future__ import annotations

from rheostat.converters.core import Case, Library
from rheostat.converters.kit import Phase, phases, polynomial, warmed
from rheostat.converters.parameters import Count, LastEpoch, Steps
from rheostat.schedules.kinds.curves import Constant, Cosine
from rheostat.schedules.union import AnyDefinition

library = Library("lightning_bolts")


@library.scheduler("LinearWarmupCosineAnnealingLR")
def warmup_cosine(
    case: Case,
    *,
    warmup_epochs: Count,
    max_epochs: Steps,
    warmup_start_lr: float = 0.0,
    eta_min: float = 0.0,
    last_epoch: LastEpoch = -1,
) -> AnyDefinition:
    """
    `sequence` of a line and a `cosine`, periodic: past max_epochs the wave goes on.

    The line reaches the base value one step before the warm-up ends, and holds it for two. Without
    a warm-up the first wave starts at warmup_start_lr.
    """
    length = max_epochs - warmup_epochs
    if length < 1:
        raise case.wrong(
            "max_epochs", "must lie above warmup_epochs", max_epochs, f"> {warmup_epochs}"
        )
    wave = Cosine(start=case.base, end=eta_min, steps=length, periodic=True)
    if warmup_epochs == 0:
        first = Cosine(start=warmup_start_lr, end=eta_min, steps=length)
        return phases(Phase(first, until=length), Phase(wave))
    line: AnyDefinition = Constant(value=warmup_start_lr)
    if warmup_epochs > 1:
        line = polynomial(warmup_start_lr, case.base, warmup_epochs - 1)
    return phases(Phase(line, until=warmup_epochs), Phase(wave, origin=warmup_epochs))


@library.scheduler("linear_warmup_decay")
def warmup_decay(
    case: Case,
    *,
    warmup_steps: Count,
    total_steps: Steps,
    cosine: bool = True,
    linear: bool = False,
) -> AnyDefinition:
    """
    `warmup` to a `cosine`, periodic, a `linear` or a `constant`.

    Past the end the line falls on, below zero; the definition holds.
    """
    if cosine and linear:
        raise case.wrong("linear", "cannot be true beside cosine", linear, "false")
    length = max(1, total_steps - warmup_steps)
    then: AnyDefinition = Constant(value=case.base)
    if cosine:
        then = Cosine(start=case.base, end=0.0, steps=length, periodic=True)
    elif linear:
        then = polynomial(case.base, 0.0, length)
    return warmed(warmup_steps, then, peak=case.base)
