"""The union of all kinds, written out."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import Field, TypeAdapter

from rheostat.schedules.definition import Definition
from rheostat.schedules.kinds.curves import Constant, Cosine, Linear, Polynomial, Ramp, Sigmoid
from rheostat.schedules.kinds.cycles import CosineRestarts, Cyclic, OneCycle
from rheostat.schedules.kinds.decays import Exponential, InverseSqrt, InverseTime
from rheostat.schedules.kinds.points import Multistep, Piecewise, Table
from rheostat.schedules.kinds.pointwise import (
    Clip,
    Follow,
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

FAMILIES: Final[dict[str, tuple[type[Definition], ...]]] = {
    "Base curves": (Constant, Linear, Cosine, Polynomial, Ramp, Sigmoid),
    "Decays": (Exponential, InverseSqrt, InverseTime),
    "Points": (Multistep, Piecewise, Table),
    "Combinators in time": (Sequence, Repeat, Stretch, Warp, Staircase),
    "Combinators of values": (Product, Sum, Scale, Power, Clip, Quantize, Noise),
    "Other parameters": (Follow,),
    "Presets": (Step, Warmup, Wsd, OneCycle, Cyclic, CosineRestarts),
}
"""Every kind once, as the manual orders them."""

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

KINDS: Final[dict[str, type[Definition]]] = {
    cls.model_fields["kind"].default: cls for family in FAMILIES.values() for cls in family
}
"""Every kind by its name."""

ADAPTER: Final[TypeAdapter[Definition]] = TypeAdapter(AnyDefinition)
"""What validates the JSON of any definition."""
