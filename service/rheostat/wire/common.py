"""What answers have in common: words of the axis, of roles and revisions, and lists in pages."""

from typing import Annotated, Any, Generic, Literal, TypedDict, TypeVar

Axis = Literal["step", "samples", "tokens", "epoch"]
"""What a run counts."""

Role = Literal["viewer", "proposer", "worker", "operator", "admin"]
"""What a caller may do: each may do what those before it may."""

RevisionKind = Literal[
    "create",
    "change",
    "cancel",
    "rewind",
    "fork",
    "finish",
    "total",
    "advance",
    "stop",
    "pause",
    "signal",
    "control",
    "note",
]
"""What a revision did to its run."""

ProposalKind = Literal[
    "change",
    "cancel",
    "stop",
    "pause",
    "resume",
    "signal",
    "rewind",
    "total",
    "advance",
    "control",
    "disarm",
    "reset",
    "finish",
    "delete",
]
"""What a proposal asks for, which is what an operator does to a run: the request of an endpoint."""

ProposalState = Literal["open", "accepted", "declined", "expired"]
"""What became of a proposal; it expires with its generation, or by a newer one of a controller."""

RevisionState = Literal[
    "pending", "settled", "reached", "proven", "done", "failed", "cancelled", "dropped"
]
"""
What became of a revision: it is reached once every live worker is past its step, and proven once
they have shown that they applied it; a signal is done, or has failed, once a worker says so.
"""

RunStatus = Literal["live", "paused", "stuck", "ended", "stopped", "finished"]
"""What becomes of a run."""

RunSort = Literal["name", "created", "finished", "author"]
"""What a list of runs is sorted by, and then by name."""

WorkerState = Literal["training", "waiting", "silent", "wrong", "ended"]
"""What a worker does: it is silent if it has said nothing for three times what it was asked for."""

SlotType = Literal["f64", "f32"]
"""What a parameter's value is rounded to where it is applied."""

RevisionGoal = Literal["settled", "reached", "proven", "done"]
"""What can be waited for, of a revision."""

Definition = Annotated[dict[str, Any], ("$ref", "#/components/schemas/Definition")]
"""A definition in its canonical form."""

Change = dict[str, Any]
"""An edit, or a definition with the clock that it counts by; either with its lengths in steps."""

ControllerConfig = dict[str, Any]
"""A controller's fields, with all defaults."""

Item = TypeVar("Item")


class Page(TypedDict, Generic[Item]):
    """A part of a list."""

    items: list[Item]
    next: str | None
    """The `cursor` that asks for what follows; null on the last page."""
