"""From JSON to a controller, or to errors that name field, value and bound."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Union

from pydantic import TypeAdapter, ValidationError

from rheostat.controllers.controller import Controller
from rheostat.controllers.guard import Guard
from rheostat.controllers.plateau import (
    KerasPlateau,
    MMEnginePlateau,
    OptaxPlateau,
    PaddlePlateau,
    TorchPlateau,
)
from rheostat.controllers.rule import Rule
from rheostat.controllers.stopping import ComposerStop, KerasStop, LightningStop, TransformersStop
from rheostat.errors import FieldError, Invalid
from rheostat.schedules.field_errors import field_errors, shown
from rheostat.suggestions import did_you_mean

KINDS: Final[Mapping[str, tuple[type[Controller], ...]]] = {
    "plateau": (TorchPlateau, KerasPlateau, OptaxPlateau, PaddlePlateau, MMEnginePlateau),
    "stop": (LightningStop, KerasStop, TransformersStop, ComposerStop),
    "guard": (Guard,),
    "rule": (Rule,),
}
"""Every kind with a class for each of its readings, of which the first is the default."""

CONTROLLERS: Final = tuple(cls for readings in KINDS.values() for cls in readings)

CONTROLLER: Final[TypeAdapter[Any]] = TypeAdapter(Union[CONTROLLERS])  # type: ignore[arg-type] # noqa: UP007
"""What tells the JSON Schema of a controller; `parse_controller` reads one."""


def parse_controller(document: Any, field: str = "controller") -> Controller:
    """
    Return the controller that JSON data describes.

    Defaults are those of the reading's own library, and a field that its class there does not have
    is refused. The paths of errors start with ``field``.

    Raises:
        Invalid: with one item for each wrong field.

    """
    if not isinstance(document, Mapping):
        raise _refused(FieldError(field, "must be an object", shown(document), "an object"))
    cls = _class_of(document, field)
    try:
        return cls.model_validate(document)
    except ValidationError as error:
        wrong = field_errors(error, document, field)
        raise Invalid("The controller is refused.", errors=_named(wrong, cls, field)) from None


def _class_of(document: Mapping[str, Any], field: str) -> type[Controller]:
    readings = KINDS[_chosen(document, "kind", field, list(KINDS))]
    if len(readings) == 1:
        return readings[0]
    by_name = {str(cls.model_fields["reading"].default): cls for cls in readings}
    return by_name[_chosen({"reading": next(iter(by_name)), **document}, "reading", field, by_name)]


def _chosen(document: Mapping[str, Any], name: str, field: str, known: Any) -> str:
    value = document.get(name)
    if isinstance(value, str) and value in known:
        return value
    bound = f"one of {', '.join(known)}"
    close = did_you_mean(value, known)
    message = f"there is no {name} {shown(value)!r}{close}" if close else f"must be {bound}"
    raise _refused(FieldError(f"{field}.{name}", message, shown(value), bound))


def _named(wrong: list[FieldError], cls: type[Controller], field: str) -> list[FieldError]:
    """Say of fields that are not there which the reading has, since another one may have them."""
    reading = cls.model_fields.get("reading")
    if reading is None:
        return wrong
    has = ", ".join(sorted(each.alias or name for name, each in cls.model_fields.items()))
    message = f"is no field of the reading {reading.default}"
    return [
        FieldError(error.field, message, error.value, f"one of {has}")
        if error.bound == "no other fields" and error.field.count(".") == field.count(".") + 1
        else error
        for error in wrong
    ]


def _refused(error: FieldError) -> Invalid:
    return Invalid("The controller is refused.", errors=[error])
