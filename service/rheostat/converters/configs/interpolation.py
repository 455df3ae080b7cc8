"""References from one field of a file to another, as OmegaConf writes them: ``${model.dim}``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from rheostat.converters.core import refused
from rheostat.errors import FieldError
from rheostat.schedules.field_errors import shown

_REFERENCE: Final = re.compile(r"\$\{([A-Za-z_][\w.]{0,200})\}")
_LONGEST: Final = 10
"""References after each other."""


def resolved(config: Mapping[str, Any], block: Any, path: str) -> Any:
    """Return a block whose fields that are references have the values that they refer to."""
    if not isinstance(block, Mapping):
        return _value(config, block, path)
    return {name: _value(config, value, f"{path}.{name}") for name, value in block.items()}


def _value(config: Mapping[str, Any], value: Any, path: str) -> Any:
    """Return a value, or what it refers to, which must be no block."""
    given = value
    for _ in range(_LONGEST):
        match = _REFERENCE.fullmatch(value) if isinstance(value, str) else None
        if match is None:
            return value
        value = config
        for name in match[1].split("."):
            value = value.get(name) if isinstance(value, Mapping) else None
        if value is None or isinstance(value, (Mapping, list)):
            break
    message = "refers to no value of this file"
    raise refused(FieldError(path, message, shown(given), "a value, or a reference to one"))
