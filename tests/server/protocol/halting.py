"""Where runs end or hold, and the words for all ranks, by the domain's functions alone."""

from __future__ import annotations

from typing import Any

from tests.server.protocol.stored import Stored

from rheostat.errors import (
    Finished,
    NotPending,
    Paused,
    Refused,
    RevisionMismatch,
    Stopped,
    TooLate,
    UnknownRun,
)
from rheostat.server.runs.barriers import Stop
from rheostat.server.runs.lineage import Lineage
from rheostat.server.runs.revision import RevisionKind
from rheostat.server.runs.settling import BlockRequest
from rheostat.server.runs.signals import Signal, require_sayable, signal_data


class Halting:
    """Runs that may be stopped, held, and told words."""

    _runs: dict[str, Stored]

    def _find(self, ref: str) -> Stored:
        for run in self._runs.values():
            if ref in {run.id, run.spec.name}:
                return run
        raise UnknownRun("there is none")

    def _signals(self, run: Stored, generation: int, start: int, stop: int) -> list[Signal]:
        owned = self._lineage(run).owners(generation, start, stop)
        return [each for part in owned for each in self._runs[part.owner.run_id].said(part)]

    def _left(self, run: Stored, generation: int) -> Stop | None:
        """Return the told stop of a generation that a rewind has left."""
        there = [
            Stop(r.number, r.effective, told=True)
            for r in run.revisions.values()
            if (r.generation, r.kind) == (generation, RevisionKind.STOP) and r.told
        ]
        current = generation == run.current.key.number
        return None if current else min(there, key=lambda stop: stop.place, default=None)

    def _told(self, run: Stored, request: BlockRequest, refusal: Refused) -> Refused:
        """Return a refusal with its signals; note who has heard of what."""
        end, met = refusal.members["end"], run.barriers.nearest
        signals = self._signals(run, request.generation, end, end + 1)
        refusal.members["signals"] = [signal.to_json() for signal in signals]
        halted = isinstance(refusal, (Stopped, Paused)) and request.generation == len(
            run.generations
        )
        if halted and met is not None and request.start >= met.effective:
            for signal in signals:
                run.change(signal.revision, told=True)
            if not met.hold:
                run.change(met.revision, told=True)
                run.barriers = run.barriers.telling(met.revision)
        return refusal

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
        run = self._find(ref)
        step = open_step(run, effective, expected_revision)
        told = run.barriers.told
        if told is not None and (not hold or step >= told.effective):
            raise self._explained(run, told.refusal())
        self._require_sayable(run, word, step)
        return {"revision": self._halt(run, step, hold=hold, word=word), "effective": step}

    def _halt(self, run: Stored, step: int, *, hold: bool, word: str | None) -> int:
        data = None if word is None else signal_data(run.spec, word, {})
        made = run.note(RevisionKind.PAUSE if hold else RevisionKind.STOP, step, data)
        run.barriers = run.barriers.adding(Stop(made.number, step, hold))
        return made.number

    def resume(
        self, ref: str, until: int | None, *, expected_revision: int | None = None
    ) -> dict[str, Any]:
        """Let a run go on that holds."""
        run = self._find(ref)
        settled = open_step(run, "next", expected_revision)
        held = sorted(pause.revision for pause in run.barriers.held(settled))
        if not held:
            raise self._lifted(run, run.barriers.told)
        if until is not None:
            told = run.barriers.told
            if run.spec.grid.require("until", until) <= settled:
                raise TooLate("it is settled")
            if told is not None and until >= told.effective:
                raise self._explained(run, told.refusal())
        for number in held:
            run.change(number, cancelled=True)
        run.barriers = run.barriers.without(held)
        lifted = run.note(RevisionKind.CANCEL, settled, {"pauses": held})
        following = None if until is None else self._halt(run, until, hold=True, word=None)
        return {
            "revision": lifted.number,
            "pause": following,
            "cancelled": held,
            "settled_until": settled,
        }

    def signal(
        self, ref: str, word: str, effective: Any, *, expected_revision: int | None = None
    ) -> dict[str, Any]:
        """Say a word to all ranks."""
        run = self._find(ref)
        step = open_step(run, effective, expected_revision)
        told = run.barriers.told
        if told is not None and step >= told.effective:
            raise self._explained(run, told.refusal())
        self._require_sayable(run, word, step)
        data = signal_data(run.spec, word, {})
        return {
            "revision": run.note(RevisionKind.SIGNAL, step, data).number,
            "effective": step,
        }

    def _require_sayable(self, run: Stored, word: str | None, step: int) -> None:
        if word is not None:
            there = self._signals(run, run.current.key.number, run.current.settled_until, 2**53)
            require_sayable(there, word, step)

    def _explained(self, run: Stored, refusal: Refused) -> Refused:
        """Return a refusal that ends or holds, with what is said there."""
        end = refusal.members["end"]
        said = self._signals(run, run.current.key.number, end, end + 1)
        refusal.members["signals"] = [signal.to_json() for signal in said]
        return refusal

    def _lifted(self, run: Stored, told: Stop | None) -> NotPending:
        """Return why something is not taken back: what lifts a stop by which workers have ended."""
        if told is None:
            return NotPending("it does not wait", state="fixed")
        to = min(told.effective, run.current.settled_until)
        back = {"to": to, "from_generation": run.current.key.number}
        return NotPending("workers have ended", state="told", rewind=back)

    def _lineage(self, run: Stored) -> Lineage:
        return Lineage(run.id, [g for each in self._runs.values() for g in each.generations])


def open_step(run: Stored, wanted: Any, expected: int | None) -> int:
    """Return the step of something new, which has to be open."""
    require_open(run)
    if expected not in {None, len(run.revisions)}:
        raise RevisionMismatch("it has moved on")
    settled = run.current.settled_until
    step = run.spec.grid.require("effective", settled if wanted == "next" else wanted)
    if step < settled:
        raise TooLate("it is settled")
    return step


def require_open(run: Stored) -> None:
    """Raise unless a run goes on."""
    if run.end is not None:
        raise Finished("it is", end=run.end)
