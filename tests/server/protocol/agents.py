"""Agents: a token with a limit at the store, what it asks for, and a machine that has it ask."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import rule
from tests.server.protocol import limiting, strategies
from tests.server.protocol.checker import Checker
from tests.server.protocol.limiting import LIMIT, Left
from tests.server.protocol.replicas import Replicas
from tests.server.protocol.running import Running, exists, few, one, step_near
from tests.server.protocol.state import Run
from tests.server.protocol.systems import bare, numbered

from rheostat import wire
from rheostat.server.runs.revision import Note
from rheostat.server.runs.token_limit import TokenLimit
from rheostat.server.store.acting import Acting, acting
from rheostat.server.store.operations import limiting as service
from rheostat.server.store.operations import revise, signal, stop
from rheostat.server.store.records import Records

NAME = "agent"
WHY = Note(NAME, "it says why")


class LimitedReplicas(Replicas):
    """Replicas that know of a token with a limit."""

    @contextmanager
    def _acting(self, act: wire.ProposalKind) -> Iterator[None]:
        before = acting.set(Acting(act=act, token=NAME, limit=TokenLimit.parse(LIMIT)))
        try:
            yield
        finally:
            acting.reset(before)

    def agent_revises(self, ref: str, changes: Any, effective: Any) -> dict[str, Any]:
        """Change a run."""
        request = revise.RevisionRequest(changes, effective, note=WHY)
        with self._acting("change"):
            return numbered(self._post(lambda r: revise.revise(r, ref, request)))

    def agent_halts(
        self, ref: str, effective: Any, *, hold: bool, word: str | None
    ) -> dict[str, Any]:
        """Stop a run, or have it hold."""
        request = stop.StopRequest(effective, hold, None, word, note=WHY)
        with self._acting("pause" if hold else "stop"):
            return bare(self._post(lambda r: stop.stop(r, ref, request)))

    def agent_signals(self, ref: str, word: str, effective: Any) -> dict[str, Any]:
        """Say a word to all ranks."""
        request = signal.SignalRequest(word, {}, effective, None, WHY)
        with self._acting("signal"):
            return bare(self._post(lambda r: signal.signal(r, ref, request)))

    def agent_cancels(self, ref: str, number: int) -> dict[str, Any]:
        """Take a revision back."""
        with self._acting("cancel"):
            return numbered(self._post(lambda r: revise.cancel(r, ref, number, None, WHY)))

    def agent_resumes(self, ref: str) -> dict[str, Any]:
        """Let a run go on that holds."""
        request = stop.ResumeRequest(note=WHY)
        with self._acting("resume"):
            return {**self._post(lambda r: stop.resume(r, ref, request))}

    def left(self, ref: str) -> Left:
        """Return what is left to the agent."""

        def use(records: Records) -> Left:
            run = records.find(ref)
            found = service.use_of(records, run, records.lineage(run))
            assert found is not None
            assert found.left is not None
            assert found.from_step is not None
            return Left(found.left, found.from_step)

        with self._acting("change"):
            return self._read(use)


class Agent:
    """Has an agent do something in the service and in the model."""

    def __init__(self, checker: Checker) -> None:
        assert isinstance(checker.system, LimitedReplicas)
        self._checker, self._model = checker, checker.model
        self._system = checker.system

    def revise(self, run: Run, changes: Any, effective: Any = "next") -> None:
        """Change a run."""
        asked = (run.name, changes, effective)
        self._act(
            run,
            lambda: limiting.revise(self._model, *asked),
            lambda: self._system.agent_revises(*asked),
        )

    def revert(self, run: Run, to: int, name: str = "lr", effective: Any = "next") -> None:
        """Go back with a parameter."""
        self.revise(run, {name: {"edit": "revert", "to": to}}, effective)

    def halt(
        self, run: Run, effective: Any = "next", *, hold: bool = False, word: str | None = None
    ) -> None:
        """Stop a run, or have it hold."""
        asked = (run.name, effective)
        self._act(
            run,
            lambda: limiting.halt(self._model, *asked, hold=hold, word=word),
            lambda: self._system.agent_halts(*asked, hold=hold, word=word),
        )

    def signal(self, run: Run, word: str, effective: Any = "next") -> None:
        """Say a word to all ranks."""
        asked = (run.name, word, effective)
        self._act(
            run,
            lambda: limiting.signal(self._model, *asked),
            lambda: self._system.agent_signals(*asked),
        )

    def cancel(self, run: Run, number: int) -> None:
        """Take a revision back."""
        asked = (run.name, number)
        self._act(
            run,
            lambda: limiting.cancel(self._model, *asked),
            lambda: self._system.agent_cancels(*asked),
        )

    def resume(self, run: Run) -> None:
        """Let a run go on that holds."""
        self._act(
            run,
            lambda: limiting.resume(self._model, run.name),
            lambda: self._system.agent_resumes(run.name),
        )

    def _act(self, run: Run, expected: Any, got: Any) -> None:
        self._checker.act(run, expected, got)
        self._checker.act(run, lambda: limiting.left(run), lambda: self._system.left(run.name))


ahead = st.sampled_from([None, None, -1, 0, 2, 4, 8, 16])
named = st.sampled_from(["lr", "lr", "wd", "wd/two"])


class Limited(Running):
    """People who do anything, and an agent that does what its limit leaves."""

    @property
    def agent(self) -> Agent:
        """Return the agent."""
        return Agent(self.checker)

    @exists
    @rule(run=one, changes=strategies.changes, ahead=ahead)
    def revise(self, run: int, changes: Any, ahead: int | None) -> None:
        """Revise a run, as somebody who has no limit."""
        there = self.some(run)
        self.checker.revise(there, changes, self._step(there, ahead))

    @exists
    @rule(run=one, name=named, factor=strategies.factors, ahead=ahead)
    def change(self, run: int, name: str, factor: float, ahead: int | None) -> None:
        """Have the agent change one parameter."""
        there = self.some(run)
        change = {name: {"edit": "scale", "factor": factor}}
        self.agent.revise(there, change, self._step(there, ahead))

    @exists
    @rule(run=one, names=st.sets(named, min_size=1, max_size=2), back=few, ahead=ahead)
    def go_back(self, run: int, names: set[str], back: int, ahead: int | None) -> None:
        """Have the agent go back with some parameters, to before something or far back."""
        there = self.some(run)
        to = max(len(there.revisions) - back, 1)
        changes = {name: {"edit": "revert", "to": to} for name in sorted(names)}
        self.agent.revise(there, changes, self._step(there, ahead))

    @exists
    @rule(run=one, back=few, settle=st.booleans())
    def change_and_go_back(self, run: int, back: int, settle: bool) -> None:  # noqa: FBT001
        """Have the agent change, maybe train with that, and go back."""
        there = self.some(run)
        first = len(there.revisions)
        self.agent.revise(there, {"lr": {"edit": "scale", "factor": 0.5}})
        if settle:
            self.checker.settle(there, there.settled, 1)
        self.agent.revert(there, max(first - back // 3, 1))

    @exists
    @rule(
        run=one,
        what=st.sampled_from(["stop", "pause", "pause", "signal"]),
        word=st.sampled_from([None, None, "checkpoint"]),
        ahead=ahead,
    )
    def say(self, run: int, what: str, word: str | None, ahead: int | None) -> None:
        """Have the agent stop a run, hold it, or say a word."""
        there = self.some(run)
        effective = self._step(there, ahead)
        if what == "signal":
            self.agent.signal(there, word or "evaluate", effective)
        else:
            self.agent.halt(there, effective, hold=what == "pause", word=word)

    @exists
    @rule(run=one, back=few)
    def take_back(self, run: int, back: int) -> None:
        """Have the agent cancel what waits, of its own or of others, or what does not."""
        there = self.some(run)
        self.agent.cancel(there, max(len(there.revisions) - back, 1))

    @exists
    @rule(run=one)
    def let_go(self, run: int) -> None:
        """Have the agent let a run go on."""
        self.agent.resume(self.some(run))

    def _step(self, run: Run, ahead: int | None) -> Any:
        return "next" if ahead is None else step_near(run, ahead)
