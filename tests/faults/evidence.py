"""What the checks look at: the observations of one run, beside its final history."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
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


@dataclass(frozen=True, eq=False)
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
    def signals(self) -> Mapping[int, list[tuple[int, int, bool]]]:
        """The signals by generation: step, revision, and whether what brought it was cancelled."""
        found: dict[int, list[tuple[int, int, bool]]] = defaultdict(list)
        for item in self.history.revisions:
            if "signal" in (item["data"] or {}):
                where = item["effective"], item["revision"], bool(item["cancelled"])
                found[item["generation"]].append(where)
        return found

    @cached_property
    def acknowledged(self) -> list[Write]:
        """The writes that were acknowledged, and have made a revision."""
        return [write for write in self.log.writes if (write.answer or {}).get("revision")]

    @cached_property
    def asked(self) -> Mapping[str, Write]:
        """What was asked for, by its message."""
        return {write.message: write for write in self.log.writes}

    def cause(self, revision: Mapping[str, Any]) -> Write | None:
        """Return what was asked for that made a revision, if somebody did."""
        proposal = (revision["cause"] or {}).get("proposal")
        if proposal is None:
            return self.asked.get(revision["message"])
        return next((write for write in self.accepted(proposal) if write.answer), None)

    def accepted(self, proposal: int) -> list[Write]:
        """Return who said yes to a proposal, whatever the answer was."""
        return [
            write
            for write in self.log.writes
            if write.kind == "accept" and write.request["proposal"] == proposal
        ]

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
