"""Who watches a store: told what its writer does, after each commit, in the writer's thread."""

from __future__ import annotations

from typing import Protocol


class StoreWatcher(Protocol):
    """What a store tells of itself; it knows of no metrics."""

    def committed(self, seconds: float, operations: int) -> None:
        """Hear of a transaction: how long it took, and how many operations were in it."""

    def failed(self, reason: str) -> None:
        """Hear of a transaction that failed, for a reason of `Outage`, or as a ``defect``."""

    def revised(self, kind: str) -> None:
        """Hear of a revision that was made."""

    def placed(self, steps: int) -> None:
        """Hear how many steps beyond the fastest worker a new change takes effect."""

    def landed(self, seconds: float) -> None:
        """Hear after how many seconds a change was first handed out to a worker."""


class Nobody:
    """A watcher whom nothing concerns."""

    def committed(self, seconds: float, operations: int) -> None:
        """Ignore it."""

    def failed(self, reason: str) -> None:
        """Ignore it."""

    def revised(self, kind: str) -> None:
        """Ignore it."""

    def placed(self, steps: int) -> None:
        """Ignore it."""

    def landed(self, seconds: float) -> None:
        """Ignore it."""
