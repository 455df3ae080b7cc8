"""The table of fairseq's schedulers, and what they share: a learning rate given as a list."""

from typing import Annotated

from pydantic import Field

from rheostat.converters.case import Case, Steps
from rheostat.converters.library import Library

library = Library("fairseq")
library.metric_driven("ReduceLROnPlateauLRSchedule", "reduce_lr_on_plateau")

Rates = float | Annotated[list[float], Field(min_length=1)]
Count = Annotated[Steps, Field(ge=0)]


def only(case: Case, lr: Rates | None) -> float:
    """Return the learning rate; several are for the scheduler `fixed`."""
    if lr is None:
        return case.base
    if not isinstance(lr, list):
        return lr
    if len(lr) > 1:
        raise case.wrong("lr", f"has several values, which {case.name} takes none of", lr, "one")
    return lr[0]
