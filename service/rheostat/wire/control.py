"""Reports of metrics, and the controllers that decide on them."""

from typing import Any, Literal, NotRequired, TypedDict

from rheostat.wire.common import Page

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


class Decided(TypedDict):
    """What is said of a controller's decision on a report, wherever it is told."""

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
    message: str
    """Why."""
    problem: NotRequired[dict[str, str]]
    """Of a blocked one, what it was refused with: `type` and `detail`."""


class Decision(Decided):
    """What a controller decided on a report."""

    generation: int
    """In which it was decided."""
    created_at: str | None
    event: int
    """Its number among the events of the run."""


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


class ControllerKind(TypedDict):
    """A kind of controller, in one reading."""

    kind: str
    reading: str | None
    """Whose meaning the words have; null where there is only one."""
    summary: str
    text: str
    """What this reading follows; names stand between backticks."""
    schema: dict[str, Any]
    """The JSON Schema of its controllers; `changes` are as a revision has them."""


ControllerKindPage = Page[ControllerKind]


class Disarmed(TypedDict):
    """A controller was disarmed."""

    name: str
    revision: int
    """Revision that records it."""
