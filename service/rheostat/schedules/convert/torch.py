"""PyTorch: torch.optim.lr_scheduler."""

from __future__ import annotations

from rheostat.schedules.convert.case import Case, Steps
from rheostat.schedules.convert.library import Library
from rheostat.schedules.definition import Definition
from rheostat.schedules.kinds.curves import Cosine

library = Library("torch")


@library.scheduler("CosineAnnealingLR")
def cosine(case: Case, *, T_max: Steps, eta_min: float = 0.0, last_epoch: int = -1) -> Definition:
    """A periodic `cosine`: past T_max the wave goes on."""
    return Cosine(start=case.base, end=eta_min, steps=T_max, periodic=True)
