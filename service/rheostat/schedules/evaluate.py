"""From a definition and steps to values."""

from __future__ import annotations

from typing import Any, Final, overload

import numpy as np
from numpy.typing import NDArray

from rheostat.errors import FieldError, Invalid
from rheostat.limits import MAX_STEP
from rheostat.schedules.definition import Definition, Floats
from rheostat.schedules.numeric.chunks import ChunkCache
from rheostat.schedules.parse import parse
from rheostat.schedules.shown import shown

CACHE: Final = ChunkCache()
"""The values that were computed last, by the content hash of their definition."""


@overload
def evaluate(definition: Any, steps: int) -> float: ...
@overload
def evaluate(definition: Any, steps: range | NDArray[np.int64]) -> Floats: ...
def evaluate(definition: Any, steps: int | range | NDArray[np.int64]) -> float | Floats:
    """
    Return the values of a definition, or of the JSON of one, at steps from its origin.

    An integer gives a float; a ``range`` or a one-dimensional array of integers in any order
    gives an array. Steps are coordinates, from 0 to 2^53 − 1, as they are over HTTP. The array of
    a range may be read-only: it is a view of the cache.

    Raises:
        Invalid: if the definition or the steps are wrong.

    """
    parsed = definition if isinstance(definition, Definition) else parse(definition)
    if type(steps) is int:
        if not 0 <= steps <= MAX_STEP:
            raise _wrong_steps(steps)
        return CACHE.value(parsed.content_hash, parsed.values, steps)
    if isinstance(steps, range):
        return _of_range(parsed, steps)
    return parsed.values(_checked(np.asarray(steps)))


def _of_range(definition: Definition, steps: range) -> Floats:
    if steps and not 0 <= min(steps[0], steps[-1]) <= max(steps[0], steps[-1]) <= MAX_STEP:
        raise _wrong_steps(steps)
    if steps.step > 0 and steps.start >= 0:  # an empty range may begin anywhere
        key = definition.content_hash
        return CACHE.curve(key, definition.values, steps.start, steps.stop, steps.step)
    return definition.values(steps)


def _checked(steps: NDArray[Any]) -> NDArray[np.int64]:
    whole = steps.ndim == 1 and steps.dtype.kind in "iu"
    if not whole or (steps.size and not 0 <= steps.min() <= steps.max() <= MAX_STEP):
        raise _wrong_steps(steps)
    return steps.astype(np.int64, copy=False)


def _wrong_steps(steps: Any) -> Invalid:
    bound = f"integers from 0 to {MAX_STEP}"
    error = FieldError("steps", f"must be {bound}", shown(steps), bound)
    return Invalid("The steps are refused.", errors=[error])
