"""What the tools of agents take, by their annotations: as schemas, and to check what is sent."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from inspect import signature
from typing import Any, get_type_hints

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model

from rheostat.errors import FieldError, Invalid
from rheostat.mcp.tools import TOOLS


def checked(name: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """
    Return the arguments of a tool, each of its type.

    Raises:
        Invalid: They are not what the tool takes; ``errors`` names each that is wrong.

    """
    try:
        given = _model(name).model_validate(arguments)
    except ValidationError as error:
        wrong = [
            FieldError(".".join(map(str, each["loc"])), each["msg"], each["input"])
            for each in error.errors()
        ]
        fields = ", ".join(each.field for each in wrong)
        raise Invalid(f"the arguments are wrong in {fields}", errors=wrong) from None
    return {key: getattr(given, key) for key in given.model_fields_set}


def schema_of(name: str) -> dict[str, Any]:
    """Return the JSON schema of what a tool takes."""
    return {key: each for key, each in _model(name).model_json_schema().items() if key != "title"}


@cache
def _model(name: str) -> type[BaseModel]:
    function = TOOLS[name].function
    hints = get_type_hints(function, include_extras=True)
    taken: dict[str, Any] = {}
    for each in [*signature(function).parameters.values()][1:]:
        hint = hints[each.name]
        about = next(iter(getattr(hint, "__metadata__", ())), None)
        default = ... if each.default is each.empty else each.default
        taken[each.name] = (getattr(hint, "__origin__", hint), Field(default, description=about))
    return create_model(name, __config__=ConfigDict(extra="forbid"), **taken)
