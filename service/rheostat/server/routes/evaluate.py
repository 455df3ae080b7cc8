"""``POST /v1/evaluate``: the values of a definition, without keeping anything."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import ConfigDict, Field, WithJsonSchema
from starlette.requests import Request
from starlette.responses import Response

from rheostat import wire
from rheostat.curve_files import Annotations, Curves
from rheostat.errors import (
    FieldError,
    Invalid,
    UnknownSchedule,
)
from rheostat.formats import Format
from rheostat.limits import MAX_STEP
from rheostat.schedules import evaluate
from rheostat.schedules.evaluation import PLACES
from rheostat.server.http.access import needs
from rheostat.server.http.answers import JsonAnswer, either
from rheostat.server.http.auditing import unaudited
from rheostat.server.http.curves import answer, reserve
from rheostat.server.http.definitions import (
    DefinitionBody,
    Length,
    Place,
    range_of,
    steps_of,
)
from rheostat.server.http.negotiation import check_size, offers
from rheostat.server.http.requests import SettingsDep, StoreDep, body_examples
from rheostat.server.http.route import refuses, router
from rheostat.server.runs.fragments import as_json
from rheostat.server.tokens import Role

FORMS = "one of stop (with start and stride), steps and step"

Places = Annotated[
    list[Any], Field(min_length=1), WithJsonSchema({**PLACES.json_schema(), "minItems": 1})
]
"""Read as a list of anything: what is in it is checked where it may take its time."""

NULL = {"type": "null"}
ONE_FORM: dict[str, Any] = {
    "anyOf": [
        {
            "required": ["stop"],
            "properties": {"stop": {"type": "integer"}, "steps": NULL, "step": NULL},
        },
        *(
            {
                "required": [form],
                "properties": {
                    form: {"type": kind},
                    **dict.fromkeys(("start", "stop", "stride", other), NULL),
                },
            }
            for form, kind, other in (("steps", "array", "step"), ("step", "integer", "steps"))
        ),
    ]
}

evaluation = router("definitions")

VALUES = JsonAnswer(wire.Evaluated, {"values": [0.001, 0.0007575, 0.000505]})
VALUE = JsonAnswer(wire.EvaluatedStep, {"value": 0.001})


class Evaluation(DefinitionBody):
    """A definition, and which of its values to compute: a range, a list of steps, or one step."""

    model_config = ConfigDict(json_schema_extra=ONE_FORM)

    start: Place | None = None
    """First step of a range; 0 by default."""

    stop: Annotated[int, Field(ge=1, le=MAX_STEP + 1)] | None = None
    """End of the range, itself not part of it."""

    stride: Length | None = None
    """Distance between steps of the range; 1 by default."""

    steps: Places | None = None
    """Steps in any order."""

    step: Place | None = None
    """One step; the answer is ``{"value": x}``."""

    def places(self) -> range | list[Any]:
        """Return the steps that are asked for; raise `Invalid` unless they are of one form."""
        ranged = not self.start is self.stop is self.stride is None
        forms = {"stop": ranged, "steps": self.steps is not None, "step": self.step is not None}
        given = [name for name, is_given in forms.items() if is_given]
        if len(given) != 1 or (ranged and self.stop is None):
            field = given[-1] if len(given) > 1 else "stop"
            wrong = [FieldError(field, f"give {FORMS}", getattr(self, field), FORMS)]
            raise Invalid("The steps are refused.", errors=wrong)
        if ranged:
            return range_of(self.start, self.stop, self.stride)
        if self.steps is not None:
            return self.steps
        return range(self.step or 0, (self.step or 0) + 1)


@evaluation.post(
    "/v1/evaluate",
    summary="Compute values of a definition",
    responses={
        200: either(VALUES, VALUE, description="The values.", formats=tuple(Format)),
    },
    openapi_extra=body_examples(
        range={
            "definition": {"kind": "cosine", "start": 1e-3, "end": 1e-5, "steps": 10000},
            "start": 0,
            "stop": 10000,
            "stride": 100,
        },
        steps={"definition": {"kind": "constant", "value": 0.1}, "steps": [0, 7, 500]},
        step={"definition": {"kind": "constant", "value": 0.1}, "step": 500},
    ),
)
@needs(Role.VIEWER)
@unaudited("it only computes")
@refuses(UnknownSchedule)
async def evaluate_definition(
    asked: Evaluation,
    chosen: Annotated[Format, offers(*Format)],
    store: StoreDep,
    settings: SettingsDep,
    request: Request,
) -> Response:
    """
    Return the values of a definition at the steps that are asked for.

    Nothing is stored. A step past the end of a finite curve has the curve's last value.
    """
    places = asked.places()
    check_size(chosen, len(places), settings, "stop" if asked.steps is None else "steps")
    definition = await asked.read(request, store)

    def compute() -> Curves:
        steps = places if isinstance(places, range) else steps_of(places)
        values = evaluate(definition, steps)
        document: wire.Evaluated | wire.EvaluatedStep = {"values": as_json(values)}
        if asked.step is not None:
            document = {"value": float(values[0])}
        return Curves(steps, {"value": values}, document, Annotations(definition.kind))

    holding = reserve(request, chosen, len(places))
    return await answer(request, chosen, compute, holding=holding)
