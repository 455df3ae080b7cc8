"""
Writing down who trains, now and then, so that other processes and the next one know.

What cannot be written because the database is away stays in memory, and is written later.
"""

from __future__ import annotations

import asyncio
import logging

from rheostat.errors import Unavailable
from rheostat.server.runs.presence import News, Roster
from rheostat.server.store import Store
from rheostat.server.store.operations import workers

log = logging.getLogger("rheostat.server")

PERIOD = 5.0
"""Seconds between two such times."""

AT_ONCE = 500
"""Workers in one transaction: others wait for it no longer than for a change."""


async def keep_writing(roster: Roster, store: Store) -> None:
    """Forget who is long gone, and write down what is new, every few seconds, for ever."""
    while True:
        await asyncio.sleep(PERIOD)
        roster.look_round()
        await write_all(roster, store)


async def write_all(roster: Roster, store: Store) -> None:
    """
    Write down what is new; what cannot be written now stays new.

    It is a hint: that it cannot be written ends neither the next attempt nor the service.
    """
    more = True
    try:
        while more:
            news = roster.news(AT_ONCE)
            more = sum(map(len, news.workers.values())) == AT_ONCE
            if news.workers:
                more &= await _write(roster, store, news)
    except Unavailable:
        pass
    except Exception:
        log.exception("could not write down who trains")


async def _write(roster: Roster, store: Store, news: News) -> bool:
    """Write some of it down, and return whether no run was in the way."""
    try:
        written = await store.write(workers.write, news)
    except BaseException:
        roster.put_back(news)
        raise
    roster.drop(written.gone)
    roster.put_back(news, written.held)
    return not written.held
