"""Definitions: evaluated, converted and simulated ones, kinds, and the library of schedules."""

from typing import Any, Literal, NotRequired, TypedDict

from rheostat.wire.common import ControllerConfig, Definition, Page


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
    """The run that a configuration file describes: what it says, as a run is created with it."""

    library: str
    """The project whose file it is."""
    parameters: dict[str, Definition]
    """By parameter."""
    controllers: NotRequired[dict[str, ControllerConfig]]
    """By their names, where something in the file reacts to a metric."""
    axis: NotRequired[Literal["samples"]]
    """What the definitions and the total count, where that is not steps."""
    total: NotRequired[int]
    """The length of the training, where the file states it or it was given."""
    steps_per_epoch: NotRequired[int]
    """The length of an epoch, likewise."""


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
