"""
What answers tell of workers, such as when they come to a revision, asked once the answer is made.

So the writer knows nothing of it, the answer that is kept for a repetition has none, and whoever
asks again is told how it is by then.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from typing import Annotated, Any, TypeVar, cast

from fastapi import Depends
from starlette.requests import Request

from rheostat import wire
from rheostat.errors import RheostatError
from rheostat.limits import RUN_ID
from rheostat.server.runs.arrival import Seen, is_to_come, seen_in
from rheostat.server.runs.crowd import Crowd
from rheostat.server.runs.presence import Roster
from rheostat.server.runs.revision import RevisionKind
from rheostat.server.runs.revision_state import Front
from rheostat.server.runs.status import status
from rheostat.server.store import Store
from rheostat.server.store.operations import workers

Answer = TypeVar("Answer", bound=Mapping[str, Any])

Shown = TypeVar("Shown", bound=wire.Revision)

PATIENCE = 2.0
"""Seconds that an answer waits for it: what was asked for is done already."""


class Arrivals:
    """What the workers of runs say, as far as answers about runs and revisions need it."""

    def __init__(self, store: Store, roster: Roster) -> None:
        self._store, self._roster = store, roster

    async def with_eta(
        self, run: str, answer: Answer, kind: RevisionKind = RevisionKind.CHANGE
    ) -> Answer:
        """
        Return the answer to a change, or to a rehearsal of it, with `eta` if somebody trains.

        It is a hint: where it is not to be had in time, the answer comes without. ``kind`` is that
        of the revision, unless the answer says it.
        """
        effective = answer.get("effective")
        if effective is None:  # an answer that was kept by an older release
            return answer
        crowd = await self._crowd_in_time(run)
        place = answer.get("revision"), effective, answer.get("kind", kind)
        eta = crowd.eta([place]) if crowd else []
        return cast("Answer", {**answer, "eta": eta}) if eta else answer

    async def with_eta_to_come(self, run: str, found: Shown) -> Shown:
        """Return a revision, with `eta` if not all workers are past it."""
        return await self.with_eta(run, found) if is_to_come(found) else found

    async def with_workers(self, run: wire.RunState) -> wire.RunState:
        """Return a run with its workers, and so its state, if they are to be had in time."""
        crowd = await self._crowd_in_time(run["id"])
        if crowd is None:
            return run
        return {**run, "workers": crowd.counts, "state": status(run, crowd.turnout)}

    async def alive(self, run: str) -> int:
        """Return how many workers of a run are alive."""
        return len((await self._crowd(run)).alive)

    async def seen(self, run: str, within: float) -> Seen:
        """Return what the workers of a run say, or said within some seconds, for whoever waits."""
        return seen_in(await self._crowd(run, within))

    async def front(self, run: str) -> Front:
        """Return how far the workers of a run are."""
        return (await self._crowd(run)).front

    async def _crowd_in_time(self, run: str) -> Crowd | None:
        try:
            async with asyncio.timeout(PATIENCE):
                return await self._crowd(run)
        except (TimeoutError, RheostatError):
            return None

    async def _crowd(self, run: str, within: float = 0.0) -> Crowd:
        recent = self._roster.recent(run, within) if re.fullmatch(RUN_ID, run) else None
        if recent is not None:
            return recent
        return await self._store.read(workers.crowd, run, self._roster)


async def _arrivals(request: Request) -> Any:
    return Arrivals(request.app.state.store, request.app.state.roster)


ArrivalsDep = Annotated[Arrivals, Depends(_arrivals)]
