"""
Following the reports of a metric: what is asked, and what came.

No sockets here: `AsyncDeciding.reports` asks, and waits.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rheostat.client import calls
from rheostat.client.answers import Answer, Broken, document
from rheostat.client.calls import Call

PAUSE = 1.0
"""Seconds between two requests for reports that are to come."""
ASKS_FOR_THE_END = 10
"""Requests without a report after which it is asked whether the run is finished."""


class Series:
    """Which metric is followed, after which report, and whether there will be more."""

    def __init__(self, where: str, params: Mapping[str, Any], after: int | None) -> None:
        self.is_over = False
        """Whether there will be no more reports."""
        self.after = after
        self._where = where
        self._params = params
        self._empty = 0
        self._last_time = False

    def call(self) -> Call:
        """Return the call that asks for what came since."""
        return calls.get(self._where, **self._params, after=self.after or 0)

    @property
    def pause(self) -> float:
        """Seconds to wait before the next request."""
        return 0.0 if self._empty == 0 or self._last_time or self.is_over else PAUSE

    @property
    def asks_for_the_end(self) -> bool:
        """Whether there were none for a while, so that the run may be finished."""
        return self._empty > 0 and self._empty % ASKS_FOR_THE_END == 0 and not self._last_time

    def finished(self, at: Any) -> None:
        """Take in when the run was finished, if it was: what came before that is asked for once."""
        self._last_time = at is not None

    def nothing_yet(self) -> None:
        """Take in that nobody has reported the metric."""
        self._took(0)

    def read(self, answer: Answer) -> list[dict[str, Any]]:
        """Return the reports of an answer; raise `Broken` if it can be none."""
        points = list(_points(document(answer)))
        following = document(answer).get("next")
        if type(following) is int and following > (self.after or 0):
            self.after = following
        elif points:
            raise Broken("reports without the number that comes next")
        self._took(len(points))
        return points

    def _took(self, many: int) -> None:
        self._empty = 0 if many else self._empty + 1
        self.is_over = self._last_time and not many


def _points(page: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    columns = [page.get(name) for name in ("steps", "values", "sources")]
    if not all(isinstance(column, list) for column in columns):
        raise Broken(f"expected reports, got {page!r:.200}")
    steps, values, sources = columns
    if not len(steps) == len(values) == len(sources):  # type: ignore[arg-type]
        raise Broken("reports whose columns are not of one length")
    for step, value, source in zip(steps, values, sources, strict=True):  # type: ignore[arg-type]
        yield {"step": step, "value": _number(value), "source": source}


def _number(value: Any) -> float:
    """Return a value, which may be ``"NaN"`` or ``"-Infinity"``, as a number."""
    try:
        return float(value)
    except (TypeError, ValueError):
        raise Broken(f"expected the value of a report, got {value!r:.100}") from None
