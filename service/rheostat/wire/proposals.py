"""Proposals, and what becomes of them."""

from typing import Any, Literal, NotRequired, TypedDict

from rheostat.wire.common import Page, ProposalKind, ProposalState
from rheostat.wire.workers import Eta


class Proposal(TypedDict):
    """What somebody suggests, which does nothing until an operator accepts it."""

    proposal: int
    """Its number."""
    generation: int
    kind: ProposalKind
    body: dict[str, Any]
    """What is asked for, as in the request of its kind."""
    author: str | None
    message: str
    cause: dict[str, Any] | None
    """What made a controller suggest it: the controller and the report's step."""
    created_at: str
    state: ProposalState
    revision: int | None
    """Revision that accepting it made."""
    decided_by: str | None
    decided_at: str | None
    reason: str
    """Why it was declined, or has expired."""


ProposalPage = Page[Proposal]


class Proposed(TypedDict):
    """What was asked of a protected run waits: another person has to accept the proposal."""

    proposal: int
    """Its number."""
    kind: ProposalKind
    run: str
    """Name of the run."""
    effective: int | Literal["next"] | None
    """The step that was asked for; null where none is."""
    steps: NotRequired[list[int]]
    """Of a change: at which steps the curves are shown, if it were accepted now."""
    before: NotRequired[dict[str, list[float]]]
    after: NotRequired[dict[str, list[float]]]


Protection = TypedDict("Protection", {"except": list[ProposalKind]})
Protection.__doc__ = "What one operator does to a protected run alone; all else takes another one."


class Protected(TypedDict):
    """Whether a run is protected."""

    id: str
    name: str
    protect: Protection | None
    """Null if it is not: then one operator is enough for everything."""
    revision: int
    """The note in its history that says so."""


class Accepted(Proposal):
    """What was asked for is done, by `revision`."""

    run: str
    """Id of the run; where it was removed, there is no `revision`."""
    effective: int
    """First step for which that holds."""
    late_by: int | None
    """By how much later that is than the step that a controller wanted; null: it is not."""
    eta: NotRequired[list[Eta]]
    """When workers come to it; not there if none is alive, nor for a rewind, which ends them."""
