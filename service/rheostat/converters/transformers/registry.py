"""The table of the schedulers of transformers."""

from typing import Annotated

from pydantic import Field

from rheostat.converters.case import Steps
from rheostat.converters.library import Library

library = Library("transformers")
library.metric_driven(
    "get_reduce_on_plateau_schedule",
    "reduce_lr_on_plateau",
    "get_greedy_schedule",
    "greedy",
    "GreedyLR",
)

Count = Annotated[Steps, Field(ge=0)]
"""A number of steps, or none."""
