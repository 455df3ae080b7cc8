"""The texts below fields: what they say of models, of types and of the documents made of them."""

from __future__ import annotations

import ast
import inspect
from itertools import pairwise
from typing import Any

from pydantic import BaseModel, GetJsonSchemaHandler
from pydantic_core import CoreSchema


def field_docstrings(node: ast.ClassDef | ast.Module) -> dict[str, str]:
    """Return the text below each field of a class, or constant of a module, by its name."""
    return {
        field.target.id: inspect.cleandoc(below.value.value)
        for field, below in pairwise(node.body)
        if isinstance(field, ast.AnnAssign)
        and isinstance(field.target, ast.Name)
        and isinstance(below, ast.Expr)
        and isinstance(below.value, ast.Constant)
        and isinstance(below.value.value, str)
    }


def classes(source: Any) -> dict[str, ast.ClassDef]:
    """Return the classes in the source of a module, or of a class, by their names."""
    nodes = ast.walk(ast.parse(inspect.getsource(source)))
    return {node.name: node for node in nodes if isinstance(node, ast.ClassDef)}


class Documented(BaseModel):
    """
    A model whose schema has the texts below its fields as their descriptions.

    Pydantic's `use_attribute_docstrings` reads the source of each class when it is made, which
    took a fifteenth of the service's start. Here it is read when the schema is asked for.
    """

    @classmethod
    def descriptions(cls) -> dict[str, str]:
        """Return the texts below the fields, by name."""
        found: dict[str, str] = {}
        for base in reversed(cls.__mro__):
            if issubclass(base, Documented) and base is not Documented:
                found |= field_docstrings(classes(base)[base.__name__])
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
