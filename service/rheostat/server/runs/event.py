"""Events: what happens to a run, numbered in the order in which it happens."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class EventKind(StrEnum):
    """What happened."""

    BEGUN = "begun"
    SETTLED = "settled"
    ADVANCED = "advanced"
    REVISED = "revised"
    CANCELLED = "cancelled"
    REWOUND = "rewound"
    EXTENDED = "extended"
    FINISHED = "finished"


@dataclass(frozen=True, slots=True)
class Event:
    """
    One thing that happened to a run.

    Numbers rise, with gaps: of the times that a generation was settled, the newest alone is kept.
    """

    run_id: str
    number: int
    kind: EventKind
    created_at: str | None
    facts: Mapping[str, Any]

    @property
    def last(self) -> bool:
        """Whether nothing can happen after it."""
        return self.kind is EventKind.FINISHED

    def to_json(self) -> dict[str, Any]:
        """Return the wire form."""
        return {
            "number": self.number,
            "kind": self.kind,
            "id": self.run_id,
            "created_at": self.created_at,
            **self.facts,
        }
