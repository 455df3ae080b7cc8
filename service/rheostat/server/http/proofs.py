"""Proofs: what workers list of what they applied is judged in turn, and what differs is kept."""

from __future__ import annotations

from collections.abc import Sequence

from rheostat.errors import WentBack
from rheostat.limits import MAX_HELD_AGAINST
from rheostat.server.http.metrics import Metrics
from rheostat.server.http.turns import Turns
from rheostat.server.runs.applied import Applied
from rheostat.server.store import Store
from rheostat.server.store.operations import applied, mismatch
from rheostat.server.store.operations.applied import Judged

SMALL = 65_536
"""Values of the ledger up to which a beat is judged without waiting for others."""


class Proofs:
    """
    Holds beats against the ledger: those that may take much of it one after another.

    What is answered has been kept: a mismatch is durable once its beat is.
    """

    def __init__(self, store: Store, metrics: Metrics) -> None:
        self._store = store
        self._metrics = metrics
        self._turns = Turns(MAX_HELD_AGAINST, "beats with much to compare")

    async def of(
        self, run_id: str, generation: int, workers: Sequence[Applied]
    ) -> Sequence[Judged]:
        """
        Return what comes of each worker; raise what `judge` raises, and then keep nothing.

        Raises:
            Unavailable: Other beats take too long to be judged.

        """
        judged = await self._judged(run_id, generation, workers)
        found = [each for worker in judged for each in worker.found]
        if found:
            kept = await self._store.write(mismatch.keep, run_id, found)
            self._metrics.count_mismatches(kept)
        return judged

    async def _judged(
        self, run_id: str, generation: int, workers: Sequence[Applied]
    ) -> Sequence[Judged]:
        size = min(sum(worker.span for worker in workers), MAX_HELD_AGAINST)
        if size > SMALL:
            await self._turns.wait(size)
        try:
            return await self._store.read(applied.judge, run_id, generation, workers)
        except WentBack:
            self._metrics.count_went_back()
            raise
        finally:
            if size > SMALL:
                self._turns.done(size)
