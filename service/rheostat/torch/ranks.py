"""All ranks of a process group join one generation, or all of them raise the same error."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from torch import distributed

from rheostat.errors import Conflict, RheostatError

if TYPE_CHECKING:
    from collections.abc import Callable


class Position(NamedTuple):
    """What must be equal on all ranks: the run, its generation and the step."""

    run: str
    id: str
    generation: int
    step: int

    def __str__(self) -> str:
        return f"generation {self.generation} of run {self.run} ({self.id}) at step {self.step}"


def agree(join: Callable[[], Position], process_group: Any = None) -> None:
    """
    Call ``join`` on every rank, and return if all of them are at one position.

    Otherwise every rank raises the same error: the first failure in the order of the ranks, or
    `Conflict` if the positions differ. Without an initialised process group it is a plain call.
    """
    outcome = _attempt(join)
    ranks = _size(process_group)
    outcomes: list[Position | RheostatError] = [outcome] * ranks
    if ranks > 1:
        distributed.all_gather_object(outcomes, outcome, group=process_group)
    for rank, other in enumerate(outcomes):
        if isinstance(other, RheostatError):
            if ranks > 1:
                other.add_note(f"rank {rank} of {ranks} could not join; all ranks stop")
            raise other
        if other != outcomes[0]:
            raise Conflict(
                f"the ranks of the process group do not agree: rank 0 is at {outcomes[0]}, "
                f"rank {rank} at {other}"
            )


def _attempt(join: Callable[[], Position]) -> Position | RheostatError:
    try:
        return join()
    except RheostatError as error:
        return error


def _size(process_group: Any) -> int:
    if not (distributed.is_available() and distributed.is_initialized()):
        return 1
    return int(distributed.get_world_size(process_group))
