"""By how much a change lets the values of a run grow or shrink."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike

from rheostat.errors import FieldError
from rheostat.limits import MAX_STEP
from rheostat.server.runs.guards import LOOK, SHORT, SLACK, Effort, factor, too_far, weight_of
from rheostat.server.runs.timeline import Timelines, Values


def beyond_ratio(ratio: float, before: Timelines, after: Timelines, step: int) -> FieldError | None:
    """
    Return how ``after``, in force from a step on instead of ``before``, goes beyond a ratio.

    None if it does not. No value may jump by more than the ratio, up or down: at the step, or later
    where the curve has a seam (the end of a hold, say), unless it was to jump there as far anyway.
    And none may come to more than so many times the greatest that was planned from the step up to
    there, however slowly. How fast a ramp, or a definition, falls is not bounded: that is what they
    are for. What follows a parameter is looked at like the parameter.
    """
    return next(_all_beyond(ratio, before, after, step), None)


def _all_beyond(
    ratio: float, before: Timelines, after: Timelines, step: int
) -> Iterator[FieldError]:
    for name in after:
        if any(before[other] is not after[other] for other in after.sources(name)):
            yield from _jumps(name, ratio, before, after, step)
            yield from _Rise(name, ratio, before, after).beyond(step)


def _jumps(
    name: str, ratio: float, before: Timelines, after: Timelines, step: int
) -> Iterator[FieldError]:
    most = ratio * (1 + SLACK)
    old, new = before.value(name, step), after.value(name, step)
    if factor(old, new) > most:
        yield too_far(name, f"{ratio:.17g}", step, old, new)
    for seam in after.boundaries(name, step):
        old, new = after.value(name, seam - 1), after.value(name, seam)
        jump = factor(old, new)
        if jump > most:
            planned = factor(before.value(name, seam - 1), before.value(name, seam))
            if jump > planned * (1 + SLACK):
                yield too_far(name, f"{ratio:.17g}", seam, old, new)


class _Rise:
    """
    The search for a step at which a value is more than so many times what it was to be by then.

    Parts of the curves are bounded by interval arithmetic, from the first on, and halved where that
    does not decide, until they are short enough to look at all values, as `guards` does it.
    """

    def __init__(self, name: str, ratio: float, before: Timelines, after: Timelines) -> None:
        self._name = name
        self._ratio = ratio
        self._before = before
        self._after = after
        self._effort = Effort()

    def beyond(self, step: int) -> Iterator[FieldError]:
        """Yield what goes beyond first, from a step on, or what could not be ruled out."""
        greatest = self._before.value(self._name, step)
        waiting = self._parts(step)
        while waiting:
            start, stop = waiting.pop()
            highest = self._after.bounds(start, stop)[self._name].max
            least = self._before.bounds(start, stop)[self._name].min
            short = stop - start < SHORT
            weight = weight_of(self._name, start, stop, self._before, self._after)
            if highest <= self._bound(max(greatest, least)):
                greatest = max(greatest, self._before.value(self._name, start))
            elif not self._effort.spend(weight * (LOOK if short else 2)):
                yield self._refusal("may", highest, greatest)
                return
            elif short:
                steps = np.arange(start, stop + 1)
                planned = self._before.evaluate(steps)[self._name]
                planned = np.maximum.accumulate(np.maximum(planned, greatest))
                values = self._after.evaluate(steps)[self._name]
                if np.any(wrong := values > self._bound(planned)):
                    first = int(np.argmax(wrong))
                    yield self._refusal("would", float(values[first]), float(planned[first]))
                    return
                greatest = float(planned[-1])
            else:
                middle = (start + stop) // 2
                waiting += [(middle + 1, stop), (start, middle)]

    def _parts(self, step: int) -> list[tuple[int, int]]:
        """Return parts of growing length up to where all is as it stays, the last one first."""
        end = max(self._before.end(self._name), self._after.end(self._name), step)
        starts, length = [step], SHORT
        while starts[-1] + length <= end:
            starts.append(starts[-1] + length)
            length *= 2
        parts = list(zip(starts, [*(start - 1 for start in starts[1:]), end], strict=True))
        if end < MAX_STEP:
            parts.append((end + 1, MAX_STEP))
        return parts[::-1]

    def _bound(self, greatest: ArrayLike) -> Values:
        """Return what values may be where they were to be that, with room for rounding."""
        planned = np.asarray(greatest, dtype=np.float64)
        with np.errstate(over="ignore"):  # what is beyond all values bounds nothing
            most = np.where(planned >= 0, planned * self._ratio, planned / self._ratio)
            return most + np.abs(most) * SLACK

    def _refusal(self, will: str, value: float, greatest: float) -> FieldError:
        message = (
            f"{self._name} {will} come to {value!r}, which is more than {self._ratio:.17g} times"
            f" {greatest!r}, the greatest that was planned up to there"
        )
        bound = float(self._bound(greatest))
        return FieldError(f"changes.{self._name}", message, value, f"<= {bound!r}")
