"""Events that happen to a run."""

from typing import Any, Literal, TypedDict

from rheostat.wire.common import Change, Definition, ProposalKind, ProposalState, SlotType
from rheostat.wire.control import Decided
from rheostat.wire.runs import From


class AnyEvent(TypedDict):
    """What every event says."""

    number: int
    """Numbers rise, with gaps."""
    id: str
    """Id of the run."""
    created_at: str | None
    generation: int


class BegunEvent(AnyEvent):
    """A training said that it begins in the middle."""

    kind: Literal["begun"]
    begins: int
    settled_until: int
    author: str | None


class SettledEvent(AnyEvent):
    """Workers were given values; of several such events the last may stand for all."""

    kind: Literal["settled"]
    settled_until: int


class RevisionEvent(AnyEvent):
    """What every event says that is a revision."""

    revision: int
    effective: int
    """First step for which it holds."""
    changes: dict[str, Definition | list[Change]] | None
    """As in the revision; null if they are long."""
    author: str | None
    message: str
    forced: bool
    cause: dict[str, Any] | None
    """As in the revision."""


class RevisedEvent(RevisionEvent):
    """A change was accepted."""

    kind: Literal["revised"]


class CancelledEvent(RevisionEvent):
    """A pending revision was taken back."""

    kind: Literal["cancelled"]
    cancelled: int
    """Revision that was taken back."""


class RewoundEvent(RevisionEvent, From):
    """A generation was begun at `from`; workers of the one before are fenced off."""

    kind: Literal["rewound"]
    parent: int
    ended: int
    """Where the generation that was left is settled to."""


class AdvancedEvent(RevisionEvent):
    """The settled end was moved on."""

    kind: Literal["advanced"]
    settled_until: int


class ExtendedEvent(RevisionEvent):
    """The total was set."""

    kind: Literal["extended"]
    total: int


class FinishedEvent(RevisionEvent):
    """The run was finished: nothing comes after it."""

    kind: Literal["finished"]
    end: int
    """First step without a value."""


class DataEvent(RevisionEvent):
    """What every event says that is a revision which changes no value."""

    data: dict[str, Any] | None
    """As in the revision."""


class StoppedEvent(DataEvent):
    """The run was told to stop at `effective`."""

    kind: Literal["stopped"]


class PausedEvent(DataEvent):
    """The run was told to hold at `effective`."""

    kind: Literal["paused"]


class ResumedEvent(DataEvent):
    """The run goes on: the pauses at which it held, which `data` lists, were taken back."""

    kind: Literal["resumed"]


class SignalledEvent(DataEvent):
    """A word was sent to all ranks, for `effective`."""

    kind: Literal["signalled"]


class ArmedEvent(DataEvent):
    """A controller was armed, disarmed or reset."""

    kind: Literal["armed"]


class DecidedEvent(AnyEvent, Decided):
    """A controller decided on a report; what it made is an event of its own."""

    kind: Literal["decided"]


class NotedEvent(DataEvent):
    """Somebody left a note."""

    kind: Literal["noted"]


class ProposedEvent(AnyEvent):
    """Somebody suggested something."""

    kind: Literal["proposed"]
    proposal: int
    """Its number."""
    proposes: ProposalKind
    author: str | None
    message: str
    cause: dict[str, Any] | None
    """As in the proposal."""


class OutcomeEvent(AnyEvent):
    """A worker said what became of a signal."""

    kind: Literal["outcome"]
    revision: int
    """Revision that sent the signal."""
    source: str
    outcome: Literal["done", "failed"]
    step: int
    error: str | None


class MismatchEvent(AnyEvent):
    """A worker applied another value than was served."""

    kind: Literal["mismatch"]
    mismatch: int
    """Its number."""
    worker: str
    parameter: str
    step: int
    expected: str
    found: str
    dtype: SlotType


class SettledProposalEvent(AnyEvent):
    """A proposal was accepted or declined; one that expires does so with the run's own events."""

    kind: Literal["settled-proposal"]
    proposal: int
    """Its number."""
    state: ProposalState
    revision: int | None
    """Revision that accepting it made."""
    author: str | None
    """Who decided."""
    message: str
    """Why."""


Event = (
    BegunEvent
    | SettledEvent
    | AdvancedEvent
    | RevisedEvent
    | CancelledEvent
    | RewoundEvent
    | ExtendedEvent
    | StoppedEvent
    | PausedEvent
    | ResumedEvent
    | SignalledEvent
    | ArmedEvent
    | DecidedEvent
    | NotedEvent
    | ProposedEvent
    | SettledProposalEvent
    | OutcomeEvent
    | MismatchEvent
    | FinishedEvent
)
"""The ``data`` of an event that happened to a run; ``kind`` tells which one."""
