"""The type of a field that holds a definition of any kind."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final, TypeAlias

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema
from pydantic_core.core_schema import no_info_plain_validator_function

from rheostat.schedules.definition import Definition

REFERENCE: Final = "x-reference"
"""Key of a JSON Schema for the name of what is described elsewhere, until they are joined."""

GIVEN: Final = {REFERENCE: "DefinitionOrNumber"}
"""JSON Schema of a whole definition as it is given: a number stands for a constant."""


def _read(data: Any) -> Definition:
    from rheostat.schedules.union import ADAPTER  # noqa: PLC0415 - it is made of the kinds

    return ADAPTER.validate_python(data)


class _Marker:
    """
    Has the union read the field when there is something to read.

    Were the union a part of each kind that holds definitions, it would be built for each of them.
    """

    @staticmethod
    def __get_pydantic_core_schema__(_source: Any, _handler: GetCoreSchemaHandler) -> CoreSchema:
        return no_info_plain_validator_function(_read)

    @staticmethod
    def __get_pydantic_json_schema__(
        _schema: CoreSchema, _handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return {REFERENCE: "Definition"}


if TYPE_CHECKING:
    from rheostat.schedules.union import AnyDefinition

    AnyKind: TypeAlias = AnyDefinition
else:
    AnyKind = Annotated[Definition, _Marker]
