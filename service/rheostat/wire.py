"""
The answers of the service, as types: what each route sends as JSON, field by field.

The service's functions return these types, its OpenAPI document is made from them, and the client
and the command line hand them on. So a field is named and explained once, here: by the text below
it where its meaning or its unit is not plain. A field may be missing only where it is
`NotRequired`, and an answer has no other fields.

Steps and coordinates are integers in what the run counts (its ``axis``), from 0 to 2^53 − 1; ends
are exclusive; times are ISO 8601, in UTC. Names here are meant to be written with the module's:
``wire.Revision`` is what is sent of a revision.

What types are annotated with is JSON Schema that says more than they do. This module is a leaf: it
imports the standard library alone.
"""

# Annotations are not postponed: `__required_keys__` would not know `NotRequired` in a text.

from typing import Annotated, Any, Generic, Literal, NotRequired, TypedDict, TypeVar

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

ProposalKind = Literal["change", "stop", "pause", "signal", "rewind", "total", "control"]
"""What a proposal asks for: the request of that endpoint."""

ProposalState = Literal["open", "accepted", "declined", "expired"]
"""What became of a proposal; it expires with its generation, or by a newer one of a controller."""

RevisionState = Literal["pending", "settled", "done", "failed", "cancelled", "dropped"]
"""What became of a revision; a signal is done, or has failed, once a worker says so."""

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


# --- runs -----------------------------------------------------------------------------------------


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
    """Of a stop, pause, signal, control or note, which change no value: what it says."""
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


RunPage = Page[RunSummary]


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


AttentionKind = Literal["differs", "off-gate", "blocked"]
"""Reports that came again otherwise, or at no gate; a decision that was refused."""


class Attention(TypedDict):
    """Something that an operator should look at."""

    kind: AttentionKind
    metric: str | None
    controller: str | None
    step: int
    """Step of the newest such report."""
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


# --- values ---------------------------------------------------------------------------------------


class InForce(From):
    """The revision in force from a step on."""

    revision: int


class Signal(TypedDict):
    """A word that all ranks are told at one step."""

    at: int
    """They act on it before the update of this step."""
    signal: str
    arguments: dict[str, Any]
    revision: int


class Block(TypedDict):
    """Settled values of consecutive cells."""

    id: str
    generation: int
    start: int
    """First step."""
    count: int
    """How many cells."""
    resolution: int
    """Width of a cell."""
    revisions: list[InForce]
    """Which revisions give the values, by rising step."""
    parameters: dict[str, list[float]]
    """A value for each cell."""
    signals: NotRequired[list[Signal]]
    """Those from `max_gap` cells before the block to its end; not there if there are none."""


class Preview(Block):
    """Values of consecutive cells, of which reading them settled none."""

    final: list[bool]
    """Whether each cell is settled, so that its values never change."""


class StepValues(TypedDict):
    """Values at one step; nothing is settled by it."""

    id: str
    generation: int
    step: int
    parameters: dict[str, float]
    final: bool
    """Whether the step is settled, so that its values never change."""
    revision: int
    """Revision in force there."""


class PlanRevision(InForce):
    """A revision that shapes a plan."""

    author: str | None
    message: str


class PlanSignal(TypedDict):
    """A signal at a step of a plan."""

    at: int
    signal: str
    revision: int


class Plan(TypedDict):
    """Curves of a run, past and future."""

    id: str
    name: str
    axis: Axis
    generation: int
    settled_until: int
    """First step of the plan that may still change."""
    steps: list[int]
    """Steps at which the curves are given, common to all."""
    parameters: dict[str, list[float]]
    """A value for each of `steps`."""
    revisions: list[PlanRevision]
    signals: list[PlanSignal]


class Reason(TypedDict):
    """A parameter's value at a step, and what gives it."""

    value: float
    revision: int
    effective: int
    """Step from which that revision holds."""
    author: str | None
    message: str
    cause: dict[str, Any] | None
    """Of what a controller or a program decided: the controller, and the step of the report."""
    created_at: str
    definition: Definition
    origin: int
    """Step at which the definition's own clock is 0."""
    words: NotRequired[Words]


class Explanation(TypedDict):
    """Why the values at a step are what they are."""

    id: str
    step: int
    generation: int
    revision: int
    """Newest revision in force there."""
    final: bool
    """Whether the step is settled, so that its values never change."""
    parameters: dict[str, Reason]


class Segment(TypedDict):
    """Consecutive cells of a ledger."""

    start: int
    count: int
    """How many cells."""
    values: dict[str, list[float]]


class Served(TypedDict):
    """What was served of a generation, bit for bit."""

    id: str
    generation: int
    resolution: int
    """Width of a cell."""
    parameters: list[str]
    segments: list[Segment]


class Ledger(Served):
    """A page of what was served of a generation, bit for bit."""

    next: str | None
    """The `cursor` that asks for what follows; null on the last page."""


# --- changes of a run -----------------------------------------------------------------------------


class Landing(TypedDict):
    """How far beyond the fastest worker a change takes effect."""

    beyond: int | None
    """From where that worker was last seen to read, in steps; null if none was seen."""
    warnings: list[str]
    """A sentence, if that is far."""


class Revised(Landing):
    """A change was accepted."""

    revision: int
    effective: int
    """First step for which it holds."""
    pending: list[Revision]
    """Revisions that have yet to take effect, in the order in which they will."""


class Rehearsal(Landing):
    """What a change would do, of which nothing was done."""

    effective: int
    """First step for which it would hold."""
    steps: list[int]
    """Steps at which the curves are given."""
    before: dict[str, list[float]]
    """The curves without it."""
    after: dict[str, list[float]]
    """The curves with it."""
    pending: list[Revision]
    """Revisions that would have yet to take effect."""


class TotalRevised(Revised):
    """The total was set, or was in force already."""

    total: int


class TotalRehearsal(Rehearsal):
    """What another total would do, of which nothing was done."""

    total: int


class Cancelled(Landing):
    """A pending revision was taken back."""

    revision: int
    """Revision that records it."""
    cancelled: int
    """Revision that was taken back."""
    pending: list[Revision]
    """Revisions that have yet to take effect."""


class Signalled(Landing):
    """A signal was accepted."""

    revision: int
    effective: int
    """Step at which all ranks are told."""


class Advanced(Landing):
    """The settled end was moved on."""

    revision: int
    effective: int
    settled_until: int
    """First step that is open now."""
    generation: int


class Halted(Landing):
    """A stop or a pause was accepted."""

    revision: int
    effective: int
    """First step that is not to be had."""


class Resumed(TypedDict):
    """The pauses at which a run held were taken back."""

    revision: int
    """Revision that records it."""
    pause: int | None
    """Revision that holds the run again, at `until`."""
    cancelled: list[int]
    """Pauses that were taken back."""
    settled_until: int
    """First step that workers are given now."""


class Remade(TypedDict):
    """A controller's change that a rewind would have dropped, made again."""

    controller: str
    step: int
    """Step of the report that it was decided on."""
    decision: Literal["change", "blocked"]
    revision: int | None
    """The new one; null if it was blocked."""
    effective: int
    problem: NotRequired[dict[str, str]]
    """Of a blocked one, what it was refused with: `type` and `detail`."""


class Dropped(TypedDict):
    """A controller's decision that a rewind has dropped."""

    controller: str
    step: int
    """Step of the report that it was decided on."""
    decision: Literal["change", "stop", "proposal"]
    revision: int | None
    proposal: int | None


class Rewound(From):
    """A generation was begun; `from` is the step at which it branches."""

    generation: int
    parent: int
    """Generation that it branches from."""
    ended: int
    """Where the generation that was left is settled to."""
    revision: int
    again: list[Remade]
    """Changes that controllers had decided on the past that is kept, in their order."""
    dropped: list[Dropped]
    """Stops and proposals of theirs that are gone."""


# --- proposals ------------------------------------------------------------------------------------


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


class Accepted(Proposal):
    """What was asked for is done, by `revision`."""

    effective: int
    """First step for which that holds."""
    late_by: int | None
    """By how much later that is than the step that a controller wanted; null: it is not."""


# --- reports and controllers ----------------------------------------------------------------------

MetricValue = float | str
"""A number, or ``NaN``, ``Infinity`` or ``-Infinity`` as text."""

DecisionKind = Literal["change", "stop", "proposal", "blocked"]
"""What a controller decided on a report; ``blocked``: it was refused."""


class Differing(TypedDict):
    """A report that came again with another value; the first one stays."""

    metric: str
    step: int
    kept: MetricValue
    given: MetricValue


class OffGate(TypedDict):
    """A report that came at a step which is no gate of a controller that has gates."""

    controller: str
    step: int


class Decision(TypedDict):
    """What a controller decided on a report."""

    controller: str
    step: int
    """Step of the report."""
    value: MetricValue
    """What it consumed, of all sources together."""
    decision: DecisionKind
    revision: int | None
    """What it made, of a change or a stop."""
    proposal: int | None
    """Number of the proposal that it made."""
    effective: int | None
    """Step from which it holds."""
    generation: int
    """In which it was decided."""
    message: str
    """Why."""
    created_at: str | None
    event: int
    """Its number among the events of the run."""
    problem: NotRequired[dict[str, str]]
    """Of a blocked one, what it was refused with: `type` and `detail`."""


DecisionPage = Page[Decision]


class Reported(TypedDict):
    """What became of reports."""

    kept: int
    """How many values were stored, those that came late among them."""
    repeated: int
    """How many were there before, with the same bits."""
    late: int
    """How many of the kept ones lie at or below what the controllers have consumed."""
    differs: list[Differing]
    """Those that were there before with another value, which stays."""
    ignored: list[str]
    """Metrics that are not kept: there are too many that no controller reads."""
    again: bool
    """Whether to send the reports again: those at later steps were not kept yet."""
    decisions: list[Decision]
    """The decisions on the steps that were named, whenever they were made."""
    off_gate: list[OffGate]
    """Reports at a step that is no gate: they were consumed, and land where they can."""
    warnings: list[str]
    """What is odd about them, in sentences."""
    watched: list[str]
    """Metrics that a controller reads: to be sent at once."""
    settled_until: int
    """First step of the current generation that is open."""


class Reports(TypedDict):
    """Reports of one metric, by step and source."""

    metric: str
    steps: list[int]
    values: list[MetricValue]
    sources: list[str]
    next: int
    """What to ask for `after` the next time: a number that reports are counted by."""


class ReportedValue(TypedDict):
    """A step, and the value that was consumed there."""

    step: int
    value: MetricValue


class ArmedController(TypedDict):
    """A controller that is armed on a run."""

    name: str
    revision: int
    """Revision that armed it as it is."""
    config: dict[str, Any]
    """As it was given, with all defaults."""
    state: dict[str, Any]
    """What it remembers; what is not finite is text, as in reports."""
    last: ReportedValue | None
    """The newest report that it has consumed; null before the first."""
    decisions: int
    """How many decisions it has made on the present line, since it was armed as it is."""
    gate: int | None
    """The step at which workers will wait for the metric; null if there is none."""


ControllerPage = Page[ArmedController]


class Disarmed(TypedDict):
    """A controller was disarmed."""

    name: str
    revision: int
    """Revision that records it."""


# --- events ---------------------------------------------------------------------------------------


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


class DecidedEvent(AnyEvent):
    """A controller decided on a report; what it made is an event of its own."""

    kind: Literal["decided"]
    controller: str
    step: int
    """Step of the report."""
    value: MetricValue
    """What it consumed, of all sources together."""
    decision: DecisionKind
    revision: int | None
    proposal: int | None
    effective: int | None
    message: str
    """Why."""
    problem: NotRequired[dict[str, str]]
    """Of a blocked one, what it was refused with: `type` and `detail`."""


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
    | FinishedEvent
)
"""The ``data`` of an event that happened to a run; ``kind`` tells which one."""


# --- definitions and the library ------------------------------------------------------------------


class Evaluated(TypedDict):
    """Values of a definition at the steps that were asked for."""

    values: list[float]


class EvaluatedStep(TypedDict):
    """The value of a definition at the step that was asked for."""

    value: float


class SimulatedDecision(TypedDict):
    """What a controller decided on one report."""

    step: int
    """The step of the report."""
    decision: Literal["change", "stop", "proposal"]
    effective: int
    """Where it lands, if nothing beyond the step of the report is settled by then."""
    message: str
    """Why, for people."""
    factor: NotRequired[float]
    """By what a plateau multiplies the parameter."""


class Simulated(TypedDict):
    """What a controller makes of a series of reports, up to its first stop."""

    decisions: list[SimulatedDecision]
    steps: list[int]
    """Those of the reports or, with ``total``, of the whole curve, thinned; none past a stop."""
    values: list[float]
    """The parameter's values there: those of the definition, times all factors so far."""
    warnings: list[str]
    """What is odd about the reports for this controller."""


class Converted(TypedDict):
    """The definition that gives the values of another library's scheduler."""

    definition: Definition


class ConvertedController(TypedDict):
    """The controller that reacts to a metric as another library's plateau or early stopping."""

    controller: ControllerConfig
    definition: NotRequired[Definition]
    """The curve that it acts on, where the library has one in the same class, as a warm-up."""


class ConvertedConfig(TypedDict):
    """The definitions and controllers that a configuration file describes, as a run takes them."""

    parameters: dict[str, Definition]
    """By parameter."""
    controllers: NotRequired[dict[str, ControllerConfig]]
    """By their names, where something in the file reacts to a metric."""


class KindField(TypedDict):
    """A field of a kind of definition."""

    name: str
    type: str
    """In words."""
    unit: str | None
    bounds: list[str]
    """In words."""
    description: str
    required: bool
    default: NotRequired[Any]
    """What it is where it is not given; a field that is required has none."""


class Kind(TypedDict):
    """A kind of definition."""

    kind: str
    family: str
    summary: str
    formula: str
    before: str
    """The value before step 0, in words."""
    after: str
    """The value after the end, in words."""
    fields: list[KindField]
    example: Definition
    expansion: Definition | None
    """What the example of a preset is made of."""
    names: dict[str, str]
    """What other libraries call it."""
    schema: dict[str, Any]
    """The JSON Schema of its definitions."""


KindPage = Page[Kind]


class ScheduleVersion(TypedDict):
    """One version of a schedule of the library, without what it defines."""

    name: str
    version: int
    content_hash: str
    """SHA-256 of the definition's canonical form, in hexadecimal."""
    author: str | None
    created_at: str


SchedulePage = Page[ScheduleVersion]


class Schedule(ScheduleVersion):
    """One version of a schedule of the library."""

    definition: Definition


class ScheduleCurve(TypedDict):
    """Values of a schedule."""

    name: str
    version: int
    start: int
    stop: int
    stride: int
    values: list[float]


class ScheduleStep(TypedDict):
    """The value of a schedule at one step."""

    name: str
    version: int
    step: int
    value: float


# --- access and operations ------------------------------------------------------------------------


class Token(TypedDict):
    """A token, without its secret."""

    name: str
    role: Role
    created_at: str
    created_by: str | None
    expires_at: str | None
    """When it ceases to work; null: never."""
    revoked_at: str | None


TokenPage = Page[Token]


class IssuedToken(Token):
    """A token that was made just now."""

    token: str
    """The secret, which nobody can be told again."""


class Access(TypedDict):
    """Who asks."""

    name: str | None
    """The token's name; null at a server that requires none."""
    role: Role


class Health(TypedDict):
    """The process handles requests."""

    status: Literal["alive"]


class Readiness(TypedDict):
    """The database can be read and written."""

    status: Literal["ready"]


class Index(TypedDict):
    """Where things are: each is a path of this service."""

    service: str
    version: str
    openapi: str
    kinds: str
    runs: str
    schedules: str
    metrics: str
    docs: NotRequired[str]
    """Not there if the interactive documentation is switched off."""


# --- failures -------------------------------------------------------------------------------------


class FieldError(TypedDict):
    """One wrong field of a request."""

    field: str
    """Path in the body, or the parameter's name."""
    message: str
    """What is wrong, as a sentence."""
    value: Any
    """What was sent; a long value is cut short."""
    bound: NotRequired[str]
    """What it should have been."""


class Problem(TypedDict):
    """Every failure (RFC 9457). Some have further members, such as `earliest`."""

    type: str
    """`urn:rheostat:problem:` and a code that never changes."""
    title: str
    """The code as words."""
    status: Annotated[int, ("minimum", 400), ("maximum", 599)]
    detail: str
    """What happened, as a sentence."""
    reason: NotRequired[str]
    """Why the service cannot answer now (503)."""
    errors: NotRequired[list[FieldError]]
    request_id: str
    """Leads to the service's log."""
