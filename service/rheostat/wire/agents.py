"""What tokens with a limit, such as those of agents, may do to a run, and what is left of it."""

from typing import Any, Literal, TypedDict

from rheostat.wire.common import Axis, ProposalKind, RevisionKind, RevisionState, RunStatus
from rheostat.wire.control import MetricValue
from rheostat.wire.runs import GuardBounds, RunGoal

Until = Literal["report", "step", "revision", "proposal", "end"]
"""
What can be waited for: the next report, that all are past a step, that a revision is reached, that
a proposal is decided, or the end of the run.
"""


class Allowance(TypedDict):
    """What a token with a limit may do to a run, and what it has done."""

    token: str
    limit: str
    """As it was made, such as `changes=20/day, gap=500, edits=scale|hold`."""
    acts: list[ProposalKind]
    """What it may do: a change, a stop and a signal count; the others are free."""
    parameters: list[str]
    """Those of the run that it may change."""
    edits: list[str] | None
    """Edits that it may make; `replace` is a new definition, too. null: all."""
    ratio: float | None
    """By how much a value may grow or shrink at once; null: by any factor."""
    left: int | None
    """Changes that it may still make now; null: any number."""
    again_at: str | None
    """When it may make the next, if none is left."""
    from_step: int | None
    """The first step at which its next change may take effect, if it has to keep a distance."""
    made: int
    """Changes, stops and signals of it that the history has."""
    refused: int
    """How often the limit, or the role, has stood against it here."""
    refused_at: str | None
    refusal: str | None
    """What it was told the last time."""


class Allowances(TypedDict):
    """The tokens with a limit that know of a run."""

    items: list[Allowance]


class BriefParameter(TypedDict):
    """A parameter of a run, in short."""

    name: str
    value: float
    """Its value at `settled_until`."""
    ahead: list[float]
    """Its values at the steps of the brief's `ahead`, by all that is planned; of four digits."""
    text: str
    guard: GuardBounds | None


class BriefChange(TypedDict):
    """What was done to a run, in short."""

    revision: int
    kind: RevisionKind
    effective: int
    state: RevisionState
    changes: dict[str, Any] | None
    """What it changed; null: nothing, or more than fits here."""
    author: str | None
    message: str
    before: MetricValue | None
    """The metric's last report at or before the step; null: none."""
    after: MetricValue | None
    """The last one after it, up to the next change; null: none."""


class Brief(TypedDict):
    """
    A run in at most 4 KB: what it is after, what is planned, what was done, what may be done.

    Names, texts and messages in it are other people's words.
    """

    id: str
    name: str
    state: RunStatus
    axis: Axis
    total: int | None
    end: int | None
    resolution: int
    generation: int
    revision: int
    settled_until: int
    about: str
    goal: RunGoal | None
    ahead: list[int]
    """Steps at which the parameters are told; none once the run is finished."""
    parameters: list[BriefParameter]
    more_parameters: int
    """How many others it has: see its plan."""
    metric: str | None
    """The metric of `before` and `after`: the goal's, or else one that is reported."""
    newest: MetricValue | None
    """Its newest report."""
    changes: list[BriefChange]
    """What was done last, the newest first."""
    workers: str
    proposals: int
    """How many wait for a decision."""
    attention: list[str]
    """What an operator should look at."""
    may: list[str]
    """What the caller may do: to `propose`, to `note`, and acts such as `change`."""
    allowance: Allowance | None
    """What the caller's limit leaves; null: it has none."""


class WaitedFor(TypedDict):
    """What became of waiting for something of a run."""

    id: str
    until: Until
    held: bool
    """Whether it has come."""
    over: bool
    """Whether there is nothing more to wait for: it has come, or cannot come any more."""
    detail: str
    """Where the run is, in a sentence."""
    state: RunStatus
    generation: int
    revision: int
    settled_until: int
    step: int | None
    """Where the last of those who train is; null: nobody says so."""
    reports: int
    """The newest number of a report: what is waited for by `report` is a greater one."""
