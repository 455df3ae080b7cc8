"""Gates of armed controllers: where workers wait for a metric."""

from __future__ import annotations

from collections.abc import Iterable

from rheostat.server.runs.barriers import Gate
from rheostat.server.runs.control.armed import Armed, Head, is_used_up


def every(armed: Armed, steps_per_epoch: int | None) -> int | None:
    """Return from how many steps to how many a controller has gates; None without."""
    gate = armed.controller.gate
    if gate is None:
        return None
    return steps_per_epoch if gate.every == "epoch" else gate.every


def is_gate(armed: Armed, step: int, steps_per_epoch: int | None, cell: int) -> bool:
    """Whether a controller that has gates has one at a step, or at the end of its cell."""
    steps = every(armed, steps_per_epoch)
    if steps is None:
        return False
    multiple = step // steps * steps
    at_end = -(-multiple // cell) * cell
    return multiple > 0 and multiple >= armed.controller.start and step in {multiple, at_end}


def gates(
    armed: Iterable[tuple[Armed, Head]],
    *,
    start: int,
    begins: int,
    steps_per_epoch: int | None,
    cell: int,
) -> tuple[Gate, ...]:
    """
    Return the gates of controllers in a generation that starts at ``start``.

    The first gate lies above what was reported, where the generation and the training begin, and
    what was settled when the controller was armed: nobody will report from below. Once a
    controller has used up its limit there is none.
    """
    found: list[Gate] = []
    for each, head in armed:
        steps = every(each, steps_per_epoch)
        if steps is None or is_used_up(each, head):
            continue
        base = max(head.step or 0, start, begins, each.armed_at, each.controller.start - 1)
        found.append(Gate(each.name, each.metric, steps, base, cell))
    return tuple(found)
