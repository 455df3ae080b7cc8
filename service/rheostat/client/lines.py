"""The line of a generation: itself, its parent, and so on to the root."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

Document = Mapping[str, Any]


class Line:
    """The generations of a run from one back to the root, or to where the run was forked."""

    def __init__(self, generations: Iterable[Document], number: int) -> None:
        known = {item["generation"]: item for item in generations}
        self._reach: dict[int, float] = {}
        """How far each generation on the line is part of it: up to where the next one branches."""
        reach, at = math.inf, known.get(number)
        while at is not None:
            self._reach[at["generation"]] = reach
            reach = min(reach, at["from"])
            at = None if "parent_run" in at else known.get(at["parent"])

    def holds(self, revision: Document) -> bool:
        """Whether a revision, if it was not cancelled, is in force on the line or will be."""
        return bool(revision["effective"] <= self._reach.get(revision["generation"], -1))
