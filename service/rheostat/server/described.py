"""Models that are described by the docstrings under their fields."""

from __future__ import annotations

import ast
import inspect
from itertools import pairwise
from typing import Any

from pydantic import BaseModel, GetJsonSchemaHandler
from pydantic_core import CoreSchema


class Described(BaseModel):
    """
    A model that is described by the docstrings under its fields.

    Pydantic's `use_attribute_docstrings` reads the source of each class when it is made, which
    took a fifteenth of the service's start. Here it is read when the schema is asked for.
    """

    @classmethod
    def descriptions(cls) -> dict[str, str]:
        """Return the docstrings of the fields, by name."""
        found: dict[str, str] = {}
        for base in reversed(cls.__mro__):
            if issubclass(base, Described) and base is not Described:
                found |= _docstrings(base)
        return found

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        shown = handler(core_schema)
        properties = handler.resolve_ref_schema(shown)["properties"]
        for name, sentence in cls.descriptions().items():
            properties[name].setdefault("description", sentence)
        return shown


def _docstrings(cls: type) -> dict[str, str]:
    nodes = ast.walk(ast.parse(inspect.getsource(cls)))
    tree = next(node for node in nodes if isinstance(node, ast.ClassDef))
    return {
        field.target.id: inspect.cleandoc(below.value.value)
        for field, below in pairwise(tree.body)
        if isinstance(field, ast.AnnAssign)
        and isinstance(field.target, ast.Name)
        and isinstance(below, ast.Expr)
        and isinstance(below.value, ast.Constant)
        and isinstance(below.value.value, str)
    }
