"""Proposals: what somebody suggests, which does nothing until an operator says yes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, cast

from rheostat import wire
from rheostat.server.runs.fragments import Verbatim
from rheostat.server.runs.grid import Grid
from rheostat.server.runs.revision import Note


class ProposalState(StrEnum):
    """What became of a proposal; nothing expires but with its generation, or by a newer one."""

    OPEN = "open"
    ACCEPTED = "accepted"
    DECLINED = "declined"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class Proposal:
    """
    What somebody suggests: the ``body`` of the request of a ``kind``, as they would send it.

    ``note`` is theirs; ``reason`` and what begins with ``decided`` is of who said yes or no.
    """

    number: int
    generation: int
    kind: wire.ProposalKind
    body: Verbatim
    note: Note
    cause: Mapping[str, Any] | None
    created_at: str
    state: ProposalState = ProposalState.OPEN
    revision: int | None = None
    decided_by: str | None = None
    decided_at: str | None = None
    reason: str = ""

    def to_json(self) -> wire.Proposal:
        """Return the wire form."""
        return {
            "proposal": self.number,
            "generation": self.generation,
            "kind": self.kind,
            "body": cast("dict[str, Any]", self.body),
            "author": self.note.author,
            "message": self.note.message,
            "cause": None if self.cause is None else dict(self.cause),
            "created_at": self.created_at,
            "state": self.state.value,
            "revision": self.revision,
            "decided_by": self.decided_by,
            "decided_at": self.decided_at,
            "reason": self.reason,
        }

    def cause_of_revision(self, decided_by: str | None, late_by: int | None) -> dict[str, Any]:
        """Return what the revision says of how it came about, which names who said yes."""
        late = {} if late_by is None else {"late_by": late_by}
        return {**(self.cause or {}), "proposal": self.number, "decided_by": decided_by, **late}


def landed(
    body: Mapping[str, Any], cause: Mapping[str, Any] | None, grid: Grid, settled: int
) -> tuple[dict[str, Any], int | None]:
    """
    Return a body whose ``effective`` is a step, or ``next``, and by how much that is late.

    A controller may count from the report that it decided on: ``{"after": 200}`` is its step + 200,
    rounded up to a cell. If that is settled by now, it is the next step that is open.
    """
    asked = {key: value for key, value in body.items() if key != "expected_revision"}
    effective = asked.get("effective")
    if not isinstance(effective, Mapping) or cause is None:
        return asked, None
    wanted = -(-(cause["step"] + effective["after"]) // grid.resolution) * grid.resolution
    if wanted < settled:
        return {**asked, "effective": "next"}, settled - wanted
    return {**asked, "effective": wanted}, None
