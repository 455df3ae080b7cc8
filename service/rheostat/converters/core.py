"""What a converter is written with: its library, the schedulers of it, and a case of one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from inspect import Parameter, cleandoc, signature
from typing import Annotated, Any, TypeAlias, TypeVar, get_type_hints

from pydantic import BaseModel, BeforeValidator, Field, create_model

from rheostat.controllers import Controller
from rheostat.converters.parameters import STRICT, Ignored, Shared, whole
from rheostat.errors import FieldError, Invalid
from rheostat.limits import MAX_NODES, MAX_POINTS, MAX_STEP
from rheostat.schedules.field_errors import shown
from rheostat.schedules.shortest import shortest
from rheostat.schedules.union import AnyDefinition


@dataclass(frozen=True)
class Conversion:
    """
    What a scheduler or an early stopping becomes: a definition, a controller, or both.

    Both, where a curve and a reaction to a metric are one thing in its library, as a plateau with
    a warm-up.
    """

    definition: AnyDefinition | None = None
    controller: Controller | None = None

    @property
    def curve(self) -> AnyDefinition:
        """The definition of what has one."""
        if self.definition is None:
            raise LookupError("it becomes a controller alone")
        return self.definition

    def written(self) -> dict[str, Any]:
        """Return what there is, by its name, as people would write it."""
        found: dict[str, Any] = {}
        if self.definition is not None:
            found["definition"] = shortest(self.definition.to_json())
        if self.controller is not None:
            found["controller"] = self.controller.written
        return found


Converter: TypeAlias = Callable[..., AnyDefinition | Conversion]
"""A function of a `Case`, of the models that schedulers share, and of its own parameters."""
Registered = TypeVar("Registered", bound=Converter)


class Nested(BaseModel):
    """A scheduler inside of another one's parameters."""

    model_config = STRICT

    name: str
    params: dict[str, Any] = {}


class Context(BaseModel):
    """What surrounds a scheduler: what its library knows beside the scheduler's parameters."""

    model_config = STRICT

    total: Annotated[
        Annotated[int, Field(ge=1, le=MAX_STEP), BeforeValidator(whole)] | None,
        Field(description="the length of the training in steps"),
    ] = None
    steps_per_epoch: Annotated[
        Annotated[int, Field(ge=1, le=MAX_STEP), BeforeValidator(whole)] | None,
        Field(
            description="the length of an epoch in steps, where some count epochs and others steps"
        ),
    ] = None
    context: Annotated[
        dict[str, Any] | None, Field(description="the state of Composer's trainer: its durations")
    ] = None
    lr_scale: Annotated[float | None, Field(description="timm's factor of the group")] = None
    group: Annotated[int | str | None, Field(description="the parameter group")] = None
    group_overrides: Annotated[
        dict[str, Any] | None, Field(description="what Megatron's group sets for itself")
    ] = None
    optimizer_default_lr: Annotated[
        float | None, Field(description="the optimizer's own default, if a group differs from it")
    ] = None
    metric: Annotated[
        str | None,
        Field(
            description="what the reports call the metric that is watched; by default as its "
            "library does, and `val_loss` where that names none"
        ),
    ] = None


class ConversionBudget:
    """How many schedulers, of how many values, may still be converted for one definition."""

    def __init__(self) -> None:
        self._left = MAX_NODES
        self._values = MAX_POINTS

    def spend(self, params: Mapping[str, Any], field: str) -> None:
        """Count one conversion; raise Invalid if there were too many, or of too much."""
        self._left -= 1
        self._values -= sum(len(v) for v in params.values() if isinstance(v, (list, dict, str)))
        if self._left < 0 or self._values < 0:
            bound = f"≤ {MAX_NODES} conversions, of {MAX_POINTS} values"
            message = "stand inside of too many others: each is converted several times"
            raise refused(FieldError(field, message, None, bound))


@dataclass(frozen=True)
class Case:
    """A scheduler as its own library configures it, and the value that it starts from."""

    library: str
    name: str
    base_value: float | None
    hyperparameter: str
    context: Context
    convert: Callable[[Case, str, dict[str, Any]], Conversion]
    """What converts a scheduler of the library in this name, with these parameters."""
    budget: ConversionBudget
    field: str = "params"
    """The path of the parameters, for errors."""

    @property
    def base(self) -> float:
        """The base value, which is required if it is asked for."""
        if self.base_value is None:
            message = f"is required: {self.name} starts from the optimizer's value"
            raise refused(FieldError("base_value", message, None, "a finite number"))
        return self.base_value

    @property
    def total(self) -> float:
        """The length of the training in steps, which is required if it is asked for."""
        if self.context.total is None:
            message = f"is required: {self.name} counts shares of the training"
            raise refused(FieldError("total", message, None, "≥ 1"))
        return self.context.total

    def every(self, parameter: str) -> int:
        """Return the length of an epoch in steps, which is required for what counts epochs."""
        if self.context.steps_per_epoch is None:
            message = f"is required: {parameter} counts epochs"
            bound = "≥ 1; it is 1 in a run that counts epochs"
            raise refused(FieldError("steps_per_epoch", message, None, bound))
        return self.context.steps_per_epoch

    def wrong(self, parameter: str, message: str, value: Any, bound: str | None = None) -> Invalid:
        """Return the error about a parameter, to be raised."""
        path = f"{self.field}.{parameter}" if parameter else self.field
        return refused(FieldError(path, message, shown(value), bound))

    def nested(
        self,
        spec: Nested,
        parameter: str,
        *,
        base_value: float | None = None,
        library: str | None = None,
        total: float | None = None,
        inside: str = ".params",
    ) -> AnyDefinition:
        """
        Return the definition of a scheduler that stands in a parameter of this one.

        It may have a base value, a library and a total of its own; its parameters stand at the
        path ``inside`` of there.
        """
        context = (
            self.context if total is None else self.context.model_copy(update={"total": total})
        )
        inner = replace(
            self,
            library=library or self.library,
            base_value=self.base_value if base_value is None else base_value,
            context=context,
            field=f"{self.field}.{parameter}{inside}",
        )
        found = self.convert(inner, spec.name, spec.params)
        if found.definition is None or found.controller is not None:
            message = f"reacts to a metric, and cannot stand inside of {self.name}"
            bound = "a schedule of steps; convert it by itself to a controller"
            raise refused(FieldError(inner.name_field, message, spec.name, bound))
        return found.definition

    def of(
        self,
        spec: Nested,
        parameter: str,
        *,
        library: str | None = None,
        metric: str | None = None,
    ) -> Conversion:
        """
        Return what a scheduler becomes for which this one only stands, in a parameter.

        It may have a library of its own, and this one may know the name of the metric.
        """
        named = self.context.metric or metric
        inner = replace(
            self,
            library=library or self.library,
            context=self.context.model_copy(update={"metric": named}),
            field=f"{self.field}.{parameter}.params",
        )
        return self.convert(inner, spec.name, spec.params)

    @property
    def name_field(self) -> str:
        """The path of the name, for errors."""
        return self.field.removesuffix("params") + "name"


def refused(*errors: FieldError) -> Invalid:
    """Return the error for a scheduler that cannot be converted."""
    return Invalid("The scheduler cannot be converted.", errors=errors)


@dataclass(frozen=True)
class Scheduler:
    """A scheduler of a library: its names, its converter, and the fields that it schedules."""

    names: tuple[str, ...]
    function: Converter
    hyperparameters: tuple[str, ...] | None
    """None: any that its user names."""
    common: type[Shared] | None = None
    """What all of its library's schedulers accept, and none of the converters is handed."""
    reacts: bool = False
    """Whether it reacts to a metric."""

    @cached_property
    def own(self) -> tuple[str, ...]:
        """The names of the parameters that the converter is handed one by one."""
        items = signature(self.function).parameters.values()
        return tuple(item.name for item in items if item.kind is Parameter.KEYWORD_ONLY)

    @cached_property
    def shared(self) -> tuple[type[Shared], ...]:
        """The models that the converter is handed after its case, one argument each."""
        _, *names = signature(self.function).parameters
        return tuple(self._hints[name] for name in names if name not in self.own)

    @cached_property
    def _hints(self) -> dict[str, Any]:
        return get_type_hints(self.function, include_extras=True)

    @cached_property
    def model(self) -> type[BaseModel]:
        """The model of all parameters: it extends each of those that the converter is handed."""
        hints, items = self._hints, signature(self.function).parameters
        fields: dict[str, Any] = {
            name: (
                hints[name],
                ... if items[name].default is Parameter.empty else items[name].default,
            )
            for name in self.own
        }
        bases = (*self.shared, *([self.common] if self.common else []))
        return create_model(self.function.__name__, __base__=bases or Shared, **fields)

    @property
    def parameters(self) -> list[str]:
        """The names of all parameters, its own ones first."""
        return [*self.own, *(name for name in self.model.model_fields if name not in self.own)]

    def ignored(self) -> Iterator[tuple[str, str]]:
        """Yield the parameters that change nothing, and why."""
        for name in self.parameters:
            for mark in self.model.model_fields[name].metadata:
                if isinstance(mark, Ignored):
                    yield name, mark.reason

    def converted(self, case: Case, given: BaseModel) -> Conversion:
        """
        Return what the converter makes of parameters that were checked.

        They are an instance of each shared model that it is handed; its own defaults are its own.
        """
        shared = len(self.shared)
        own = {name: getattr(given, name) for name in self.own if name in given.model_fields_set}
        found = self.function(case, *[given] * shared, **own)
        return found if isinstance(found, Conversion) else Conversion(definition=found)

    @property
    def becomes(self) -> str:
        """The first paragraph of what the manual says: what it becomes."""
        return self._paragraphs()[0]

    @property
    def notes(self) -> str:
        """The rest of what the manual says: in what it differs."""
        return " ".join(self._paragraphs()[1:])

    def _paragraphs(self) -> list[str]:
        text = cleandoc(self.function.__doc__ or "")
        return [" ".join(paragraph.split()) for paragraph in text.split("\n\n")]


@dataclass(frozen=True)
class Library:
    """What one library has to convert, in the order of the manual."""

    name: str
    common: type[Shared] | None = None
    """Parameters that all of its schedulers accept, and that change nothing: see `Ignored`."""
    schedulers: list[Scheduler] = field(default_factory=list)
    controllers: list[Scheduler] = field(default_factory=list)
    """What reacts to a metric: its plateaus and early stoppings."""

    def scheduler(
        self,
        *names: str,
        hyperparameters: tuple[str, ...] | None = ("lr",),
        common: bool = True,
    ) -> Callable[[Registered], Registered]:
        """
        Return a decorator that registers the converter of the scheduler of these names.

        ``hyperparameters`` are the fields that it schedules, None for any; without ``common`` it
        takes none of the parameters that all others of the library accept.
        """

        def register(function: Registered) -> Registered:
            accepted = self.common if common else None
            self.schedulers.append(Scheduler(names, function, hyperparameters, accepted))
            return function

        return register

    def controller(
        self, *names: str, hyperparameters: tuple[str, ...] | None = ("lr",)
    ) -> Callable[[Registered], Registered]:
        """
        Return a decorator that registers the converter of what reacts to a metric.

        It takes none of the parameters that the library's schedulers accept.
        """

        def register(function: Registered) -> Registered:
            self.controllers.append(Scheduler(names, function, hyperparameters, reacts=True))
            return function

        return register

    @property
    def items(self) -> list[Scheduler]:
        """The schedulers, and then what reacts to a metric."""
        return [*self.schedulers, *self.controllers]

    def find(self, name: str) -> Scheduler | None:
        """Return what has this name, if anything has."""
        return next((item for item in self.items if name in item.names), None)

    def names(self) -> Iterator[str]:
        """Yield every name of everything that is converted."""
        for item in self.items:
            yield from item.names
