"""
Reach: how far past what is settled a run may be read, begun in the middle, or moved on.

Whatever settles takes the steps below it out of the operator's hand, so none of it goes far by a
slip: a read stays near what is settled, a training that begins in the middle says so once, and
anything else is an operator's to do.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rheostat.errors import PastTotal, StepJump, TooLate
from rheostat.server.runs.barriers import NO_BARRIERS, Barriers
from rheostat.server.runs.lineage import Lineage
from rheostat.server.runs.spec import RunSpec


@dataclass(frozen=True, slots=True)
class Progress:
    """
    Where a run stands.

    ``generation`` is the current one, ``total`` the planned length in force, ``begins`` where its
    training said that it begins (0 if it did not), ``end`` the end of a finished run, and
    ``barriers`` where reading ends or holds.
    """

    spec: RunSpec
    lineage: Lineage
    generation: int
    total: int | None = None
    begins: int = 0
    end: int | None = None
    barriers: Barriers = NO_BARRIERS

    @property
    def settled(self) -> int:
        """The first open step of the current generation."""
        return self.lineage[self.generation].settled_until

    @property
    def last(self) -> int | None:
        """The furthest coordinate at which the run may begin, or to which it may be moved."""
        nearest = self.barriers.nearest
        bounds = (self.total, self.end, None if nearest is None else nearest.effective)
        return min((bound for bound in bounds if bound is not None), default=None)

    @property
    def floor(self) -> int:
        """The step above which gates lie, whatever was reported."""
        return max(self.lineage[self.generation].start, self.begins)

    @property
    def unbegun(self) -> bool:
        """Whether a training may still say where it begins: once in a life, and at its start."""
        few = self.settled <= self.spec.max_jump * self.spec.resolution
        first = self.generation == 1 and self.lineage[1].parent is None
        return first and few and self.begins == 0


def require_reach(progress: Progress, start: int, stop: int) -> None:
    """
    Raise unless a read from ``start`` to ``stop``, which would settle, stays near.

    Raises:
        PastTotal: It ends more than one ``max_block`` past the run's total, rounded up to a cell.
        StepJump: It begins more than ``max_gap``, or ends more than ``max_jump``, past what is
            settled.

    """
    spec, settled, total = progress.spec, progress.settled, progress.total
    cell = spec.resolution
    if total is not None and stop > _ceiling(total, cell) + spec.max_block * cell:
        raise _past_total(progress, f"the read ends at {stop},", stop)
    if start - settled > spec.max_gap * cell:
        raise _jump(progress, "the read begins", start, spec.max_gap)
    if stop - settled > spec.max_jump * cell:
        raise _jump(progress, "the read ends", stop, spec.max_jump)


def begun_at(progress: Progress, start: int) -> int | None:
    """
    Return up to where a training that begins at ``start`` settles the run; None if it just joins.

    Raises `StepJump` if it is neither near what is settled nor the beginning of the run's training.
    """
    cell = progress.spec.grid.floor(start)
    if _is_near(progress.spec, progress.settled, cell):
        return None
    if not progress.unbegun or (progress.last is not None and start > progress.last):
        raise _jump(progress, "the training begins", start, progress.spec.max_gap)
    return cell


def require_near(progress: Progress, step: int, settled: int) -> None:
    """Raise `StepJump` if the next step of a checkpoint lies too far past ``settled``."""
    if not _is_near(progress.spec, settled, progress.spec.grid.floor(step)):
        raise _jump(progress, "the checkpoint goes on", step, progress.spec.max_gap)


def require_advance(progress: Progress, to: int) -> None:
    """
    Raise unless the settled end may be moved on to ``to``.

    Raises:
        Invalid: It is not the start of a cell.
        TooLate: It is settled already.
        PastTotal: It lies past the run's total.
        Stopped, Paused: It lies past a stop or a pause.

    """
    progress.spec.grid.require("to", to)
    if to <= progress.settled:
        earliest = progress.settled + progress.spec.resolution
        raise TooLate(f"the run is settled up to {progress.settled} already", earliest=earliest)
    met = progress.barriers.nearest
    if met is not None and to > met.effective:
        raise met.refusal()
    if progress.total is not None and to > progress.total:
        raise _past_total(progress, f"to is {to},", to)


def _is_near(spec: RunSpec, settled: int, cell: int) -> bool:
    """Whether a worker at this cell can read it now, and go on from there."""
    gap = spec.grid.cells(settled, cell)
    return gap <= spec.max_gap and gap < spec.max_jump


def _ceiling(step: int, resolution: int) -> int:
    return -(-step // resolution) * resolution


def _past_total(progress: Progress, what: str, step: int) -> PastTotal:
    command = f"rheostat run extend {progress.spec.name} --total {step}"
    return PastTotal(
        f"{what} past the run's total of {progress.total}; check what the worker counts, or have"
        f" the run made longer: {command}",
        total=progress.total,
        settled_until=progress.settled,
        extend=command,
    )


def _jump(progress: Progress, what: str, step: int, most: int) -> StepJump:
    spec, settled = progress.spec, progress.settled
    cells = f"{most} cells" if spec.resolution == 1 else f"{most} cells of {spec.resolution}"
    to = spec.grid.floor(step)
    possible = progress.end is None and (progress.last is None or to <= progress.last)
    members: dict[str, Any] = {"advance": {"to": to}} if possible else {}
    return StepJump(
        f"{what} at {step}, and the run is settled up to {settled}: more than {cells} past that;"
        f" {_way_on(progress, to, possible=possible)}",
        settled_until=settled,
        begins=progress.begins,
        max_gap=spec.max_gap,
        max_jump=spec.max_jump,
        **members,
    )


def _way_on(progress: Progress, to: int, *, possible: bool) -> str:
    """Return what a worker, or an operator, can do about a jump to a cell."""
    spec = progress.spec
    if progress.last is not None and to > progress.last:
        return f"its last step is {progress.last}, so check what the worker counts"
    ways: list[str] = []
    if spec.axis in {"samples", "tokens"}:
        ways.append(
            f"if that is the stride of its reads, a run that counts {spec.axis} should have its"
            ' smallest batch as "resolution"'
        )
    if progress.unbegun:
        ways.append('a training that begins in the middle says so when it joins, by "start"')
    if possible:
        ways.append(
            "if the training really is there, an operator moves the run on:"
            f" rheostat run advance {spec.name} {to}"
        )
    return "; ".join(ways) or "go on from what is settled"
