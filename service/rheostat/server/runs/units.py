"""Units: how the definitions of a run are read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rheostat.errors import Invalid
from rheostat.schedules import Definition
from rheostat.schedules.lengths import Clock, read
from rheostat.schedules.references import Lookup
from rheostat.schedules.written import Written, write


@dataclass(frozen=True)
class Units:
    """What lengths such as ``"10%"`` and ``"3 epochs"``, and schedules by name, refer to."""

    total: int | None = None
    steps_per_epoch: int | None = None
    lookup: Lookup | None = None

    def steps(self, value: Any, field: str) -> Any:
        """Return a number of steps, which may be written as text; other values as they are."""
        if not isinstance(value, str):
            return value
        clock = Clock(self.total, self.steps_per_epoch)
        exact = read(value, clock, field)
        if exact is None:
            raise Invalid("The length is refused.", errors=clock.errors)
        return round(exact)

    def parse(self, data: Any, field: str) -> Definition:
        """Return the definition that ``data`` describes, in whole steps, with schedules inlined."""
        return self.write(data, field).definition

    def write(self, data: Any, field: str) -> Written:
        """Return the definition that ``data`` describes, with the words that describe it."""
        return write(
            data,
            total=self.total,
            steps_per_epoch=self.steps_per_epoch,
            field=field,
            lookup=self.lookup,
        )
