"""Runs, their revisions and generations, and what a worker learns when it joins."""

from typing import Any, Literal, NotRequired, TypedDict

from rheostat.wire.common import (
    Axis,
    Change,
    Definition,
    Page,
    RevisionGoal,
    RevisionKind,
    RevisionState,
    RunStatus,
)
from rheostat.wire.proposals import Protection
from rheostat.wire.workers import Eta, WorkerCounts


class GuardBounds(TypedDict):
    """Bounds of a parameter that no change may break unless it is forced; null: none."""

    min: float | None
    max: float | None
    max_ratio: float | None
    """The greatest jump at a step where a change takes effect, as a ratio of both values."""


From = TypedDict("From", {"from": int})
"""The field `from`, which is a step: a class cannot have a field of this name."""


class Generation(From):
    """A stretch of a run's life; `from` is the step at which it leaves its parent."""

    generation: int
    parent: int | None
    """Generation that it branches from; null for the first."""
    settled_until: int
    """First step of it that is open."""
    parent_run: NotRequired[str]
    """Id of the parent's run, where this one was forked from another."""


class Words(TypedDict):
    """What was written of a definition whose lengths depend on the run, such as ``10%``."""

    definition: Definition
    """The definition, with such lengths as text."""
    total: int | None
    """Total for which it is laid out now."""
    steps_per_epoch: NotRequired[int]
    kept: NotRequired[dict[str, float | list[float] | None]]
    """Boundaries that stay where an earlier total had put them, by their paths."""


class Piece(From):
    """A definition in force from a step on, until the next piece."""

    origin: int
    """Step at which the definition's own clock is 0."""
    definition: Definition
    revision: int
    """Revision that put it there."""
    words: NotRequired[Words]


class Revision(TypedDict):
    """One change of a run, as its history keeps it."""

    revision: int
    generation: int
    kind: RevisionKind
    effective: int
    """First step for which it holds."""
    changes: dict[str, Definition | list[Change]]
    """What was asked for, by parameter: definitions in a run's first revision, later changes."""
    total: int | None
    """The run's total from then on, where this set it."""
    parameters: dict[str, list[Piece]]
    """What the changed parameters follow from `effective` on."""
    author: str | None
    message: str
    created_at: str
    forced: bool
    """Whether it breaks a guard, and was made all the same."""
    cancelled: bool
    cancels: int | None
    """Revision that this one took back."""
    cause: dict[str, Any] | None
    """What made a controller or a program decide it: the controller and the report's step."""
    data: dict[str, Any] | None
    """
    Of a stop, pause, signal, control or note, which change no value: what it says. Of a change by
    which a token with a limit takes back its own, so that it counts for nothing: `takes_back`.
    """
    pending: bool
    """Whether it has yet to take effect."""
    state: RevisionState
    left_by: int | None
    """Generation whose rewind left it behind; it is dropped then, unless it is a total."""


RevisionPage = Page[Revision]


class Outcome(TypedDict):
    """What a worker says became of a signal: other people's text."""

    revision: int
    """Revision that sent the signal."""
    source: str
    """Who says so; each says it once."""
    generation: int
    """That of whoever says so."""
    outcome: Literal["done", "failed"]
    step: int
    """Step at which the worker was told."""
    data: dict[str, Any] | None
    error: str | None
    """Why it failed."""
    created_at: str


OutcomePage = Page[Outcome]


class Outcomes(TypedDict):
    """What workers say became of a signal."""

    done: int
    """How many say that it was done."""
    failed: int
    """How many say that it failed."""
    items: list[Outcome]
    """The first of them, by source, those that failed before the others."""


For = TypedDict("For", {"for": RevisionGoal})
"""The field `for`, which is what was waited for: a class cannot have a field of this name."""


class Waited(For):
    """What became of waiting for a revision."""

    met: bool
    """Whether it has come to that."""
    detail: str
    """A sentence: what it has come to, or why it cannot."""


class ShownRevision(Revision):
    """One change of a run, with what workers say became of it."""

    outcomes: Outcomes
    waited: NotRequired[Waited]
    """Where `wait` asked for it."""
    eta: NotRequired[list[Eta]]
    """When workers come to it; not there once it is no more to come, or if none is alive."""


class Noted(TypedDict):
    """A note was kept."""

    revision: int
    effective: int
    """Step that it is about."""


class Stop(TypedDict):
    """A stop or a pause: a step from which on nothing settles."""

    revision: int
    effective: int
    """First step that is not to be had."""
    hold: bool
    """Whether it is a pause, at which workers wait."""
    told: bool
    """Whether workers have ended by it: a stop is not taken back then, but lifted by a rewind."""


class RunSummary(TypedDict):
    """A run as lists show it."""

    id: str
    """Unguessable, and never used again."""
    name: str
    axis: Axis
    resolution: int
    """Width of a cell of the run's grid; a value belongs to a cell."""
    total: int | None
    """The planned length."""
    steps_per_epoch: int | None
    max_block: int
    """The most cells in one settling read."""
    max_gap: int
    """The most cells past `settled_until` at which a settling read may begin."""
    max_jump: int
    """The most cells past `settled_until` at which a settling read may end."""
    guards: dict[str, GuardBounds]
    labels: dict[str, str]
    protect: Protection | None
    """What one operator may do to it alone, if all else takes another person; null: everything."""
    author: str | None
    created_at: str
    finished_at: str | None
    end: int | None
    """First step without a value; null until the run is finished."""
    generation: int
    """The current one."""
    revision: int
    """The newest one."""
    event: int
    """Number of the newest event."""
    begins: int
    """First step of the training, where it said that it begins in the middle; else 0."""
    settled_until: int
    """First step of the current generation that no worker has been given a value of."""
    stops: list[Stop]
    """Stops and pauses that were not taken back, nearest first."""
    paused: bool
    """Whether it holds at `settled_until`, until it is resumed."""
    state: RunStatus
    """
    What becomes of it: `finished` by somebody, `stopped`, `stuck` (it had workers, all of whom are
    gone before its total), `paused`, `ended` (settled up to its total, and nobody trains), else
    `live`.
    """
    workers: WorkerCounts
    """How many train, by what they say; in a list it may be a few seconds old."""


RunPage = Page[RunSummary]


AttentionKind = Literal["differs", "off-gate", "blocked", "mismatch", "went-back"]
"""
Reports that came again otherwise, or at no gate; a decision that was refused; values that workers
applied and were not given; workers that are past what the service remembers.
"""


class RunCurve(TypedDict):
    """What a run's first parameter does from its beginning to its end, at a few steps."""

    parameter: str
    """`lr`, or one of its groups, where there is one."""
    steps: list[int]
    """At most 48; those from `settled_until` on are what is planned now."""
    values: list[float]
    """Rounded to four digits: to be looked at, not to be trained with."""


class NewestRevision(TypedDict):
    """The last thing that was done to a run."""

    revision: int
    kind: RevisionKind
    effective: int
    author: str | None
    message: str
    created_at: str
    changes: dict[str, list[Change]] | None
    """What was asked for; null where it is long, and of the revision that made the run."""
    data: dict[str, Any] | None
    """Of what changes no value: what it says; null where it is long."""


class RunRow(TypedDict):
    """What a table has of a run's summary."""

    id: str
    name: str
    axis: Axis
    labels: dict[str, str]
    author: str | None
    created_at: str
    finished_at: str | None
    total: int | None
    end: int | None
    """First step without a value; null until the run is finished."""
    generation: int
    revision: int
    begins: int
    settled_until: int
    """First step that is open: where the past ends."""
    state: RunStatus
    workers: WorkerCounts


class RunOverview(RunRow):
    """A run as a table shows it."""

    curve: RunCurve | None
    """Null where there was no time to compute it: it is there when the table is asked for again."""
    pace: float | None
    """Steps in a second, the mean of those who train; null if nobody does."""
    ends_in: float | None
    """Seconds until the last of them is at the run's end, total or stop, whichever is first."""
    newest: NewestRevision
    proposals: int
    """How many wait for a decision."""
    attention: list[AttentionKind]
    """What kinds of things an operator should look at in its generation; the run says which."""


RunOverviewPage = Page[RunOverview]


class ParameterDescription(TypedDict):
    """What people should know of a parameter."""

    text: NotRequired[str]
    unit: NotRequired[str]
    takes_effect: NotRequired[str]
    """When the training applies a value: at each `step`, `epoch` …"""


class SignalArgument(TypedDict):
    """An argument of a signal; `min` and `max` of a string bound its length."""

    type: Literal["string", "integer", "number", "boolean"]
    text: NotRequired[str]
    enum: NotRequired[list[Any]]
    """What it may be alone."""
    min: NotRequired[float]
    max: NotRequired[float]
    required: NotRequired[bool]


class DeclaredSignal(TypedDict):
    """A signal that a training understands."""

    text: NotRequired[str]
    arguments: NotRequired[dict[str, SignalArgument]]


class RunGoal(TypedDict):
    """What a training is after."""

    metric: str
    direction: NotRequired[Literal["min", "max"]]
    """Whether less is better, which is so where nothing is said."""
    target: NotRequired[float]


class Declared(TypedDict):
    """What a training says of itself."""

    describe: dict[str, ParameterDescription]
    """By parameter."""
    signals: dict[str, DeclaredSignal]
    """The signals that it understands; none: any word, without arguments."""
    goal: RunGoal | None
    about: str


class OpenProposals(TypedDict):
    """The proposals of a run that wait for a decision."""

    open: int
    """How many."""
    numbers: list[int]
    """Of the newest hundred, by rising number."""


class Attention(TypedDict):
    """Something that an operator should look at."""

    kind: AttentionKind
    metric: str | None
    controller: str | None
    step: int
    """Step of the newest such report, or of the first such value."""
    count: int
    """How many there were, as far as that is counted."""
    message: str
    """What it is, as a sentence."""


class RunState(RunSummary, Declared):
    """A run: what is in force where it is settled to, and what is to come."""

    parameters: dict[str, Definition]
    """The definition in force at `settled_until`."""
    words: dict[str, Definition]
    """The same as it was written, of those whose lengths depend on the run."""
    current: dict[str, float]
    """The values at `settled_until`."""
    pending: list[Revision]
    """Revisions that have yet to take effect, in the order in which they will."""
    proposals: OpenProposals
    generations: list[Generation]
    controllers: dict[str, dict[str, Any]]
    """The configurations of what is armed on it, by name."""
    attention: list[Attention]
    """What an operator should look at; empty where all is well."""


class SurfaceParameter(TypedDict):
    """A parameter of a run, as forms show it."""

    value: float
    """The value at `settled_until`."""
    definition: Definition
    """The definition in force there."""
    guard: GuardBounds | None
    description: ParameterDescription


class SurfaceEdit(TypedDict):
    """Something that can be done to a parameter."""

    usage: str
    """As it is typed on the command line."""
    text: str
    schema: dict[str, Any]
    """The JSON Schema of it; what it refers to is in the service's OpenAPI document."""


class SurfaceSignal(TypedDict):
    """A signal that a training understands."""

    text: str
    schema: dict[str, Any]
    """The JSON Schema of its arguments."""


class SurfaceController(TypedDict):
    """A controller of a run."""

    kind: str
    metric: str
    revision: int
    """Revision that armed it as it is."""


class Surface(TypedDict):
    """All that can be seen and done of a run: for forms, completion and the tools of agents."""

    id: str
    name: str
    axis: Axis
    about: str
    goal: RunGoal | None
    generation: int
    revision: int
    settled_until: int
    parameters: dict[str, SurfaceParameter]
    edits: dict[str, SurfaceEdit]
    signals: dict[str, SurfaceSignal]
    any_signal: bool
    """Whether any word may be sent, without arguments: the training has declared none."""
    metrics: list[str]
    """Names of what was reported, sorted; the first 128."""
    controllers: dict[str, SurfaceController]


class Joined(TypedDict):
    """What a worker learns of its run before it reads."""

    id: str
    name: str
    axis: Axis
    resolution: int
    """Width of a cell of the run's grid."""
    generation: int
    revision: int
    event: int
    """Number of the newest event."""
    incarnation: str
    """Which life of the database this is: one that was restored from a backup begins a new one."""
    settled_until: int
    """First step that is open."""
    begins: int
    """First step of the training, where it said that it begins in the middle; else 0."""
    parameters: list[str]
    """Their names, sorted: the order of float64 in binary answers."""
    max_block: int
    """The most cells in one settling read."""
    max_gap: int
    """The most cells past `settled_until` at which a settling read may begin."""
    max_jump: int
    """The most cells past `settled_until` at which a settling read may end."""
    total: int | None
    end: int | None
    """First step without a value, of a finished run."""
    stop: int | None
    """Where the nearest stop is: a hint, since only a refusal ends a training."""
    watched: list[str]
    """Metrics that a controller reads: to be reported at once."""
    again: float
    """Seconds within which a worker that begins to train says so, at a moment of its choice."""
