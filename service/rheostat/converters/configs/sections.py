"""A section of a configuration file: read, and refused where it says what is not read."""

from __future__ import annotations

from typing import Any

from rheostat.converters.configs.reading import Model, read
from rheostat.converters.configs.unread_fields import Read, check_unknown


def section(
    project: str, model: type[Model], content: Any, path: str = "config", **unread: Any
) -> Model:
    """
    Return a section of a project's file, which may be empty; errors name the field by its path.

    ``unread`` says which fields besides the model's set no rate, as in `Read`.
    """
    given = {} if content is None else content
    found = read(model, given, path)
    check_unknown(given, Read(project, tuple(model.model_fields), **unread), path)
    return found
