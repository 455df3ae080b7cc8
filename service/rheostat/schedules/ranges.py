"""Which part of a definition lets values leave the range of float64."""

from __future__ import annotations

from collections.abc import Mapping
from math import inf
from typing import Final

import numpy as np

from rheostat.errors import FieldError
from rheostat.schedules.definition import Bounds, Child, Definition
from rheostat.schedules.field_errors import shown

_UNKNOWN: Final = Bounds(0.7, 0.7)
"""What a followed value is taken for until a run says: a number that nothing is likely to meet."""


def out_of_range(
    definition: Definition,
    field: str,
    followed: Mapping[str, Bounds] | None = None,
    start: float = 0.0,
    stop: float = inf,
) -> FieldError | None:
    """Return what is wrong if values at ``start ≤ t ≤ stop`` overflow or are not numbers."""
    if followed is None:
        followed = dict.fromkeys(definition.follows(), _UNKNOWN)
    with np.errstate(over="ignore", invalid="ignore"):
        node = _innermost(Child(field, definition, start, stop), followed)
        if node is None:
            return None
        blame = node.definition.blame(node.start, node.stop, followed)
    if not blame.field:
        return FieldError(node.path, blame.message, node.definition.kind, blame.bound)
    value = shown(getattr(node.definition, blame.field))
    return FieldError(f"{node.path}.{blame.field}", blame.message, value, blame.bound)


def _innermost(node: Child, followed: Mapping[str, Bounds]) -> Child | None:
    """Return the innermost definition whose bounds are not finite where it is used."""
    if node.definition.between(node.start, node.stop, followed).finite:
        return None
    for child in node.definition.children(node.start, node.stop):
        found = _innermost(child._replace(path=f"{node.path}.{child.path}"), followed)
        if found is not None:
            return found
    return node
