"""Recovering from a backup: what it has forgotten must not be mistaken for what it knows."""

from __future__ import annotations

import secrets

from sqlalchemy import delete, select, update

from rheostat.server.store import tables
from rheostat.server.store.operations.create import new_id
from rheostat.server.store.records import Records


def recover(records: Records) -> list[dict[str, str]]:
    """
    Give every run a new id, in a database that was restored from a backup, and it a new life.

    Steps that were settled after the backup look open in it. Under the old ids, workers and caches
    would mix values from before and after; under the new ones, they find no run, and say so.
    """
    records.write()
    connection, runs, generations = records.connection, tables.runs, tables.generations
    rows = connection.execute(select(runs.c.name, runs.c.id).order_by(runs.c.name)).all()
    renewed = [{"name": name, "old": old, "new": new_id()} for name, old in rows]
    for each in renewed:
        old, new = each["old"], each["new"]
        connection.execute(update(runs).where(runs.c.id == old).values(id=new))
        of_forks = generations.c.parent_run == old
        connection.execute(update(generations).where(of_forks).values(parent_run=new))
    connection.execute(update(tables.incarnation).values(id=secrets.token_hex(8)))
    connection.execute(delete(tables.idempotency))  # its answers name the old ids
    return renewed
