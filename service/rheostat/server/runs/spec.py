"""The specification of a run: what it is created with, and keeps for life."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, WithJsonSchema, model_validator

from rheostat.errors import FieldError, Invalid
from rheostat.limits import (
    MAX_ABOUT,
    MAX_BLOCK,
    MAX_CONTROLLERS,
    MAX_GAP,
    MAX_LABEL,
    MAX_NAME,
    MAX_STEP,
    MAX_SURFACE,
    NAME,
    PARAMETER,
    RUN_ID,
    USUAL_BLOCK,
)
from rheostat.schedules.definition import GIVEN, REFERENCE
from rheostat.server.runs.control.fitting import Fitted, Setting, digest, fitted
from rheostat.server.runs.grid import Grid
from rheostat.server.runs.guards import Guard, require_sound_start, with_floors
from rheostat.server.runs.protection import Protect, StoredProtect
from rheostat.server.runs.surface import (
    Description,
    Goal,
    Signals,
    StoredDescription,
    StoredGoal,
    StoredSignalForm,
)
from rheostat.server.runs.timeline import Timeline, Timelines
from rheostat.server.runs.validation import (
    Limits,
    Units,
    require_at_most,
    require_few_texts,
    validate,
)

Whole = Annotated[int, Field(ge=1, le=MAX_STEP)]
_BlockSize = Annotated[int, Field(ge=1, le=MAX_BLOCK)]
Parameter = Annotated[str, Field(pattern=f"^{PARAMETER}$", max_length=MAX_NAME)]
Label = Annotated[
    str,
    Field(
        pattern="^[^=]+$", max_length=MAX_NAME, description="without =, which ends it in a filter"
    ),
]

RunName = Annotated[
    str, Field(pattern=f"^{NAME}$", description="unique among the runs that exist; not an id")
]
Labels = Annotated[
    dict[Label, Annotated[str, Field(max_length=MAX_LABEL)]],
    Field(description="free text, to find runs by"),
]


class RunSpec(BaseModel):
    """
    What a run is created with, and keeps for life: a field of it is received, stored and shown.

    It is received as `RunBody`, which forbids what it does not know, and stored as `StoredRun`,
    which leaves it alone.
    """

    model_config = ConfigDict(frozen=True, strict=True)

    name: RunName
    parameters: Annotated[
        dict[Parameter, Annotated[Any, WithJsonSchema(GIVEN)]],
        Field(min_length=1, description="a definition, or a number, for each parameter"),
    ]
    axis: Annotated[
        Literal["step", "samples", "tokens", "epoch"], Field(description="what the run counts")
    ] = "step"
    resolution: Annotated[Whole, Field(description="the width of a cell of the grid")] = 1
    total: (
        Annotated[Whole, Field(description="the planned length, for relative lengths")] | None
    ) = None
    steps_per_epoch: (
        Annotated[Whole, Field(description="the length of an epoch, for lengths in epochs")] | None
    ) = None
    max_block: Annotated[_BlockSize, Field(description="the most cells in one settling read")] = (
        USUAL_BLOCK
    )
    max_jump: Annotated[
        _BlockSize,
        Field(
            description="the most cells that one read may settle at once; by default 4096, or"
            " max_block if that is more"
        ),
    ] = USUAL_BLOCK
    guards: Annotated[
        dict[Parameter, Guard],
        Field(
            description="bounds that neither the definitions nor a change may break; the `min` of"
            " `lr` and `weight_decay`, groups included, is 0 unless it is given (null: none)"
        ),
    ] = Field(default_factory=dict)
    labels: Labels = Field(default_factory=dict)
    paused: Annotated[
        bool, Field(description="whether it waits at its first step until it is resumed")
    ] = False
    describe: Annotated[
        dict[Parameter, Description], Field(description="what people should know of parameters")
    ] = Field(default_factory=dict)
    signals: Annotated[
        Signals,
        Field(
            description="the signals that the training understands; none: any, without arguments"
        ),
    ] = Field(default_factory=dict)
    controllers: Annotated[
        dict[RunName, Annotated[Any, WithJsonSchema({REFERENCE: "ControllerConfig"})]],
        Field(
            max_length=MAX_CONTROLLERS, description="what reads its metrics, armed from the start"
        ),
    ] = Field(default_factory=dict)
    goal: Annotated[Goal, Field(description="what the training is after")] | None = None
    about: Annotated[
        str, Field(max_length=MAX_ABOUT, description="what the run is about, at most 4 KiB")
    ] = ""
    protect: (
        Annotated[
            Protect,
            Field(
                description="that what an operator does to it, but for what `except` lists, waits"
                " until another one accepts it"
            ),
        ]
        | None
    ) = None

    @model_validator(mode="before")
    @classmethod
    def _jump(cls, data: Any) -> Any:
        """Let the longest block be read at once, unless something else is said."""
        block = data.get("max_block") if isinstance(data, dict) else None
        if type(block) is int and USUAL_BLOCK < block <= MAX_BLOCK:
            return {"max_jump": block, **data}
        return data

    @property
    def grid(self) -> Grid:
        """The run's grid."""
        return Grid(self.resolution)

    @property
    def max_gap(self) -> int:
        """
        The most cells past what is settled at which a read may begin.

        A training that counts steps or epochs reads each of them. One that counts samples or
        tokens may read one cell in as many as its batch is wide.
        """
        return MAX_GAP if self.axis in {"step", "epoch"} else self.max_jump

    @property
    def names(self) -> list[str]:
        """The names of the parameters, sorted: the order of columns everywhere."""
        return sorted(self.parameters)

    def units(self, units: Units, total: int | None) -> Units:
        """Return ``units`` with the run's own lengths, of which the total may have changed."""
        return Units(total, self.steps_per_epoch, units.lookup)

    def to_json(self) -> dict[str, Any]:
        """Return the stored form."""
        return self.model_dump(mode="json")


class RunBody(RunSpec):
    """The body that creates a run, but for the definitions, which are read by `Units`."""

    model_config = ConfigDict(extra="forbid", title="RunSpec")


SPEC = TypeAdapter(RunBody)


class StoredGuard(Guard):
    """A guard as a row has it."""

    model_config = ConfigDict(extra="ignore")


class StoredRun(RunSpec):
    """
    A specification as a row has it, maybe one that a newer release stored.

    Fields that are not known here say nothing about values, and are left alone. ``parameters`` are
    the digests of what definitions say.
    """

    model_config = ConfigDict(extra="ignore")

    guards: dict[Parameter, StoredGuard] = Field(default_factory=dict)  # type: ignore[assignment]
    describe: dict[str, StoredDescription] = Field(default_factory=dict)  # type: ignore[assignment]
    signals: dict[str, StoredSignalForm] = Field(default_factory=dict)  # type: ignore[assignment]
    goal: StoredGoal | None = None
    protect: StoredProtect | None = None
    about: str = ""


def parse_run(
    body: Any, units: Units, limits: Limits
) -> tuple[StoredRun, Timelines, Mapping[str, Fitted]]:
    """
    Return the specification of a run, what the run follows, and its controllers.

    In the specification, digests stand for what definitions and controllers say.

    Raises:
        Invalid: Names each field that is wrong, its value and its bound.
        GuardViolated: A definition leaves the bounds of its parameter's guard.

    """
    given = validate(SPEC, body, "")
    _require_sound(given, limits)
    require_few_texts("parameters", given.parameters)
    reader = given.units(units, given.total)
    written = {
        name: reader.write(data, f"parameters.{name}") for name, data in given.parameters.items()
    }
    # a run's row is read for each block, so it names its definitions by what they say
    digests = {name: each.digest for name, each in written.items()}
    guards = with_floors(given.guards, given.names)
    timelines = Timelines({name: Timeline.of(*each) for name, each in written.items()})
    timelines.require_sound(0)
    setting = Setting(given.names, timelines.sources, given.steps_per_epoch)
    armed = fitted(given.controllers, setting, reader)
    configs = {name: digest(each.controller.document) for name, each in armed.items()}
    changed = {"parameters": digests, "guards": guards, "controllers": configs}
    spec = StoredRun.model_validate(given.model_copy(update=changed).to_json())
    require_sound_start(spec.guards, timelines)
    return spec, timelines, armed


def require_free_name(name: str) -> None:
    """Raise `Invalid` if a name looks like an id."""
    if re.fullmatch(RUN_ID, name):
        message = "the name looks like the id of a run, which a path could mistake it for"
        raise Invalid(message, errors=[FieldError("name", message, name, "not an id")])


def _require_sound(spec: RunBody, limits: Limits) -> None:
    require_at_most(limits.parameters, "parameters", spec.parameters, "parameters")
    require_at_most(limits.labels, "labels", spec.labels, "labels")
    require_at_most(limits.block, "max_block", spec.max_block, "cells")
    require_at_most(limits.jump, "max_jump", spec.max_jump, "cells")
    require_free_name(spec.name)
    _require_known("guards", "guard", spec.guards, spec)
    _require_known("describe", "description", spec.describe, spec)
    require_at_most(MAX_ABOUT, "about", len(spec.about.encode()), "bytes")
    # a run's row is read for each block
    said = spec.model_dump_json(include={"describe", "signals"})
    field = "signals" if spec.signals else "describe"
    require_at_most(MAX_SURFACE, field, len(said.encode()), "bytes of JSON in all")


def _require_known(field: str, what: str, given: Mapping[str, object], spec: RunBody) -> None:
    for name in sorted(given.keys() - spec.parameters.keys()):
        message = f"the {what} is for {name!r}, which is not a parameter of the run"
        bound = f"one of {', '.join(spec.names)}"
        raise Invalid(message, errors=[FieldError(f"{field}.{name}", message, name, bound)])
