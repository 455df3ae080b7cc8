"""``POST /v1/evaluate``: the values of a definition, without keeping anything."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import ConfigDict, FailFast, Field, TypeAdapter, ValidationError, WithJsonSchema
from starlette.requests import Request
from starlette.responses import Response

from rheostat.errors import (
    FieldError,
    Invalid,
    Malformed,
    NotAcceptable,
    TooLarge,
    UnsupportedMediaType,
)
from rheostat.schedules import Definition, evaluate, parse
from rheostat.schedules.fields import MAX_STEP
from rheostat.schedules.validation import field_errors
from rheostat.server.api import body, examples
from rheostat.server.api.deps import SettingsDep, Wire, router
from rheostat.server.api.formats import Format, check_size, offers
from rheostat.server.api.look import Look
from rheostat.server.api.problems import refuses
from rheostat.server.api.render import QUICK, Curves, answer

FORMATS = (Format.JSON, Format.F64, Format.NPY, Format.CSV, Format.PNG, Format.SVG)

Place = Annotated[int, Field(ge=0, le=MAX_STEP)]
DefinitionData = Annotated[Any, examples.refers("Definition")]

PLACES = TypeAdapter(Annotated[list[Place], FailFast()], config=ConfigDict(strict=True))
PLACES_SCHEMA = {**PLACES.json_schema(), "minItems": 1}
FORMS = "one of stop (with start and stride), steps and step"

evaluation = router("definitions")


class Evaluation(Wire):
    """A definition, and which of its values to compute: a range, a list of steps, or one step."""

    definition: DefinitionData
    """The definition: see `/v1/kinds`."""

    start: Place | None = None
    """First step of a range; 0 by default."""

    stop: Annotated[int, Field(ge=1, le=MAX_STEP + 1)] | None = None
    """End of the range, itself not part of it."""

    stride: Annotated[int, Field(ge=1, le=MAX_STEP)] | None = None
    """Distance between steps of the range; 1 by default."""

    steps: Annotated[list[Any], Field(min_length=1), WithJsonSchema(PLACES_SCHEMA)] | None = None
    """Steps in any order."""

    step: Place | None = None
    """One step; the answer is ``{"value": x}``."""

    total: Annotated[int, Field(ge=1, le=MAX_STEP)] | None = None
    """Length of the run in steps, for lengths such as ``"10%"`` and ``"rest"``."""

    steps_per_epoch: Annotated[int, Field(ge=1, le=MAX_STEP)] | None = None
    """Steps of an epoch, for lengths such as ``"3 epochs"``."""

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
        return [self.step] if self.steps is None else self.steps


def steps_of(places: range | list[Any]) -> NDArray[np.int64]:
    """Return steps as an array; raise `Invalid` for what is not a step."""
    if isinstance(places, range):
        return np.arange(places.start, places.stop, places.step, dtype=np.int64)
    try:
        return np.array(PLACES.validate_python(places), dtype=np.int64)
    except ValidationError as error:
        wrong = field_errors(error, places, "steps")
        raise Invalid("The steps are refused.", errors=wrong) from None


def range_of(start: int | None, stop: int | None, stride: int | None) -> range:
    """Return the range that the fields of a request mean; raise `Invalid` if it is empty."""
    places = range(start or 0, stop or 0, stride or 1)
    if not places:
        bound = f"> {places.start}"
        wrong = [FieldError("stop", f"stop must be greater than {places.start}", stop, bound)]
        raise Invalid("The range of steps is empty.", errors=wrong)
    return places


@evaluation.post(
    "/v1/evaluate",
    summary="Compute values of a definition",
    response_class=Response,
    responses={
        200: examples.curves({"values": [0.001, 0.0007575, 0.000505]}),
        **refuses(Malformed, NotAcceptable, TooLarge, UnsupportedMediaType, Invalid),
    },
    openapi_extra=examples.body(
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
async def evaluate_definition(
    asked: Evaluation,
    chosen: Annotated[Format, offers(*FORMATS)],
    settings: SettingsDep,
    request: Request,
) -> Response:
    """
    Return the values of a definition at the steps that are asked for.

    Nothing is stored. A step past the end of a finite curve has the curve's last value.
    """
    places = asked.places()
    check_size(chosen, len(places), settings, "steps" if asked.steps else "stop")

    def compute() -> Curves:
        definition = standalone(
            parse(asked.definition, total=asked.total, steps_per_epoch=asked.steps_per_epoch)
        )
        steps = steps_of(places)
        values = evaluate(definition, steps)
        document = {"values": values} if asked.step is None else {"value": float(values[0])}
        return Curves(steps, {"value": values}, document, Look(definition.kind))

    quick = len(places) <= QUICK and len(await request.body()) <= body.LARGE
    return await answer(request, chosen, compute, quick=quick)


def standalone(definition: Definition, field: str = "definition") -> Definition:
    """Return the definition; raise `Invalid` if it follows parameters, which only a run has."""
    if followed := definition.follows():
        names = ", ".join(sorted(followed))
        bound = "no `follow` outside a run"
        wrong = [FieldError(field, f"{field} follows {names}: only a run has them", names, bound)]
        raise Invalid("The definition follows parameters of a run.", errors=wrong)
    return definition
