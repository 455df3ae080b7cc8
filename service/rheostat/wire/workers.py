"""Workers: who trains, where they are, what they applied, and what they saved."""

from typing import NotRequired, TypedDict

from rheostat.wire.common import Page, SlotType, WorkerState


class Eta(TypedDict):
    """When the live workers come to a revision, at the pace at which they train."""

    revision: int | None
    """Null in a rehearsal."""
    effective: int
    """First step for which it holds."""
    steps: int
    """How far the slowest of them is from it, in steps; 0 once all are there."""
    seconds: float | None
    """In how many seconds that one comes to it; null if no pace is known."""
    reached_by: int
    """How many of them are past it; at a stop or a pause, how many stand there."""
    workers: int
    """How many they are."""


class Worker(TypedDict):
    """A worker, by what it last said."""

    worker: str
    """Its rank, or its host and process."""
    host: str | None
    generation: int
    step: int
    """Updates done: the step that comes next."""
    pace: float | None
    """Steps in a second."""
    proven_until: int | None
    """Step below which all that it listed is what was served; null: it has listed nothing."""
    seen_at: str
    """When it last said something."""
    state: WorkerState


class WorkerCounts(TypedDict):
    """How many workers a run has; one that is wrong counts as alive, too, as long as it is."""

    alive: int
    """How many say something still, and have not ended."""
    silent: int
    """How many have ceased to, without having ended."""
    wrong: int
    """How many have applied another value than was served."""


class WorkersSummary(WorkerCounts):
    """How the workers of a run are together."""

    ended: int
    """How many have said that they are done."""
    behind: int
    """How many are in a generation that was left, or far behind the first."""
    first: int | None
    """Step of the first that is alive in the current generation; null if nobody is."""
    last: int | None
    """Step of the last of them."""
    pace: float | None
    """Steps in a second, the median of theirs."""
    proven_until: int | None
    """The least of all that are alive; null as long as one of them has listed nothing."""
    eta: list[Eta]
    """Of the revisions that not all of them have come to."""


class Workers(WorkersSummary):
    """A run's workers: how they are together, and a part of their list: ranks, then by name."""

    items: list[Worker]
    next: str | None
    """The `cursor` that asks for what follows; null on the last page."""


class Compare(TypedDict):
    """A window whose values are to be sent, since their digest is not that of the ledger."""

    worker: str
    start: int
    """First step of the window."""


class Beaten(TypedDict):
    """What is answered to a beat."""

    again: float
    """Seconds until the next one."""
    compare: list[Compare]


class Mismatch(TypedDict):
    """A worker applied another value than was served; the first such step of a window."""

    number: int
    worker: str
    generation: int
    parameter: str
    step: int
    expected: str
    """The value of the ledger, rounded as the worker's slot is: the shortest text of a float64."""
    found: str
    dtype: SlotType
    at: str


MismatchPage = Page[Mismatch]


class Checkpoint(TypedDict):
    """A checkpoint that somebody has saved; generation, step and tag name it in its run."""

    generation: int
    step: int
    """Step that a training which resumes from it reads first."""
    tag: str
    uri: str | None
    """Where it is: other people's text, which nobody opens."""
    bytes: int | None
    source: str
    """Who said so."""
    revision: int | None
    """Signal that asked for it."""
    at: str
    on_line: bool
    """Whether it lies in the past of the current generation, so that it can be resumed."""
    run: NotRequired[str]
    """Id of the run that saved it, if that is one from which this one was forked."""


CheckpointPage = Page[Checkpoint]


class Resumable(TypedDict, total=False):
    """From which checkpoint a training can go on at a step; not there if that cannot be known."""

    checkpoint: Checkpoint | None
    """The last one in its past, at or below the step; null if none is known."""
    warnings: list[str]
    """A sentence, if that is not one of this very step."""
