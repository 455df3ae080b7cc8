"""
Lightning: EarlyStopping of its callbacks, and plateaus as its modules and command line have them.

Its other schedulers are those of PyTorch: convert them as torch's.
"""

from __future__ import annotations

from typing import Annotated, Literal

from rheostat.converters.core import Case, Conversion, Library, Nested
from rheostat.converters.parameters import Ignored, Length
from rheostat.converters.reactions import Missing, PlateauParameters, StoppingParameters, metric_of

library = Library("lightning")


@library.controller("EarlyStopping")
def early_stopping(case: Case, stopping: StoppingParameters, *, monitor: str) -> Conversion:
    """`stop`, reading `lightning`."""
    return stopping.controller(case, metric_of(case, stopping.mode, monitor))


@library.controller("ReduceLROnPlateau")
def reduce_on_plateau(case: Case, plateau: PlateauParameters, *, monitor: str) -> Conversion:
    """
    `plateau`, reading `torch`.

    It is the command line's, which has a monitor beside PyTorch's parameters.
    """
    return plateau.controller(case, metric_of(case, plateau.mode, monitor))


@library.controller("lr_scheduler_config", "lr_scheduler")
def configured(
    case: Case,
    *,
    scheduler: Nested,
    monitor: str,
    interval: Literal["epoch", "step"] = "epoch",
    frequency: Length = 1,
    strict: Missing = True,
    name: Annotated[str | None, Ignored("is a name in the logs")] = None,
    reduce_on_plateau: Annotated[bool | None, Ignored("is told by the scheduler")] = None,
) -> Conversion:
    """
    The `plateau` of a scheduler of PyTorch, as configure_optimizers returns it with its monitor.

    By the step, and with a frequency, Lightning gives a plateau the same value several times or
    leaves some out: both are refused.
    """
    if interval != "epoch":
        message = "gives the plateau the last value at every step"
        raise case.wrong("interval", message, interval, "epoch")
    if frequency != 1:
        raise case.wrong("frequency", "leaves reports out: report less often", frequency, "1")
    found = case.of(scheduler, "scheduler", library="torch", metric=monitor)
    if found.controller is None:
        message = "reacts to no metric: convert it as a scheduler of torch"
        raise case.wrong("scheduler", message, scheduler.name, "ReduceLROnPlateau")
    return found
