"""
Parameters that converters accept and that change no value, and why.

They are declared here alone: the manual lists them, and a test fails for any other parameter
without an effect, and for one of these that has one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from rheostat.converters.case import Steps


@dataclass(frozen=True)
class Ignored:
    """Marks a parameter that changes no value of any step, and says why."""

    reason: str


LastEpoch = Annotated[
    int, Ignored("says where a training resumes; a definition counts from its beginning")
]
Verbose = Annotated[bool | int, Ignored("prints the values")]
Label = Annotated[str, Ignored("is a name")]

ParamName = Annotated[
    str | None, Ignored("names the field that is set; its values are the same under any name")
]
GroupIndex = Annotated[int | None, Ignored("says which group is set, not to what")]
Names = Annotated[list[str] | None, Ignored("names the schedulers")]
History = Annotated[bool, Ignored("keeps the values that were set")]
CreateNew = Annotated[bool, Ignored("makes the field in the engine's state")]

LrField = Annotated[str, Ignored("names the field that is set")]
Units = Annotated[
    Literal["steps", "tokens"], Ignored("says what lengths count; the definition counts the same")
]
Whole = Annotated[
    Steps | None, Ignored("is the length of the training, which this schedule does not depend on")
]

InEpochs = Annotated[
    bool, Ignored("says whether lengths count epochs or updates; the definition counts the same")
]
Initialize = Annotated[bool, Ignored("notes the base value in the optimizer's groups")]

ScaleMode = Annotated[
    Literal["cycle", "iterations"], Ignored("says what scale_fn is given, which must be null")
]
AtResume = Annotated[
    bool, Ignored("says whose values win when a training resumes; a definition is of one alone")
]
UnusedLength = Annotated[
    Annotated[Steps, Field(ge=0)], Ignored("is not used by pytorch_optimizer either: it grows on")
]
LayerFactor = Annotated[float, Ignored("is for discriminative_fine_tuning, which must be false")]
FirstCycle = Annotated[bool, Ignored("would matter after max_steps, where min_lr holds")]
HeldEnd = Annotated[float, Ignored("is not used by fastai either: start holds")]
StopsEarly = Annotated[bool, Ignored("ends the training when its loss grows")]
EpochCount = Annotated[Steps | None, Ignored("is counted in steps by total")]
CycleEpochs = Annotated[
    Annotated[Steps, Field(ge=1)], Ignored("is counted in steps by total, which all cycles share")
]
UpdateCount = Annotated[
    Annotated[float, Field(gt=0)], Ignored("is not used by fvcore either: total is the whole")
]
