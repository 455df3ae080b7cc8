"""Restarts: how often a process of a server had to be replaced, as its supervisor counts them."""

from __future__ import annotations

import logging

from rheostat.server.http import metric_table as table
from rheostat.server.http.figures import SharedFigures

LOG = logging.getLogger("rheostat.metrics")


class Restarts:
    """Counts at a place of its own among the figures that the processes share, if they do."""

    def __init__(self, figures: SharedFigures | None, place: int) -> None:
        self._figures, self._place = figures, place
        self._count = 0
        self._tell()

    def count(self) -> None:
        """Count one."""
        self._count += 1
        self._tell()

    def _tell(self) -> None:
        if self._figures is None:
            return
        try:
            families = [table.RESTARTS.single(self._count)]
            self._figures.write(self._place, self._count + 1, families)
        except OSError as error:  # figures are worth less than the service
            LOG.warning("restarts are not counted for now: %s", error)
