"""Units: how the definitions of a run are read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rheostat.schedules import Definition, parse
from rheostat.schedules.references import Lookup


@dataclass(frozen=True)
class Units:
    """What lengths such as ``"10%"`` and ``"3 epochs"``, and schedules by name, refer to."""

    total: int | None = None
    steps_per_epoch: int | None = None
    lookup: Lookup | None = None

    def parse(self, data: Any, field: str) -> Definition:
        """Return the definition that ``data`` describes, in whole steps, with schedules inlined."""
        return parse(
            data,
            total=self.total,
            steps_per_epoch=self.steps_per_epoch,
            field=field,
            lookup=self.lookup,
        )
