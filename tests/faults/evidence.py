"""What the checks look at: the observations of one run, beside its final history."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tests.faults.folding import Explanation
from tests.faults.history import History
from tests.faults.observations import Log, Read, Values, Write


@dataclass(frozen=True)
class Evidence:
    """One run."""

    log: Log
    history: History

    @cached_property
    def explanation(self) -> Explanation:
        """What the final history says that each value is."""
        return Explanation(self.history)

    @cached_property
    def served(self) -> list[Read]:
        """The reads that were answered with values."""
        return [read for read in self.log.reads if read.values is not None]

    @cached_property
    def revisions(self) -> Mapping[int, Mapping[str, Any]]:
        """The revisions of the history, by number."""
        return {item["revision"]: item for item in self.history.revisions}

    @cached_property
    def acknowledged(self) -> list[Write]:
        """The writes that were acknowledged."""
        return [write for write in self.log.writes if write.answer is not None]

    def rewinds(self) -> Iterator[tuple[Write, Mapping[str, Any]]]:
        """Yield the acknowledged rewinds, with their answers."""
        for write in self.acknowledged:
            if write.kind == "rewind" and write.answer is not None:
                yield write, write.answer


class Highest:
    """The greatest of some numbers that were known before a time."""

    def __init__(self, known: Iterable[tuple[float, int]]) -> None:
        ordered = sorted(known)
        self._times = [time for time, _ in ordered]
        self._highest = list(accumulate((number for _, number in ordered), max))

    def before(self, time: float, default: int) -> int:
        """Return the greatest number known before ``time``, or ``default`` if that is greater."""
        index = bisect_left(self._times, time)
        return max(self._highest[index - 1], default) if index else default


def bits(values: Values) -> NDArray[np.uint64]:
    """Return the bits of values."""
    return np.ascontiguousarray(values, dtype=np.float64).view(np.uint64)


def first_difference(one: Values, other: Values) -> tuple[int, int] | None:
    """Return the parameter and the cell of the first difference in bits, if there is one."""
    where = np.argwhere(bits(one) != bits(other))
    return (int(where[0][0]), int(where[0][1])) if len(where) else None
