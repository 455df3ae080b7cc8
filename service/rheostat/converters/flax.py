"""Flax: its EarlyStopping. Its schedules are those of optax: convert them as optax's."""

from __future__ import annotations

from rheostat.converters.core import Case, Conversion, Library
from rheostat.converters.parameters import Count, NotNegative
from rheostat.converters.reactions import metric_of, stop

library = Library("flax")


@library.controller("EarlyStopping")
def early_stopping(case: Case, *, min_delta: NotNegative = 0.0, patience: Count = 0) -> Conversion:
    """
    `stop`, reading `lightning` with one report more of patience, and check_finite false.

    A first report that is no number becomes the best one in Flax, and none is better; here the next
    one is. After one of -Infinity any is better there, and none here.
    """
    return stop(
        case,
        "lightning",
        metric_of(case, "min"),
        "min",
        patience=patience + 1,
        min_delta=min_delta,
        check_finite=False,
    )
