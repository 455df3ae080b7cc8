"""The union of all kinds, written out: what is not in it is no kind."""

from __future__ import annotations

from typing import Annotated, Final, get_args

from pydantic import Field, TypeAdapter

from rheostat.schedules.definition import Definition
from rheostat.schedules.kinds.curves import Constant, Cosine, Linear, Polynomial, Ramp, Sigmoid
from rheostat.schedules.kinds.cycles import CosineRestarts, Cyclic, OneCycle
from rheostat.schedules.kinds.decays import Exponential, InverseSqrt, InverseTime
from rheostat.schedules.kinds.points import Multistep, Piecewise, Table
from rheostat.schedules.kinds.pointwise import (
    Clip,
    Follow,
    Maximum,
    Minimum,
    Noise,
    Power,
    Product,
    Quantize,
    Scale,
    Sum,
)
from rheostat.schedules.kinds.presets import Step, Warmup, Wsd
from rheostat.schedules.kinds.repeat import Repeat
from rheostat.schedules.kinds.sequence import Sequence
from rheostat.schedules.kinds.timing import Staircase, Stretch, Warp

AnyDefinition = Annotated[
    Constant
    | Linear
    | Cosine
    | Polynomial
    | Ramp
    | Sigmoid
    | Exponential
    | InverseSqrt
    | InverseTime
    | Multistep
    | Piecewise
    | Table
    | Sequence
    | Repeat
    | Stretch
    | Warp
    | Staircase
    | Product
    | Sum
    | Minimum
    | Maximum
    | Scale
    | Power
    | Clip
    | Quantize
    | Noise
    | Follow
    | Step
    | Warmup
    | Wsd
    | OneCycle
    | Cyclic
    | CosineRestarts,
    Field(discriminator="kind"),
]
"""A definition of any kind; the manual has them in this order."""

KINDS: Final[dict[str, type[Definition]]] = {
    cls.model_fields["kind"].default: cls for cls in get_args(get_args(AnyDefinition)[0])
}
"""Every kind by its name, in the order of the union."""

ADAPTER: Final[TypeAdapter[Definition]] = TypeAdapter(AnyDefinition)
"""What validates the JSON of any definition."""
