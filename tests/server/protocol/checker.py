"""The check: every operation is done by the service and by the model, and must end alike."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from math import inf, nextafter
from typing import Any, cast

from tests.oracle.edits import Refusal, by_name
from tests.server.protocol import applying, listening, proposing, stops
from tests.server.protocol.model import Block as Expected
from tests.server.protocol.model import Model
from tests.server.protocol.state import Run
from tests.server.protocol.systems import Listening, Proving, System

from rheostat.errors import Refused
from rheostat.server.runs.settling import Block

BODY: Mapping[str, Any] = {
    "parameters": {
        "lr": {"kind": "linear", "start": 128.0, "end": 0.0, "steps": "100%"},
        "wd": {"kind": "constant", "value": 1.0},
        "wd/two": {"kind": "follow", "parameter": "wd", "scale": 2.0},
    },
    "total": 128,
    "resolution": 1,
    "max_block": 16,
    "max_jump": 16,
    "guards": {"wd": {"max": 64.0, "max_ratio": 8.0}, "wd/two": {"min": 0.0, "max": 100.0}},
}
"""lr = 128 - step for the total of 128, wd = 1, wd/two = 2 wd; the latter two are guarded."""
LINE = {"kind": "linear", "start": 128.0, "end": 0.0, "steps": 128}
"""lr of a run without a total."""


class Checker:
    """Does each operation twice, and looks at the whole run after it."""

    def __init__(self, system: System) -> None:
        self.system = system
        self.model = Model()
        self._served: dict[tuple[str, int, int], dict[str, float]] = {}
        self._ulps = 0
        self.sound = True
        self.listens = hasattr(system, "report")
        self.proves = hasattr(system, "beat")

    # operations

    def create(self, name: str, **fields: Any) -> Run | None:
        """Create a run, unless the name is taken."""
        body = {**BODY, "name": name, **fields}
        if body["total"] is None:
            body["parameters"] = {**body["parameters"], "lr": LINE}
        run = self._alike(lambda: self.model.create(body), lambda: self.system.create(body))
        return self._named(run)

    def fork(
        self,
        name: str,
        run: Run,
        *,
        generation: int | None = None,
        step: int | None = None,
        changes: Any = None,
    ) -> Run | None:
        """Fork a run."""
        asked = (name, run.name, generation, step, changes)
        return self._named(
            self._alike(lambda: self.model.fork(*asked), lambda: self.system.fork(*asked))
        )

    def _named(self, outcome: tuple[Any, Any]) -> Run | None:
        run: Run | None
        run, there = outcome
        if run is not None:
            run.id = there
            self.look(run)
        return run

    def delete(self, run: Run) -> None:
        """Delete a run."""
        self._alike(lambda: self.model.delete(run.id), lambda: self.system.delete(run.name))
        self.look(run)

    def settle(
        self,
        run: Run,
        start: int,
        count: int,
        generation: int | None = None,
    ) -> None:
        """Read a block as a worker does: P1, P2, P6, P14."""
        number = run.current.number if generation is None else generation
        asked = (run.id, number, start, count)
        expected, block = self._alike(
            lambda: self.model.settle(*asked), lambda: self.system.settle(*asked)
        )
        if block is not None:
            assert all(block.final)
            self._compare(expected, block)
            self._keep(expected, block)
        self.look(run)

    def preview(self, run: Run, start: int, count: int) -> None:
        """Read a block as a viewer does, by the run's name."""
        asked = (run.name, start, count)
        expected, block = self._alike(
            lambda: self.model.preview(*asked), lambda: self.system.preview(*asked)
        )
        if block is not None:
            self._compare(expected, block)

    def revise(self, run: Run, changes: Any, effective: Any = "next", **rest: Any) -> None:
        """Revise a run: P2, P3, P5."""
        asked = (run.name, changes, effective)
        self._same(
            lambda: self.model.revise(*asked, **rest), lambda: self.system.revise(*asked, **rest)
        )
        self.look(run)

    def extend(self, run: Run, total: int, effective: Any = "next", **rest: Any) -> None:
        """Set a run's total."""
        asked = (run.name, total, effective)
        self._same(
            lambda: self.model.extend(*asked, **rest), lambda: self.system.extend(*asked, **rest)
        )
        self.look(run)

    def rehearse(self, run: Run, changes: Any, effective: Any = "next") -> None:
        """Ask for the curves before and after a revision, which changes nothing."""
        asked = (run.name, changes, effective)
        expected, answer = self._alike(
            lambda: self.model.rehearse(*asked), lambda: self.system.rehearse(*asked)
        )
        if expected is not None:
            assert expected.effective == answer["effective"]
            steps = list(map(int, answer["steps"]))
            for name in by_name(changes, BODY["parameters"])[0]:
                for env, values in (
                    (expected.before, answer["before"]),
                    (expected.after, answer["after"]),
                ):
                    assert [float(env[name].value(s, env)) for s in steps] == list(values[name])
        self.look(run)

    def cancel(self, run: Run, number: int) -> None:
        """Cancel a revision."""
        asked = (run.name, number)
        self._same(lambda: self.model.cancel(*asked), lambda: self.system.cancel(*asked))
        self.look(run)

    def rewind(
        self,
        run: Run,
        to: int,
        *,
        source: int | None = None,
        expected: int | None = None,
        changes: Any = None,
        reset: Collection[str] = (),
    ) -> None:
        """Rewind a run: P6."""
        asked = (run.name, to, source, expected, changes, reset)
        self._same(lambda: self.model.rewind(*asked), lambda: self.system.rewind(*asked))
        self.look(run)

    def join(
        self,
        run: Run,
        checkpoint: tuple[str, int, int] | None = None,
        start: int | None = None,
    ) -> None:
        """Join a run, as a worker does that resumes, or that begins in the middle: P6, P14."""
        asked = (run.name, checkpoint, start)
        self._same(lambda: self.model.join(*asked), lambda: self.system.join(*asked))
        self.look(run)

    def advance(self, run: Run, to: int, expected: int | None = None) -> None:
        """Move a run on: P14."""
        asked = (run.name, to, expected)
        self._same(lambda: self.model.advance(*asked), lambda: self.system.advance(*asked))
        self.look(run)

    def finish(self, run: Run, end: int | None = None) -> None:
        """Finish a run."""
        self._same(
            lambda: self.model.finish(run.name, end), lambda: self.system.finish(run.name, end)
        )
        self.look(run)

    def halt(self, run: Run, effective: Any = "next", **rest: Any) -> None:
        """Stop a run or, with ``hold``, have it wait: P2."""
        asked = (run.name, effective)
        self._same(
            lambda: self.model.halt(*asked, **rest), lambda: self.system.halt(*asked, **rest)
        )
        self.look(run)

    def resume(self, run: Run, until: int | None = None, **rest: Any) -> None:
        """Let a run go on that waits, maybe up to the next pause."""
        asked = (run.name, until)
        self._same(
            lambda: self.model.resume(*asked, **rest), lambda: self.system.resume(*asked, **rest)
        )
        self.look(run)

    def signal(self, run: Run, word: str, effective: Any = "next", **rest: Any) -> None:
        """Say a word to all ranks: P2."""
        asked = (run.name, word, effective)
        self._same(
            lambda: self.model.signal(*asked, **rest), lambda: self.system.signal(*asked, **rest)
        )
        self.look(run)

    def act(self, run: Run, expected: Callable[[], Any], got: Callable[[], Any]) -> None:
        """Do what somebody with a token of their own does, and compare."""
        self._same(expected, got)
        self.look(run)

    # what a run hears

    def report(
        self,
        run: Run,
        *points: tuple[int, float],
        source: str = "main",
        generation: int | None = None,
        metric: str = "loss",
    ) -> None:
        """Report values at steps: P11."""
        number = run.current.number if generation is None else generation
        asked = (run.id, number, source, [(step, metric, value) for step, value in points])
        wanted, answer = self._alike(
            lambda: listening.report(self.model, *asked), lambda: self._listener.report(*asked)
        )
        if answer is not None:  # what is None was said in an answer that was lost
            known = {name: item for name, item in answer.items() if item is not None}
            self._require({name: wanted[name] for name in known}, known)
        self.look(run)

    def arm(self, run: Run, name: str, config: Mapping[str, Any], **rest: Any) -> None:
        """Arm a controller, or another one in its place."""
        asked = (run.name, name, config)
        self._same(
            lambda: self.model.arm(*asked, **rest), lambda: self._listener.arm(*asked, **rest)
        )
        self.look(run)

    def disarm(self, run: Run, name: str, expected: int | None = None) -> None:
        """Disarm a controller."""
        asked = (run.name, name, expected)
        self._same(lambda: self.model.disarm(*asked), lambda: self._listener.disarm(*asked))
        self.look(run)

    def reset(self, run: Run, name: str, expected: int | None = None) -> None:
        """Have a controller forget what it remembers."""
        asked = (run.name, name, expected)
        self._same(lambda: self.model.reset(*asked), lambda: self._listener.reset(*asked))
        self.look(run)

    def propose(self, run: Run, kind: Any, asked: Any = None, effective: Any = "next") -> None:
        """Suggest a change, a stop, a pause or a signal."""
        self._same(
            lambda: proposing.propose(self.model, run, kind, asked, effective),
            lambda: self._listener.propose(run.name, kind, asked, effective),
        )
        self.look(run)

    def accept(self, run: Run, number: int, expected: int | None = None) -> None:
        """Say yes to a proposal, which does what it says once."""
        self._same(
            lambda: proposing.accept(self.model, run, number, expected),
            lambda: self._listener.accept(run.name, number, expected),
        )
        self.look(run)

    def decline(self, run: Run, number: int, expected: int | None = None) -> None:
        """Say no to a proposal."""
        self._same(
            lambda: proposing.decline(run, number, expected),
            lambda: self._listener.decline(run.name, number, expected),
        )
        self.look(run)

    def outcome(self, run: Run, revision: int, said: tuple[str, int], source: str = "main") -> None:
        """Say what became of a signal."""
        asked = (run.current.number, revision, source, said)
        self._same(
            lambda: proposing.outcome(run, *asked), lambda: self._listener.outcome(run.id, *asked)
        )

    @property
    def _listener(self) -> Listening:
        assert self.listens
        return cast("Listening", self.system)

    # what workers applied and saved

    def beat(
        self,
        run: Run,
        listing: applying.Listing,
        *,
        worker: str = "0",
        generation: int | None = None,
    ) -> None:
        """Say what a worker applied; where nobody can have, its digest is of no matter: P12."""
        number = run.current.number if generation is None else generation
        try:
            steps = listing.steps(run.cell)
            columns = applying.applied(listing, applying.given(run, self._served, number, steps))
        except Refusal:
            steps, columns = [], {}
        proof = applying.digest(steps, columns)
        values = columns if columns and listing.sends else None
        asked = (run.id, number, worker, listing)
        self._same(
            lambda: applying.judge(self.model, self._served, *asked),
            lambda: self._prover.beat(*asked, proof, values),
        )

    def save(self, run: Run, step: int, tag: str = "best", generation: int | None = None) -> None:
        """Say that a worker saved its state."""
        number = run.current.number if generation is None else generation
        asked = (run.id, number, step, tag)
        self._same(lambda: applying.save(self.model, *asked), lambda: self._prover.save(*asked))

    @property
    def _prover(self) -> Proving:
        assert self.proves
        return cast("Proving", self.system)

    def restart(self, *, every: bool = True) -> None:
        """Let a process die, or all of them, and start again: P4."""
        self.system.restart(every=every)
        for run in self.model.runs:
            self.look(run)

    def upgrade(self) -> None:
        """Restart on a computer whose arithmetic is off by one more unit in the last place."""
        self._ulps += 1
        self.system.upgrade(self._ulps)
        self.restart()

    def repeat(self, index: int) -> None:
        """Send a request again, of which the answer was lost: it has its effect once."""
        self.system.repeat(index)
        for run in self.model.runs[:1]:
            self.look(run)

    # comparison

    def look(self, run: Run) -> None:
        """Compare what the run shows, and the values on both sides of what is settled."""
        first = max(run.settled - 4 * run.cell, 0)
        expected, answer = self._alike(
            lambda: _state(self.model.find(run.id)), lambda: self.system.look(run.id, first, 12)
        )
        if answer is not None:
            shown, block = answer
            self._require(expected, {key: shown[key] for key in expected})
            self._compare(self.model.preview(run.id, first, 12), block)
            if self.listens and (run.ears.controllers or run.proposals):
                heard = {
                    "controllers": listening.shown(run),
                    "proposals": [(each.state, each.revision) for each in run.proposals],
                }
                self._require(heard, self._listener.heard(run.id))

    def look_back(self) -> None:
        """
        Compare the ledger with every value that was ever handed out: P1.

        And what was reported and decided: each report is there once, with the bits that came
        first, each decision once, and its revision with it (P11). And what was applied and not
        given, each once, and what was saved.
        """
        for run in self.model.runs if self.listens else ():
            for metric in ("loss", "accuracy"):
                self._require(listening.kept(run, metric), self._listener.kept(run.id, metric))
            for name in run.ears.controllers:
                self._require(listening.decided(run, name), self._listener.decided(run.id, name))
        for run in self.model.runs if self.proves else ():
            self._require([*run.mismatches.values()], self._prover.mismatches(run.id))
            self._require(applying.saved(run), self._prover.saved(run.id))
        for run in self.model.runs:
            for past in run.generations:
                for cell, values in self.system.ledger(run.id, past.number):
                    owner, *_ = past.in_force(cell)
                    assert values == self._served[owner.run.id, owner.number, cell]

    def _compare(self, expected: Expected, block: Block) -> None:
        self._require(expected.revisions, list(block.revisions))
        self._require(expected.final, block.final)
        told = [(signal.at, signal.revision, signal.word) for signal in block.signals]
        self._require(list(expected.signals), told)
        for index, owner in enumerate(expected.owners):
            cell = block.start + index * block.resolution
            wanted = self._served.get((*owner, cell)) or self._computed(expected, index)
            self._require((cell, owner, wanted), (cell, owner, self._column(block, index)))

    def _keep(self, expected: Expected, block: Block) -> None:
        for index, owner in enumerate(expected.owners):
            cell = block.start + index * block.resolution
            self._served.setdefault((*owner, cell), self._column(block, index))

    def _computed(self, expected: Expected, index: int) -> dict[str, float]:
        return {name: _raised(float(v), self._ulps) for name, v in expected.values[index].items()}

    def _column(self, block: Block, index: int) -> dict[str, float]:
        return dict(zip(block.names, map(float, block.values[:, index]), strict=True))

    def _same(self, expected: Callable[[], Any], got: Callable[[], Any]) -> None:
        wanted, answer = self._alike(expected, got)
        self._require(wanted, answer)

    def _require(self, wanted: Any, answer: Any) -> None:
        self.sound = wanted == answer
        assert wanted == answer, f"{wanted} was expected, and {answer} came"

    def _alike(self, expected: Callable[[], Any], got: Callable[[], Any]) -> tuple[Any, Any]:
        """Return both answers; None if both were refused, for the same reason."""
        self.sound = False
        wanted, refusal = _outcome(expected)
        answer, refused = _outcome(got)
        assert _code(refusal) == _code(refused), (
            f"{_code(refusal)} was expected, and {_code(refused)} came: {refused}"
        )
        self.sound = True
        if refusal is not None and refused is not None:
            self._require(refusal.members, _told(refused, refusal.members))
        return wanted, answer


def _outcome(operation: Callable[[], Any]) -> tuple[Any, Refusal | Refused | None]:
    try:
        return operation(), None
    except (Refusal, Refused) as refusal:
        return None, refusal


def _code(refusal: Refusal | Refused | None) -> str | None:
    return None if refusal is None else refusal.code


def _told(refusal: Refusal | Refused, names: Collection[str]) -> dict[str, Any]:
    """Return what a refusal tells under these names, its signals in the model's words."""
    members = {name: refusal.members.get(name) for name in names}
    if "signals" in members:
        said = members["signals"] or ()
        members["signals"] = [(each["at"], each["revision"], each["signal"]) for each in said]
    return members


def _raised(value: float, ulps: int) -> float:
    for _ in range(ulps):
        value = nextafter(value, inf)
    return value


def _state(run: Run) -> dict[str, Any]:
    return {
        "id": run.id,
        "name": run.name,
        "generation": run.current.number,
        "revision": len(run.revisions),
        "settled_until": run.settled,
        "begins": run.begins,
        "end": run.end,
        "total": run.total,
        "pending": stops.pending(run),
        **stops.shown(run),
        "generations": [(past.number, past.start, past.settled) for past in run.generations],
    }
