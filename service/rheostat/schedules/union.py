"""The union of all kinds, written out."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import Field, TypeAdapter

from rheostat.schedules.definition import Definition
from rheostat.schedules.kinds.curves import Constant, Cosine, Linear, Polynomial, Ramp
from rheostat.schedules.kinds.cyclic import Cyclic
from rheostat.schedules.kinds.decays import Exponential
from rheostat.schedules.kinds.points import Multistep, Piecewise
from rheostat.schedules.kinds.pointwise import Clip, Product, Scale
from rheostat.schedules.kinds.presets import OneCycle, Step, Warmup, Wsd
from rheostat.schedules.kinds.sequence import Part, Sequence

AnyDefinition = Annotated[
    Constant
    | Linear
    | Cosine
    | Polynomial
    | Ramp
    | Exponential
    | Multistep
    | Piecewise
    | Cyclic
    | Sequence
    | Product
    | Scale
    | Clip
    | Step
    | Warmup
    | Wsd
    | OneCycle,
    Field(discriminator="kind"),
]

_CLASSES: Final[tuple[type[Definition], ...]] = (
    Constant,
    Linear,
    Cosine,
    Polynomial,
    Ramp,
    Exponential,
    Multistep,
    Piecewise,
    Cyclic,
    Sequence,
    Product,
    Scale,
    Clip,
    Step,
    Warmup,
    Wsd,
    OneCycle,
)

for _model in (Part, *_CLASSES):
    _model.model_rebuild(_types_namespace={"AnyDefinition": AnyDefinition, "Part": Part})

KINDS: Final[dict[str, type[Definition]]] = {
    cls.model_fields["kind"].default: cls for cls in _CLASSES
}
"""Every kind by its name."""

ADAPTER: Final[TypeAdapter[Definition]] = TypeAdapter(AnyDefinition)
