"""Saying every few seconds that this process serves, so that other releases know of it."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress

from rheostat.errors import Unavailable
from rheostat.server.store import Store, replicas
from rheostat.server.store.replicas import Replica

log = logging.getLogger("rheostat.server")


LEAVING = 1.0
"""Seconds for which whoever stops waits for the database to take note of it."""


async def keep_saying(store: Store, replica: Replica) -> None:
    """Say that a replica lives, from now on; what the database does not take is said again."""
    while True:
        try:
            await store.write(replicas.say, replica)
        except Unavailable:
            pass
        except Exception:
            log.exception("could not write down that this process serves")
        await asyncio.sleep(replicas.EVERY)


async def leave(store: Store, replica: Replica) -> None:
    """Say that it stops; if that cannot be written, others find it out in a minute."""
    with suppress(Exception):
        async with asyncio.timeout(LEAVING):
            await store.write(replicas.leave, replica)
