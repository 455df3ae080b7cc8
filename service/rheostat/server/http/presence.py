"""
Writing down who trains, now and then, so that other processes and the next one know.

What cannot be written because the database is away stays in memory, and is written later.
"""

from __future__ import annotations

import asyncio

from rheostat.errors import Unavailable
from rheostat.server.runs.presence import Roster
from rheostat.server.store import Store
from rheostat.server.store.operations import workers

PERIOD = 5.0
"""Seconds between two such times."""

AT_ONCE = 500
"""Workers in one transaction: others wait for it no longer than for a change."""


async def keep_writing(roster: Roster, store: Store) -> None:
    """Write down what is new, every few seconds, for ever."""
    while True:
        await asyncio.sleep(PERIOD)
        roster.look_round()
        await write_all(roster, store)


async def write_all(roster: Roster, store: Store) -> None:
    """Write down what is new; what cannot be written now stays new."""
    while rows := roster.unwritten(AT_ONCE):
        try:
            written = await store.write(workers.write, rows)
        except Unavailable:
            roster.not_written(rows)
            return
        except BaseException:
            roster.not_written(rows)
            raise
        roster.drop(written.gone)
        if written.held:
            roster.not_written({run_id: rows[run_id] for run_id in written.held})
            return
