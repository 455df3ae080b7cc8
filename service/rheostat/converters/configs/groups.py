"""Names of parameters that a group of weights has for itself, as ``lr/backbone``."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Final

from rheostat.converters.core import refused
from rheostat.errors import FieldError
from rheostat.schedules.field_errors import shown

MOST_GROUPS: Final = 200
_GROUP: Final = re.compile("[a-z][a-z0-9_]{0,99}")


def group_name(text: str, taken: Collection[str], field: str) -> str:
    """Return the name of a group that a file calls by a pattern or a path, as ``pos.Embed``."""
    name = re.sub("[^a-z0-9]+", "_", text[:1000].lower()).strip("_")
    if name in taken or not _GROUP.fullmatch(name):
        message = "gives no name for its group, or one that another group has"
        bound = "a letter, then letters, digits, _ and ., of ≤ 100 characters"
        raise refused(FieldError(field, message, shown(text), bound))
    return name
