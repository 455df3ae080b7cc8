"""Definitions in request bodies, and the steps at which they are asked for."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, ValidationError
from starlette.requests import Request

from rheostat.errors import FieldError, Invalid
from rheostat.limits import MAX_STEP
from rheostat.schedules import Definition, parse
from rheostat.schedules.evaluation import PLACES
from rheostat.schedules.field_errors import field_errors
from rheostat.schedules.references import Lookup, references
from rheostat.server.http.body import off_loop
from rheostat.server.http.requests import RequestBody, refers
from rheostat.server.store import Store
from rheostat.server.store.operations import schedules

Place = Annotated[int, Field(ge=0, le=MAX_STEP)]
Length = Annotated[int, Field(ge=1, le=MAX_STEP)]
Steps = NDArray[np.int64]

PIECE = 100_000
"""Steps of a list that are validated at a time."""


class DefinitionBody(RequestBody):
    """A definition, and the lengths that its own lengths refer to."""

    definition: Annotated[Any, refers("DefinitionOrNumber")]
    """The definition: see `/v1/kinds`."""

    total: Length | None = None
    """Length of a run in steps, for lengths such as ``"10%"`` and ``"rest"``."""

    steps_per_epoch: Length | None = None
    """Steps of an epoch, for lengths such as ``"3 epochs"``."""

    async def read(self, request: Request, store: Store) -> Definition:
        """Return the definition, with schedules of the library in place of their names."""
        named = await off_loop(request, lambda: references(self.definition))
        if not named:
            return await off_loop(request, self._parsed)
        found = await store.read(schedules.find, named)
        return await off_loop(request, lambda: self._parsed(found), large=True)

    def _parsed(self, lookup: Lookup | None = None) -> Definition:
        return standalone(
            parse(
                self.definition,
                total=self.total,
                steps_per_epoch=self.steps_per_epoch,
                lookup=lookup,
            )
        )


def standalone(definition: Definition) -> Definition:
    """Return the definition; raise `Invalid` if it follows parameters, which only a run has."""
    if followed := definition.follows():
        names, bound = ", ".join(sorted(followed)), "no `follow` outside a run"
        message = f"definition follows {names}, and only a run has parameters"
        wrong = [FieldError("definition", message, names, bound)]
        raise Invalid("The definition is refused.", errors=wrong)
    return definition


def range_of(start: int | None, stop: int | None, stride: int | None) -> range:
    """Return the range that the fields of a request mean; raise `Invalid` if it is empty."""
    places = range(start or 0, stop or 0, stride or 1)
    if not places:
        bound = f"> {places.start}"
        wrong = [FieldError("stop", f"stop must be greater than {places.start}", stop, bound)]
        raise Invalid("The range of steps is empty.", errors=wrong)
    return places


def steps_of(places: list[Any]) -> Steps:
    """Return steps as an array; raise `Invalid` for what is not a step."""
    begins = range(0, len(places), PIECE)  # other threads get their turn in between
    try:
        pieces = [PLACES.validate_python(places[begin : begin + PIECE]) for begin in begins]
        return np.concatenate([np.array(piece, dtype=np.int64) for piece in pieces])
    except ValidationError:
        pass
    try:
        return np.array(PLACES.validate_python(places), dtype=np.int64)
    except ValidationError as error:
        wrong = field_errors(error, places, "steps")
        raise Invalid("The steps are refused.", errors=wrong) from None
