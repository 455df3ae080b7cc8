"""
Idempotency: a request that is sent again with the same key has its effect once.

The answer is stored in the transaction of the effect, so that either both exist or neither.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

import orjson
from sqlalchemy import delete, insert, select

from rheostat.errors import IdempotencyMismatch
from rheostat.server.runs.fragments import dumps
from rheostat.server.store import clock, locks, tables
from rheostat.server.store.records import Records, now

KEPT = timedelta(hours=24)

T = TypeVar("T")


@dataclass(frozen=True)
class IdempotencyKey:
    """An ``Idempotency-Key``, and the hash of the request that it came with."""

    key: str
    request_hash: str


def once(records: Records, key: IdempotencyKey | None, operation: Callable[[Records], T]) -> T:
    """
    Return what ``operation`` returns, or what it returned when the key was first used.

    Raises:
        IdempotencyMismatch: The key was used with another request.

    """
    if key is None:
        return operation(records)
    connection, table = records.connection, tables.idempotency
    old = clock.from_now(-KEPT)
    locks.advisory(connection, f"key {key.key}")
    expired = select(table.c.key).where(table.c.created_at < old)
    expired = expired.with_for_update(skip_locked=True)  # another replica is deleting the others
    connection.execute(delete(table).where(table.c.key.in_(expired)))
    known = connection.execute(select(table).where(table.c.key == key.key)).one_or_none()
    if known is not None:
        if known.request_hash != key.request_hash:
            raise IdempotencyMismatch("the Idempotency-Key was used with another request")
        answer: T = orjson.loads(known.answer)
        return answer
    result = operation(records)
    row = {
        "key": key.key,
        "request_hash": key.request_hash,
        "answer": dumps(result).decode(),
    }
    connection.execute(insert(table).values(created_at=now(), **row))
    return result
