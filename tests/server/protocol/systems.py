"""What is checked against the model, in the model's words."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from tests.server.protocol.applying import Found, Listing, Told

from rheostat.server.runs.revision import Revision
from rheostat.server.runs.settling import Block, Segment, compute

Column = tuple[int, dict[str, float]]
Checkpoint = tuple[str, int, int]


class System(Protocol):
    """Whatever keeps the protocol."""

    def begin(self) -> None:
        """Forget what was before: a new history."""

    def create(self, body: Any) -> str:
        """Create a run, and return its id."""

    def fork(
        self, name: str, ref: str, generation: int | None, step: int | None, changes: Any
    ) -> str:
        """Fork a run, and return the id of the new one."""

    def delete(self, ref: str) -> None:
        """Delete a run."""

    def settle(self, ref: str, generation: int, start: int, count: int) -> Block:
        """Hand out a block."""

    def preview(self, ref: str, start: int, count: int) -> Block:
        """Show a block."""

    def revise(
        self,
        ref: str,
        changes: Any,
        effective: Any,
        *,
        expected_revision: int | None = None,
        force: bool = False,
    ) -> dict[str, Any]:
        """Accept a revision."""

    def extend(
        self, ref: str, total: int, effective: Any, *, expected_revision: int | None = None
    ) -> dict[str, Any]:
        """Set a run's total."""

    def rehearse(self, ref: str, changes: Any, effective: Any) -> dict[str, Any]:
        """Return the curves before and after a revision, and change nothing."""

    def cancel(self, ref: str, number: int) -> dict[str, Any]:
        """Cancel a revision."""

    def rewind(
        self,
        ref: str,
        to: int,
        source: int | None,
        expected: int | None,
        changes: Any,
        reset: Collection[str] = (),
    ) -> dict[str, Any]:
        """Rewind a run; those controllers begin anew."""

    def join(self, ref: str, checkpoint: Checkpoint | None, start: int | None) -> dict[str, Any]:
        """Join a run, and begin it if need be."""

    def advance(self, ref: str, to: int, expected: int | None) -> dict[str, Any]:
        """Move a run on."""

    def finish(self, ref: str, end: int | None) -> None:
        """Finish a run."""

    def halt(
        self,
        ref: str,
        effective: Any,
        *,
        hold: bool = False,
        word: str | None = None,
        expected_revision: int | None = None,
    ) -> dict[str, Any]:
        """Stop a run, or have it hold."""

    def resume(
        self, ref: str, until: int | None, *, expected_revision: int | None = None
    ) -> dict[str, Any]:
        """Let a run go on that holds, maybe up to another step."""

    def signal(
        self, ref: str, word: str, effective: Any, *, expected_revision: int | None = None
    ) -> dict[str, Any]:
        """Say a word to all ranks at a step."""

    def look(self, ref: str, start: int, count: int) -> tuple[dict[str, Any], Block]:
        """Return the state of a run, and a block of it."""

    def ledger(self, ref: str, generation: int) -> Iterator[Column]:
        """Yield every cell that was handed out, with its values."""

    def restart(self, *, every: bool) -> None:
        """Let a process die, or all of them, and start again."""

    def upgrade(self, ulps: int) -> None:
        """Compute values that are so many units in the last place too great from now on."""

    def repeat(self, index: int) -> None:
        """Send one of the earlier requests again, and require the earlier answer."""

    def lose(self, *, done: bool) -> None:
        """Let the next commit fail: it is done or not, and nobody is told."""


class Listening(Protocol):
    """A system that listens: one that keeps reports, and has controllers decide on them."""

    def report(
        self, run_id: str, number: int, source: str, points: Sequence[tuple[int, str, float]]
    ) -> dict[str, Any]:
        """Keep reports, and have controllers decide on them."""

    def arm(self, ref: str, name: str, config: Mapping[str, Any], **rest: Any) -> bool:
        """Arm a controller; return whether there was none of this name."""

    def disarm(self, ref: str, name: str, expected: int | None = None) -> int:
        """Disarm a controller, and return the revision."""

    def reset(self, ref: str, name: str, expected: int | None = None) -> None:
        """Have a controller forget what it remembers."""

    def propose(self, ref: str, kind: str, asked: Any, effective: Any) -> int:
        """Suggest something, and return the number of the proposal."""

    def accept(self, ref: str, number: int, expected: int | None) -> dict[str, Any]:
        """Say yes to a proposal."""

    def decline(self, ref: str, number: int, expected: int | None) -> dict[str, Any]:
        """Say no to one."""

    def outcome(
        self, run_id: str, generation: int, revision: int, source: str, said: tuple[str, int]
    ) -> tuple[tuple[str, int], bool]:
        """Say what became of a signal; return what is kept, and whether it is new."""

    def kept(self, ref: str, metric: str) -> list[tuple[int, str, float | str]]:
        """Return the reports of a metric along the line of a run, by step and source."""

    def decided(self, ref: str, name: str) -> list[dict[str, Any]]:
        """Return what a controller has decided, oldest first."""

    def heard(self, ref: str) -> dict[str, Any]:
        """Return the controllers and the proposals of a run as it shows them."""


class Proving(Protocol):
    """A system to which workers say what they applied, and what they saved."""

    def beat(
        self, run_id: str, number: int, worker: str, listing: Listing, digest: str, values: Any
    ) -> Told:
        """Hear of a window that a worker applied, with its values if it sends them."""

    def mismatches(self, ref: str) -> list[Found]:
        """Return what was applied and not given."""

    def save(self, run_id: str, number: int, step: int, tag: str) -> bool:
        """Hear what a worker saved; return whether that is new."""

    def saved(self, ref: str) -> list[tuple[str, int, int, str, bool]]:
        """Return what is known to be saved: run, generation, step, tag, and if it is resumable."""


def seen(shown: Mapping[str, Any]) -> dict[str, Any]:
    """Return a run's state in the model's words."""
    generations = [
        (past["generation"], past["from"], past["settled_until"]) for past in shown["generations"]
    ]
    return {**shown, **numbered(shown), "generations": generations}


def numbered(answer: Mapping[str, Any]) -> dict[str, Any]:
    """Return an answer with the numbers of the pending revisions alone, without hints."""
    return {**bare(answer), "pending": [revision["revision"] for revision in answer["pending"]]}


def bare(answer: Mapping[str, Any]) -> dict[str, Any]:
    """Return an answer without what it says of where workers are, which is a hint."""
    return {name: item for name, item in answer.items() if name not in {"beyond", "warnings"}}


def word(revision: int, effective: int, pending: Sequence[Revision]) -> dict[str, Any]:
    """Return the answer to a revision in the model's words."""
    numbers = [each.number for each in pending]
    return {"revision": revision, "effective": effective, "pending": numbers}


def raised(ulps: int) -> Callable[..., Segment]:
    """Return `compute` as a computer has it whose values are a few units too great."""

    def compute_there(*args: Any) -> Segment:
        segment = compute(*args)
        higher = segment.values
        for _ in range(ulps):
            higher = np.nextafter(higher, np.inf)
        return Segment(segment.start, segment.stop, higher)

    return compute_there
