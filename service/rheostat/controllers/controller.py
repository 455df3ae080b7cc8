"""
The base of all controllers: their common fields, what they remember, and one step of their fold.

A controller is a pure rule. It reads one value of a metric after the other and says at each whether
it *fires*; what becomes of that (a change, a stop, a proposal) is made by whoever steps it, the
server's operations or `simulate`. Both go the same way::

    state, fires, why = controller.step(state, step, value)
    if fires:
        made = ...            # was there anything to make of it?
        state = controller.fired(state, made=made)
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Annotated, Any, ClassVar, Final, Literal, NamedTuple, Self

from pydantic import ConfigDict, Field, model_validator

from rheostat.controllers.fields import Choice, Metric, Mode, Part, Place
from rheostat.controllers.numbers import json_of_value, told, value_of_json
from rheostat.controllers.sources import Sources
from rheostat.limits import MAX_REASON, MAX_STEP
from rheostat.schedules.field_errors import wrong


@dataclass(frozen=True, slots=True)
class State:
    """
    What a controller remembers between reports; each kind uses what it needs.

    `best` is the best value so far as the reading has it, None before the first one, and may be
    infinite or NaN where the library's is.
    """

    best: float | None = None
    best_step: int | None = None
    bad: int = 0
    """Reports in a row that are no better, that spike, or for which the rule holds."""
    cool: int = 0
    """Reports that still cannot count, after a decision."""
    count: int = 0
    """Reports in the mean that is being gathered."""
    mean: float = 0.0
    scale: float = 1.0
    """The product of the factors so far."""
    since: int | None = None
    """The step from which patience counts, where it counts steps."""
    window: tuple[float, ...] = ()
    """The last values that were usual, the oldest first."""


class Step(NamedTuple):
    """What one report came to."""

    state: State
    fires: bool
    why: str
    """A sentence for people, without a full stop; the empty text unless it fires."""


class After(Choice):
    """Lands at a step that depends on the report alone."""

    after: Annotated[
        int, Field(ge=1, le=MAX_STEP, description="so many steps after that of the report")
    ]
    late: Annotated[
        Literal["propose", "drop"] | None,
        Field(description="what to do if that is settled by then; else it is made at the next"),
    ] = None


class Gate(Part):
    """Steps that no worker passes before the metric is reported there."""

    every: Annotated[
        Annotated[int, Field(ge=1, le=MAX_STEP)] | Literal["epoch"],
        Field(description="a number of steps, or each epoch"),
    ]


class Controller(Part):
    """A named rule of a run that reads one metric and may decide."""

    model_config = ConfigDict(
        json_schema_extra=lambda schema: schema.update(
            required=["kind", *schema.get("required", ())]
        ),
    )

    remembers: ClassVar[tuple[str, ...]]
    """The fields of `State` that the kind uses, besides the best."""

    kind: str
    metric: Metric
    mode: Mode = "min"
    start: Annotated[
        Place, Field(description="reports below this step are consumed and change nothing")
    ] = 0
    sources: Sources = Sources()
    effective: Annotated[
        Literal["next"] | After, Field(description="where what it decides takes effect")
    ] = "next"
    action: Annotated[
        Literal["apply", "propose"], Field(description="make the decision, or wait for a yes")
    ] = "apply"
    limit: Annotated[
        Annotated[int, Field(ge=1, le=MAX_STEP)] | None,
        Field(description="how often it may decide, on one line of a run"),
    ] = None
    message: Annotated[
        str, Field(max_length=MAX_REASON, description="stands before the reason of each decision")
    ] = ""
    gate: Annotated[Gate | None, Field(description="where workers wait for the metric")] = None

    @model_validator(mode="after")
    def _gate_lands_next(self) -> Self:
        if self.gate is not None and self.effective != "next":
            message = "lands what is decided at the gate itself"
            raise wrong("gate", message, None, 'effective: "next"')
        return self

    @cached_property
    def document(self) -> dict[str, Any]:
        """The controller as it is stored and shown: with all defaults."""
        return self.model_dump(mode="json")

    @property
    def written(self) -> dict[str, Any]:
        """The controller as people would write it: without what all kinds have by default."""
        plain = {name for name in _USUAL if getattr(self, name) == _USUAL[name]}
        return {name: value for name, value in self.document.items() if name not in plain}

    @property
    def decides(self) -> Literal["change", "stop"]:
        """What it makes of the run when it fires, once that is applied."""
        return "change"

    @property
    def most(self) -> int | None:
        """How many decisions it may make on one line; None for any number."""
        return self.limit

    @property
    def looks_at(self) -> int:
        """How many values it looks at in each step."""
        return 1

    def initial(self) -> State:
        """Return the state before the first report."""
        return State()

    def step(self, state: State, step: int, value: float) -> Step:
        """Return what the report of a value at a step comes to. Steps are in rising order."""
        return Step(state, False, "") if step < self.start else self._fold(state, step, value)

    @abstractmethod
    def _fold(self, state: State, step: int, value: float) -> Step:
        """Return what a report at or past `start` comes to."""

    def fired(self, state: State, *, made: bool) -> State:
        """
        Return the state after a step that fired, once it is known what was made of it.

        ``made`` says whether there was anything to make: False where the floor or ``eps`` leaves no
        parameter to reduce, and where `most` is used up. What was then refused by a guard of the
        run, or only proposed, was made all the same, and is not tried again at the next report.
        """
        del made
        return state

    def reset(self, state: State) -> State:
        """Return the state with all counters anew: patience starts again, the best stays."""
        kept = State()
        return replace(kept, best=state.best, best_step=state.best_step, scale=state.scale)

    def warning(self, value: float) -> str | None:
        """Return what is odd about a value for this controller, for people; None for nothing."""
        del value
        return None

    def effective_step(self, step: int) -> int | None:
        """Return where a decision on the report of a step is to land; None for the next one."""
        return None if self.effective == "next" else step + self.effective.after

    def gate_after(self, base: int, steps_per_epoch: int | None = None) -> int | None:
        """
        Return the first gate above ``base``; None without gates.

        There is none below `start`, where no report can decide anything.

        Raises:
            ValueError: if gates are at epochs, and their length is not given.

        """
        every = self._every(steps_per_epoch)
        return None if every is None else every * max(base // every + 1, -(-self.start // every))

    def is_gate(self, step: int, steps_per_epoch: int | None = None) -> bool:
        """Say whether a step is a gate."""
        every = self._every(steps_per_epoch)
        return every is not None and step >= self.start and step > 0 and step % every == 0

    def _every(self, steps_per_epoch: int | None) -> int | None:
        every = None if self.gate is None else self.gate.every
        if every != "epoch":
            return every
        if steps_per_epoch is None:
            raise ValueError("gates are at epochs, and steps_per_epoch is not given")
        return steps_per_epoch

    def said(self, why: str) -> str:
        """Return the message of a decision."""
        return f"{self.message}: {why}" if self.message else why

    def dump_state(self, state: State) -> dict[str, Any]:
        """Return the JSON of a state, from which `load_state` gives the same one back."""
        names = ("best", "best_step", *self.remembers)
        return {name: _to_json(getattr(state, name)) for name in names}

    def load_state(self, document: Mapping[str, Any]) -> State:
        """Return the state that `dump_state` wrote; what is missing is as in a new one."""
        found = {name: value for name, value in document.items() if name in _READERS}
        read: dict[str, Any] = {name: _READERS[name](value) for name, value in found.items()}
        return State(**read)

    def _better(self, value: float, best: float) -> bool:
        return value < best if self.mode == "min" else value > best

    def _not_better(self, state: State, count: int, what: str) -> str:
        """Say that nothing was better than the best for so many reports, means or steps."""
        best = f"been better than {told(state.best)}" if state.best_step is not None else "improved"
        where = "" if state.best_step is None else f" (step {state.best_step:,})"
        return f"{self.metric} has not {best}{where} for {counted(count, what)}"


def counted(count: int, what: str) -> str:
    """Return a number of things, in words."""
    return f"{count:,} {what}" if count == 1 else f"{count:,} {what}s"


def _to_json(value: Any) -> Any:
    if isinstance(value, tuple):
        return [json_of_value(item) for item in value]
    return json_of_value(value) if isinstance(value, float) else value


def _float(value: Any) -> float | None:
    return None if value is None else value_of_json(value)


def _floats(values: Any) -> tuple[float, ...]:
    return tuple(map(value_of_json, values))


def _same(value: Any) -> Any:
    return value


_BY_TYPE: Final[Mapping[str, Callable[[Any], Any]]] = {
    "float | None": _float,
    "float": _float,
    "tuple[float, ...]": _floats,
}
_READERS: Final[Mapping[str, Callable[[Any], Any]]] = {
    field.name: _BY_TYPE.get(str(field.type), _same) for field in fields(State)
}
"""How each field of a state is read from JSON, whose 1 may have been 1.0."""


_USUAL: Final = {
    name: field.default
    for name, field in Controller.model_fields.items()
    if not field.is_required() and name != "mode"
}
"""What fields of every kind are unless somebody says otherwise; the mode is always worth saying."""
