"""Room: how many revisions may take effect within one block, which has to tell all of them."""

from __future__ import annotations

from collections.abc import Iterable

from rheostat.errors import FieldError, Invalid
from rheostat.server.store.records import Records, RunRecord

WITHIN_BLOCK = 256
"""Pending revisions of a run that may take effect within any one of its longest blocks."""


def require_room(records: Records, run: RunRecord, settled: int, step: int) -> None:
    """Raise `Invalid` if too many revisions wait for steps near this one."""
    steps = records.revisions.awaited(run.key, settled)
    if crowded(steps, step, run.spec.max_block * run.spec.resolution):
        message = f"{WITHIN_BLOCK} revisions wait for steps within one block around {step}"
        bound = f"<= {WITHIN_BLOCK} within {run.spec.max_block} cells"
        raise Invalid(message, errors=[FieldError("effective", message, step, bound)])


def crowded(steps: Iterable[int], step: int, width: int) -> bool:
    """Whether ``step`` would be one too many within ``width`` of the others."""
    near = sorted([*(other for other in steps if abs(other - step) < width), step])
    pairs = zip(near, near[WITHIN_BLOCK:], strict=False)
    return any(last - first < width for first, last in pairs)
