"""Lines of generations: whose reports and decisions count for which."""

from __future__ import annotations

import math
from collections.abc import Iterator

from tests.faults.history import History


class Line:
    """A generation and its past: each of them counts up to the step at which it was left."""

    def __init__(self, history: History, number: int) -> None:
        self.number = number
        self.lasts: dict[int, float] = {}
        last = math.inf
        for generation in history.line(number):
            self.lasts[generation.number] = last
            last = min(last, generation.start)
        self._history = history

    def has(self, generation: int, step: int) -> bool:
        """Whether what was done in a generation with a report at a step counts for this one."""
        return step <= self.lasts.get(generation, -1)

    def reports(self, metric: str) -> Iterator[tuple[int, int, dict[str, float]]]:
        """Yield the owner, the step and the values by source of each report, by rising step."""
        for number in reversed(self.lasts):
            kept = self._history.reports.get((number, metric), {})
            for step in sorted(kept):
                if step <= self.lasts[number]:
                    yield number, step, dict(kept[step])
