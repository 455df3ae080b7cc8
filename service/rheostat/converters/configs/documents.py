"""The text of a configuration file, read as data."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any, Final

from rheostat.converters.configs.flags import flags_of
from rheostat.converters.core import refused
from rheostat.converters.request import check
from rheostat.errors import FieldError
from rheostat.schedules.field_errors import shown

_LONGEST: Final = 100_000
"""Characters of a command line."""
_BOUND: Final = "an object, a command line, or a list of its words"


def document(config: Any) -> Mapping[str, Any]:
    """Return a configuration file's content, given as data, as text, or as words."""
    if isinstance(config, str):
        config = _words(config)
    else:
        check(config, "config")
    if isinstance(config, Mapping):
        return config
    if not isinstance(config, list) or not all(isinstance(word, str) for word in config):
        raise refused(FieldError("config", f"must be {_BOUND}", shown(config), _BOUND))
    found = flags_of(config)
    if not found:
        message = "has no flags, so it is no command line"
        raise refused(FieldError("config", message, shown(" ".join(config)), "--lr 1e-4 …"))
    return found


def _words(line: str) -> list[str]:
    if len(line) > _LONGEST:
        bound = f"≤ {_LONGEST} characters"
        raise refused(FieldError("config", f"must have {bound}", shown(line), bound))
    try:
        return shlex.split(line.replace("\\\n", " "), comments=True)
    except ValueError as error:
        message = f"is no command line: {error}"
        raise refused(FieldError("config", message, shown(line), "a command line")) from None
