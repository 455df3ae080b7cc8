"""Values: settled blocks, previews, plans and what was served."""

from typing import Any, NotRequired, TypedDict

from rheostat.wire.common import Axis, Definition
from rheostat.wire.runs import From, Words


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


class LeftLine(TypedDict):
    """What was served in a generation that a rewind left, from where it was left on."""

    generation: int
    steps: list[int]
    parameters: dict[str, list[float]]
    """A value for each of `steps`."""


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
    left: list[LeftLine]
    """Of the newest generations that were left, a few points each."""
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
