"""What all ranks of a process group do together: all of them succeed, or all raise one error."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from torch import distributed

from rheostat.errors import Conflict, RheostatError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from rheostat.adapters import Position

T = TypeVar("T")


def on_all_ranks(attempt: Callable[[], T], process_group: Any = None) -> list[T]:
    """
    Call ``attempt`` on every rank, and return what it returned on each, in the order of the ranks.

    A collective call in the process group; a plain one where none is initialised. If it fails on
    some rank, every rank raises the same error, that of the first such rank, so that none waits for
    another one. Only an error that is not Rheostat's own stays on its rank.

    Raises:
        RheostatError: What ``attempt`` raised on the first rank on which it failed.
        Conflict: It failed on another rank with an error that is not Rheostat's own.

    """
    ranks = _size(process_group)
    if ranks == 1:
        return [attempt()]
    mine, defect = _attempt(attempt)
    outcomes = [mine] * ranks
    distributed.all_gather_object(outcomes, mine, group=process_group)
    if defect is not None:
        raise defect
    for rank, outcome in enumerate(outcomes):
        if outcome.error is not None:
            outcome.error.add_note(f"rank {rank} of {ranks} failed; all ranks stop")
            raise outcome.error
    return [outcome.result for outcome in outcomes]


def require_one(positions: Iterable[Position]) -> None:
    """Raise `Conflict` unless all ranks are at one position."""
    first, *others = positions
    for rank, other in enumerate(others, start=1):
        if other != first:
            raise Conflict(
                f"the ranks of the process group do not agree: rank 0 is at {first}, "
                f"rank {rank} at {other}"
            )


@dataclass(frozen=True)
class _Outcome(Generic[T]):
    result: T | Any = None
    error: RheostatError | None = None


def _attempt(attempt: Callable[[], T]) -> tuple[_Outcome[T], Exception | None]:
    """Return what came of it, in a form that travels, and the error that stays on this rank."""
    try:
        return _Outcome(attempt()), None
    except RheostatError as error:
        return _Outcome(error=error), None
    except Exception as error:  # noqa: BLE001 - whatever it is, the other ranks must not wait
        told = Conflict(f"a rank of the process group failed: {type(error).__name__}: {error}")
        return _Outcome(error=told), error


def _size(process_group: Any) -> int:
    if not (distributed.is_available() and distributed.is_initialized()):
        return 1
    return int(distributed.get_world_size(process_group))


def is_first() -> bool:
    """Whether this is the first of all ranks, or the only one."""
    alone = not (distributed.is_available() and distributed.is_initialized())
    return alone or distributed.get_rank() == 0
