"""What the formats of configuration files share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Annotated, Any, Final, Literal, NamedTuple, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from rheostat.controllers import Controller
from rheostat.converters.configs.flags import Flags, unknown
from rheostat.converters.core import Conversion, refused
from rheostat.converters.parameters import STRICT, Steps
from rheostat.converters.request import conversion, convert
from rheostat.errors import FieldError, Invalid
from rheostat.limits import MAX_STEP
from rheostat.schedules.definition import Definition
from rheostat.schedules.field_errors import field_errors, shown
from rheostat.schedules.shortest import shortest

AtLeastOne = Annotated[Steps, Field(ge=1)]
LENIENT = ConfigDict(frozen=True, strict=True, extra="ignore", allow_inf_nan=False)
"""A configuration file has much that is no schedule."""
OR_TOTAL: Final = "unless total says how many steps the whole training has"
OR_LENGTHS: Final = f"{OR_TOTAL}, or steps_per_epoch how many an epoch has"
"""When a file need not state its length, as the error says that it does not."""
Model = TypeVar("Model", bound=BaseModel)
Found = TypeVar("Found")


class TrainingLengths(BaseModel):
    """The lengths of the training that its configuration may leave to the trainer."""

    model_config = STRICT

    total: AtLeastOne | None = None
    steps_per_epoch: AtLeastOne | None = None


def training_lengths(total: Any, steps_per_epoch: Any) -> TrainingLengths:
    """Return the lengths, checked."""
    return _validated(TrainingLengths, {"total": total, "steps_per_epoch": steps_per_epoch}, "")


def read(model: type[Model], config: Any, field: str = "config") -> Model:
    """Return a part of a configuration file, checked; errors name the field by its path."""
    if not isinstance(config, Mapping):
        raise refused(FieldError(field, "must be an object", shown(config), "an object"))
    if isinstance(config, Flags):
        _check_values(model, config, field)
    return _validated(model, dict(config), field, words=isinstance(config, Flags))


def stated(config: str, value: int, given: int | None, *, field: str = "total") -> int:
    """Return a length that a file states, which another that is given must not contradict."""
    if given is not None and given != value:
        message = f"contradicts the file, whose {config} makes it {value}"
        raise refused(FieldError(field, message, given, f"{value}, or not given"))
    return value


def by_epochs(config: str, epochs: int, lengths: TrainingLengths) -> tuple[int, int]:
    """
    Return the length of an epoch and of the training, in steps, of a file that counts epochs.

    ``config`` is the field that states how many there are.
    """
    length = lengths.steps_per_epoch
    if length is None and lengths.total is not None and lengths.total % epochs == 0:
        length = lengths.total // epochs
    if length is None:
        message = f"is required: the file counts {epochs} epochs, in its {config}"
        raise refused(FieldError("steps_per_epoch", message, None, "≥ 1"))
    if epochs * length > MAX_STEP:
        message = f"makes the training too long, with {epochs} epochs"
        raise refused(FieldError("steps_per_epoch", message, length, f"≤ {MAX_STEP // epochs}"))
    return length, stated(config, epochs * length, lengths.total)


def check_whole(config: Mapping[str, Any], name: str) -> None:
    """Refuse a command line whose flag of this name tells of a file with more fields."""
    file = config.get(name)
    if isinstance(config, Flags) and file is not None:
        message = "names a file that is not here, whose fields are a part of the configuration"
        raise refused(FieldError(f"config.{name}", message, shown(file), "not given"))


def missing(name: str, when: str, bound: str = "a number") -> Invalid:
    """Return the error about a field that a file must have, to be raised."""
    return refused(FieldError(f"config.{name}", f"is required, {when}", None, bound))


def _check_values(model: type[Model], flags: Flags, field: str) -> None:
    """Refuse flags without a value that must have one, and values that a script does not write."""
    errors = []
    for name, known in model.model_fields.items():
        value = flags.get(name)
        place = f"{field}.{name}"
        if word := unknown(value):
            errors.append(FieldError(place, f"is not known: {word.why}", shown(word), "a value"))
        elif value is True and bool not in {known.annotation, *get_args(known.annotation)}:
            bound = "a value after the flag"
            errors.append(FieldError(place, "must have a value", None, bound))
    if errors:
        raise refused(*errors)


def _validated(
    model: type[Model], data: dict[str, Any], field: str, *, words: bool = False
) -> Model:
    """Return the model of the data; words of a command line may be numbers."""
    try:
        return model.model_validate(data, strict=False if words else None)
    except ValidationError as error:
        raise refused(*field_errors(error, data, field)) from None


@dataclass(frozen=True)
class ConfigConversion:
    """
    What a configuration file becomes: a run's parameters, and its controllers by their names.

    ``total`` and ``steps_per_epoch`` are those that the file states or was given, and ``axis`` is
    what they count. ``library`` is the project whose file it is.
    """

    parameters: Mapping[str, Definition]
    controllers: Mapping[str, Controller] = field(default_factory=dict)
    total: int | None = None
    steps_per_epoch: int | None = None
    axis: Literal["step", "samples"] = "step"
    library: str = ""

    def written(self) -> dict[str, Any]:
        """Return the run as people would write it."""
        run = self.to_json()
        run["parameters"] = shortest(run["parameters"])
        if self.controllers:
            run["controllers"] = {name: each.written for name, each in self.controllers.items()}
        return run

    def to_json(self) -> dict[str, Any]:
        """Return the run as it is created; what the file leaves open is not in it."""
        parameters = {name: each.to_json() for name, each in self.parameters.items()}
        found: dict[str, Any] = {"library": self.library, "parameters": parameters}
        if self.controllers:
            found["controllers"] = {name: each.document for name, each in self.controllers.items()}
        if self.axis != "step":
            found["axis"] = self.axis
        lengths = {"total": self.total, "steps_per_epoch": self.steps_per_epoch}
        return found | {name: value for name, value in lengths.items() if value is not None}


class Place(NamedTuple):
    """Where a scheduler stands in its file: the paths of its name and of its parameters."""

    name: str
    params: str


def converted(
    place: Place,
    library: str,
    name: str,
    params: Mapping[str, Any],
    base_value: float | None = None,
    **context: Any,
) -> Definition:
    """Return the definition of a scheduler of the file; errors name its fields by their paths."""
    return _renamed(place, partial(convert, library, name, params, base_value, **context))


def controlled(
    place: Place, library: str, name: str, params: Mapping[str, Any], **context: Any
) -> Conversion:
    """Return what reacts to a metric in the file; errors name its fields by their paths."""
    return _renamed(place, partial(conversion, library, name, params, **context))


def _renamed(place: Place, make: Callable[[], Found]) -> Found:
    try:
        return make()
    except Invalid as error:
        errors = [replace(item, field=_path(place, item.field)) for item in error.errors]
        raise Invalid(error.detail, errors=errors) from None


def _path(place: Place, field: str) -> str:
    if field == "name":
        return place.name
    return place.params + field.removeprefix("params") if field.startswith("params") else field
