"""
Held reads: those that wait at a pause or a gate, and what is known of it meanwhile.

All ranks of a run come to a pause or a gate at one moment, and wait there for minutes or hours. So
a refusal there is remembered while it stands, and answers whoever asks again, without the database;
and who asks to be held is answered when the run goes on. At a told stop or an end, where nobody
waits, it is remembered too. The database is asked for all barriers at once: whenever this process
has changed one of their runs, and every half second, since replicas share the database alone. All
of this is for the event loop alone, but for `Holds.changed`.
"""

from __future__ import annotations

import asyncio
import logging
import random
import re
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import Any, NamedTuple

from starlette.requests import ClientDisconnect
from starlette.types import Scope

from rheostat.errors import Refused, Unavailable
from rheostat.server.http.blocks import Address, BlockAnswer, BlockCache, BlockKey, settled
from rheostat.server.http.metrics import Metrics
from rheostat.server.http.traffic import WHEN_GONE
from rheostat.server.runs.barriers import Standing
from rheostat.server.runs.settling import BlockRequest, require_block
from rheostat.server.store import Store
from rheostat.server.store.operations.refusals import Refusal
from rheostat.server.store.operations.values import settle
from rheostat.server.store.records import Records
from rheostat.server.store.store import work_for_all

LONGEST = 30
"""Seconds for which a read is held at most."""

EARLIER = 0.1
"""Share of that time by which some are let go earlier, so that not all ask again at one moment."""

POLL = 0.5
"""Seconds between two questions to the database."""

CLOSED = 1_024
"""Pauses and gates that a process remembers; at others, each read asks the database."""

KEPT = 60.0
"""Seconds for which one is remembered that nobody comes to."""

AT_ONCE = 16
"""Reads that go on in one turn of the event loop: ten thousand would be a second for all others."""

CHANGING = frozenset({"missing", "best"})
"""What a refusal tells that changes without its run."""

ADDRESSES = 64
"""Addresses of requests that are remembered of each: from there, they are held without a task."""

COME_BACK = 5
"""Seconds after which a read that found no place may come again."""

BEFORE_HOLDING = "rheostat.before_holding"
"""Key of the scope of a request under which is what is told its block before it is held."""

REFUSED = "rheostat.refused_block"
"""Key of the scope under which the route leaves the `BlockKey` that it refuses at a barrier."""

WAITED = "rheostat.waited"
"""Key of the scope of a request that was held before it came to the application."""

_WAIT = re.compile(r'(?:^|,)\s*wait\s*=\s*"?(\d{1,9})"?\s*(?=$|[,;])', re.IGNORECASE)

log = logging.getLogger("rheostat.server")

Place = tuple[str, int]
"""A run's id, and the generation that is read."""


def wait_of(prefer: str | None) -> int:
    """Return for how many seconds a request prefers to be held (RFC 7240), 0 if it does not."""
    found = None if prefer is None else _WAIT.search(prefer)
    return 0 if found is None else min(int(found[1]), LONGEST)


Waiter = Callable[[bool], None]
"""Told once that a read is to go on, or by false that nobody waits for it any more."""


class Heard(NamedTuple):
    """What a read comes to, whether it was held, and whether there was no place for that."""

    found: BlockAnswer | Refusal
    held: bool = False
    crowded: bool = False


@dataclass(eq=False)
class Closed:
    """A pause, a gate or an end at which reads are refused."""

    limit: int
    standing: Standing
    refusal: Refusal | None
    """What is told there, unless that may have changed."""
    said: Any
    """The signals that were told there last."""
    used: float
    waiting: dict[Waiter, None] = field(default_factory=dict)
    addresses: list[Address] = field(default_factory=list)
    """Some of those that were refused there."""
    asked: BlockKey | None = None
    """What one of those who were refused there asked for."""

    @property
    def idle(self) -> bool:
        """Whether nobody waits there."""
        return not self.waiting


class Holds:
    """The reads that one process holds, at most ``limit`` of them, and where."""

    def __init__(self, store: Store, cache: BlockCache, limit: int, metrics: Metrics) -> None:
        self._store = store
        self._cache = cache
        self._limit = limit
        self._metrics = metrics
        self._held = 0
        self._closed: OrderedDict[Place, Closed] = OrderedDict()
        self._at: dict[Address, Place] = {}
        self._changes = 0
        self._news = asyncio.Event()
        self._watcher: asyncio.Task[None] | None = None
        self._asked: dict[BlockKey, asyncio.Task[BlockAnswer | Refusal]] = {}
        self._closing = False
        self._loop = asyncio.get_running_loop()
        store.on_change = self.changed

    # what is known

    def known(self, asked: BlockKey) -> Refusal | None:
        """
        Return the refusal of a read at a barrier that is known to stand.

        Raises `Invalid` for a read that the run cannot have.
        """
        closed = self._closed.get(_place(asked))
        if closed is None or closed.refusal is None:
            return None
        stop = require_block(closed.refusal.spec, asked.start, asked.cells)
        if stop <= closed.limit:
            return None
        if closed.refusal.untold and asked.start >= closed.limit:
            return None  # the first who comes there, and hears of signals, is recorded
        closed.used = self._loop.time()
        return closed.refusal

    async def read(
        self,
        asked: BlockKey,
        *,
        seconds: float,
        scope: Scope,
        admitted: Callable[[], Awaitable[None]],
    ) -> Heard:
        """
        Return what a settling read comes to, held for up to some seconds where it is refused.

        Who is held is asked again whether it is ``admitted``.
        """
        found = self.known(asked) or await self._first_ask(asked)
        if not seconds or not _waits(found, asked):
            return Heard(found, crowded=self._closing)
        until, held, said = self._loop.time() + spread(seconds), False, _said(found)
        while (
            _waits(found, asked)
            and _said(found) == said
            and (left := until - self._loop.time()) > 0
        ):
            closed = self._closed.get(_place(asked))
            if closed is not None and self._has_place:
                closed.asked = asked
                scope.get(BEFORE_HOLDING, _nothing)(asked)
                await self._hold(closed, left, scope)
                held = True
                await admitted()
            elif closed is not None or self._closing or not self._has_room:
                return Heard(found, held, crowded=True)
            found = self.known(asked) or await self._ask_together(asked)
        return Heard(found, held)

    async def _first_ask(self, asked: BlockKey) -> BlockAnswer | Refusal:
        doubted = _place(asked) in self._closed  # many may come before it is known again
        return await (self._ask_together if doubted else self._ask)(asked)

    async def _ask_together(self, asked: BlockKey) -> BlockAnswer | Refusal:
        """Have the database asked, once for all who go on with the same block at a time."""
        task = self._asked.get(asked)
        if task is None:
            task = self._asked[asked] = asyncio.create_task(self._ask_for_all(asked))
            task.add_done_callback(lambda done: self._answered(asked, done))
        return await asyncio.shield(task)

    def _answered(self, asked: BlockKey, done: asyncio.Task[BlockAnswer | Refusal]) -> None:
        del self._asked[asked]
        if not done.cancelled():
            done.exception()  # it is told to whoever asked

    async def _ask_for_all(self, asked: BlockKey) -> BlockAnswer | Refusal:
        work_for_all()
        return await self._ask(asked)

    async def _ask(self, asked: BlockKey) -> BlockAnswer | Refusal:
        before = self._changes
        found = await self._settle(asked)
        if isinstance(found, Refusal) and found.stands:
            self._note(_place(asked), found)
            if self._changes != before:  # it may have been opened since
                self._news.set()
        return found

    async def _settle(self, asked: BlockKey) -> BlockAnswer | Refusal:
        """Return a settled block, from memory if it is there, or why it cannot be had."""
        if (known := self._cache.get(asked)) is not None:
            return known
        request = BlockRequest(asked.generation, asked.start, asked.cells)
        found = await self._store.write(settle, asked.run_id, request)
        if isinstance(found, Refusal):
            return found
        answer = settled(found, asked.chosen)
        self._cache.put(asked, answer)
        return answer

    def _note(self, place: Place, refusal: Refusal) -> None:
        """Remember a refusal; of those that nobody waits for, the oldest make room."""
        closed = self._closed.get(place)
        now = self._loop.time()
        if closed is not None and closed.standing.holds(refusal.standing):
            closed.refusal, closed.standing, closed.used = refusal, refusal.standing, now
            if closed.said != _said(refusal):  # a signal is heard by those who wait
                closed.said = _said(refusal)
                self._let_go(iter(list(closed.waiting)))
            return
        if closed is not None:
            self._open(place)
        if not self._has_room:
            return
        if len(self._closed) >= CLOSED:
            self._forget(next(place for place, each in self._closed.items() if each.idle))
        said = _said(refusal)
        self._closed[place] = Closed(refusal.limit, refusal.standing, refusal, said, now)
        if self._watcher is None or self._watcher.done():
            self._watcher = asyncio.create_task(self._watch())

    def _forget(self, place: Place) -> Closed:
        closed = self._closed.pop(place)
        for address in closed.addresses:
            del self._at[address]
        return closed

    @property
    def _has_place(self) -> bool:
        """Whether one more read can be held."""
        return self._held < self._limit and not self._closing

    @property
    def _has_room(self) -> bool:
        """Whether one more pause or gate can be remembered."""
        return len(self._closed) < CLOSED or any(each.idle for each in self._closed.values())

    # holding

    async def _hold(self, closed: Closed, seconds: float, scope: Scope) -> None:
        """
        Return when a barrier may have opened, or after some seconds.

        Raises `ClientDisconnect` when the caller hangs up.
        """
        answer: asyncio.Future[bool] = self._loop.create_future()
        held = Held(self, closed, seconds, partial(_answer, answer))
        scope.get(WHEN_GONE, _never)(partial(held, False))
        try:
            if not await answer:
                raise ClientDisconnect
        finally:
            held(False)

    # before the application

    def note(self, address: Address, asked: BlockKey) -> None:
        """Remember that a request from an address was refused at a barrier."""
        place = _place(asked)
        closed = self._closed.get(place)
        if closed is None or address in self._at or asked.start < closed.limit:
            return
        closed.asked = asked
        if len(closed.addresses) == ADDRESSES:
            del self._at[closed.addresses.pop(0)]
        closed.addresses.append(address)
        self._at[address] = place

    def park(self, address: Address, seconds: float, go_on: Waiter) -> Held | None:
        """Hold a request from an address that was refused, if it is now; and if there is place."""
        place = self._at.get(address)
        closed = None if place is None else self._closed[place]
        if closed is None or not self._has_place:
            return None
        if closed.refusal is None or not closed.refusal.opens:
            return None
        return Held(self, closed, spread(seconds), go_on)

    def _open(self, place: Place) -> None:
        """Let those go on who wait at a barrier, a few at a time."""
        self._let_go(iter(list(self._forget(place).waiting)))

    def _let_go(self, waiting: Iterator[Waiter]) -> None:
        some = list(islice(waiting, AT_ONCE))
        for go_on in some:
            go_on(True)
        if some:
            self._loop.call_soon(self._let_go, waiting)

    def count(self, change: int) -> None:
        """Count a read that is held, or is not any more."""
        self._held += change
        self._metrics.count_held(self._held)

    def close(self) -> None:
        """Let all go on at once, and hold nobody any more."""
        self._closing = True
        for place in list(self._closed):
            self._open(place)
        if self._watcher is not None:
            self._watcher.cancel()

    # what is new

    def changed(self, run_ids: Collection[str]) -> None:
        """Note that this process has changed some runs; from any thread, after the commit."""
        with suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(self._changed, frozenset(run_ids))

    def _changed(self, run_ids: frozenset[str]) -> None:
        self._changes += 1
        for place, closed in self._closed.items():
            if place[0] in run_ids:  # who comes after the change is answered finds it
                closed.refusal = None
                self._news.set()

    async def _watch(self) -> None:
        work_for_all()
        while self._closed and not self._closing:
            with suppress(TimeoutError):
                async with asyncio.timeout(POLL):
                    await self._news.wait()
            self._news.clear()
            try:
                await self._look()
            except Unavailable:
                self._doubt()
            except Exception:
                self._doubt()
                log.exception("could not ask whether runs go on")

    async def _look(self) -> None:
        seen = {place: closed.standing for place, closed in self._closed.items()}
        found = await self._store.read(Records.standings, {run_id for run_id, _ in seen})
        now = self._loop.time()
        for place, before in seen.items():
            closed = self._closed.get(place)
            if closed is None or closed.standing is not before:
                continue  # it is newer than the question
            standing = found.get(place[0])
            if standing is None or not before.holds(standing):
                self._open(place)
            elif standing != before:
                closed.standing, closed.refusal = standing, None
                if closed.waiting and closed.asked is not None:
                    with suppress(Refused):  # whoever waits is told
                        await self._ask_together(closed.asked)  # there may be a signal for them
            elif closed.idle and closed.used + KEPT < now:
                self._forget(place)
            elif closed.refusal is not None and CHANGING & closed.refusal.error.members.keys():
                closed.refusal = None  # a report may change them, though it moves no barrier

    def _doubt(self) -> None:
        """Have whoever comes ask the database, and so be told that it is away."""
        for closed in self._closed.values():
            closed.refusal = None


class Held:
    """A read that is held: called with whether it is to go on, once; then it is not held."""

    __slots__ = ("_closed", "_go_on", "_holds", "_timer")

    def __init__(self, holds: Holds, closed: Closed, seconds: float, go_on: Waiter) -> None:
        self._holds, self._closed, self._go_on = holds, closed, go_on
        loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = loop.call_later(seconds, self, True)
        closed.waiting[self] = None
        holds.count(+1)

    def __call__(self, wanted: bool) -> None:  # noqa: FBT001
        """Go on, or be forgotten."""
        if self._timer is None:
            return
        self._timer.cancel()
        self._timer = None
        del self._closed.waiting[self]
        self._closed.used = asyncio.get_running_loop().time()
        self._holds.count(-1)
        self._go_on(wanted)


def spread(seconds: float) -> float:
    """Return a time to be held for, a little shorter than what was asked for."""
    return seconds * (1 - EARLIER * random.random())


def _place(asked: BlockKey) -> Place:
    return asked.run_id, asked.generation


def _waits(found: BlockAnswer | Refusal, asked: BlockKey) -> bool:
    """Whether a read is to be held: who may have a part of a block is told so, and asks for it."""
    return isinstance(found, Refusal) and found.opens and asked.start >= found.limit


def _said(found: BlockAnswer | Refusal) -> Any:
    """Return the signals that a refusal tells."""
    return found.error.members.get("signals") if isinstance(found, Refusal) else None


def _answer(answer: asyncio.Future[bool], wanted: bool) -> None:  # noqa: FBT001
    if not answer.done():
        answer.set_result(wanted)


def _nothing(_asked: BlockKey) -> None:
    """Do nothing: nobody else waits for the same request."""


def _never(_tell: Callable[[], object]) -> None:
    """Say nothing of a caller that hangs up: its connection is not ours."""
