"""Proofs: what beats list of what was applied is judged in turn, and what differs is kept."""

from __future__ import annotations

import asyncio
import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from rheostat import wire
from rheostat.errors import WentBack
from rheostat.limits import MAX_WORKERS
from rheostat.server.http.budgets import busy
from rheostat.server.http.metrics import Metrics
from rheostat.server.http.turns import Turns
from rheostat.server.runs.beats import Beat
from rheostat.server.runs.presence import Roster
from rheostat.server.store import Store
from rheostat.server.store.operations import applied, mismatch, workers
from rheostat.server.store.operations.applied import Judged, TakesMuch
from rheostat.server.store.records import Records

SMALL = 65_536
"""Values of the ledger up to which a beat is judged without waiting for others."""

AT_ONCE = 1
"""Beats that take more and are judged at the same time."""

MOST = 2 * MAX_WORKERS
"""Workers of which it is remembered from where on nothing is proven."""


@dataclass(frozen=True, slots=True)
class Held:
    """What came of a beat: up to where each worker is right, and which windows are asked for."""

    run_id: str
    proven: Mapping[str, int]
    compare: list[wire.Compare]


class Proofs:
    """
    Holds beats against the ledger: those that may take much of it one after another.

    What is answered has been kept: a mismatch is durable once its beat is.
    """

    def __init__(self, store: Store, roster: Roster, metrics: Metrics) -> None:
        self._store = store
        self._roster = roster
        self._metrics = metrics
        self._turns = Turns(AT_ONCE, "beats with much to compare")
        self._doubts: OrderedDict[tuple[str, int, str, str], int] = OrderedDict()

    async def hold(self, run: str, beat: Beat) -> Held:
        """
        Return what comes of a beat; nothing of it is kept if it is refused.

        Raises:
            Refused: What `workers.meet` and `applied.judge` refuse, and ``Unavailable`` if others
                take too long.

        """
        run_id, judged = await self._judged(run, beat)
        if found := [each for worker in judged for each in worker.found]:
            kept = await self._store.write(mismatch.keep, run_id, found)
            self._metrics.count_mismatches(kept)
        compare: list[wire.Compare] = [
            {"worker": each.worker, "start": start} for each in judged for start in each.compare
        ]
        return Held(run_id, self._proven(run_id, beat, judged), compare)

    async def _judged(self, run: str, beat: Beat) -> tuple[str, Sequence[Judged]]:
        """Judge it, in turn if that takes much; how much is known only when it is read."""
        try:
            try:
                return await self._store.read(_judge, run, beat, self._roster, SMALL)
            except TakesMuch:
                await self._turns.wait(1)
            with _Turn(self._turns) as turn:
                return await self._store.read(turn.judge, run, beat, self._roster)
        except WentBack:
            self._metrics.count_went_back()
            raise

    def _proven(self, run_id: str, beat: Beat, judged: Sequence[Judged]) -> dict[str, int]:
        """Return up to where workers are right: not past a window that was never compared."""
        proven: dict[str, int] = {}
        for said, each in zip(beat.workers, judged, strict=True):
            key = (run_id, beat.generation, said.worker, said.session)
            known = (self._doubts.pop(key, None), each.doubt)
            doubt = min((step for step in known if step is not None), default=None)
            if doubt is not None:
                self._doubts[key] = doubt
                if len(self._doubts) > MOST:
                    self._doubts.popitem(last=False)
            if each.until is not None and (doubt is None or each.until <= doubt):
                proven[said.worker] = each.until
        return proven


class _Turn:
    """The turn of a beat: over once nobody reads for it, though its caller was refused before."""

    def __init__(self, turns: Turns) -> None:
        self._turns = turns
        self._loop = asyncio.get_running_loop()
        self._lock = threading.Lock()
        self._begun = self._left = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._left = True
            if not self._begun:
                self._turns.done(1)

    def judge(
        self, records: Records, run: str, beat: Beat, roster: Roster
    ) -> tuple[str, Sequence[Judged]]:
        """Judge it, in a thread that reads."""
        with self._lock:
            if self._left:
                raise busy("nobody waits for it any more")
            self._begun = True
        try:
            return _judge(records, run, beat, roster, None)
        finally:
            self._loop.call_soon_threadsafe(self._turns.done, 1)


def _judge(
    records: Records, run: str, beat: Beat, roster: Roster, most: int | None
) -> tuple[str, Sequence[Judged]]:
    """Read all that a beat needs, in one transaction: whose it is, and the ledger."""
    found, lineage = workers.meet(records, run, beat, roster)
    return found.id, applied.judge(records, found, lineage, beat, most)
