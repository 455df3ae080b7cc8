"""Timelines, each stored once for a run, by the hash of its content."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping

import orjson
from sqlalchemy import insert, select

from rheostat.errors import Invalid, Unavailable
from rheostat.server.runs.timeline import Timeline, Timelines
from rheostat.server.store import tables
from rheostat.server.store.cache import BoundedCache
from rheostat.server.store.transaction import Transaction


class StoredTimelines:
    """The timelines of runs, as one transaction sees them."""

    def __init__(self, transaction: Transaction, cache: BoundedCache[str, Timeline]) -> None:
        self._transaction = transaction
        self._cache = cache

    def store(self, run_id: str, timelines: Mapping[str, Timeline]) -> dict[str, str]:
        """Store what is not there yet of a run's timelines, and return their hashes."""
        texts = {name: _text(timeline) for name, timeline in timelines.items()}
        hashes = {name: hashlib.sha256(text.encode()).hexdigest() for name, text in texts.items()}
        known = self._known(run_id, hashes.values())
        new = {hashes[name]: text for name, text in texts.items() if hashes[name] not in known}
        if new:
            rows = [{"run_id": run_id, "hash": key, "pieces": text} for key, text in new.items()]
            self._transaction.connection.execute(insert(tables.timelines), rows)
        for name, text in texts.items():
            self._cache.put(hashes[name], timelines[name], len(text))
        return hashes

    def _known(self, run_id: str, hashes: Iterable[str]) -> set[str]:
        table = tables.timelines
        query = select(table.c.hash).where(table.c.run_id == run_id, table.c.hash.in_(set(hashes)))
        return set(self._transaction.connection.execute(query).scalars())

    def load(self, run_id: str, hashes: Mapping[str, str]) -> Timelines:
        """Return the timelines with these hashes."""
        found = {key: self._cache.get(key) for key in hashes.values()}
        missing = [key for key, timeline in found.items() if timeline is None]
        found |= self._read(run_id, missing)
        known = {key: timeline for key, timeline in found.items() if timeline is not None}
        return Timelines({name: known[key] for name, key in hashes.items()})

    def _read(self, run_id: str, hashes: list[str]) -> dict[str, Timeline]:
        if not hashes:
            return {}
        table = tables.timelines
        query = select(table.c.hash, table.c.pieces)
        query = query.where(table.c.run_id == run_id, table.c.hash.in_(hashes))
        texts = {row.hash: row.pieces for row in self._transaction.connection.execute(query)}
        found = {key: _timeline(text) for key, text in texts.items()}
        for key, timeline in found.items():
            self._cache.put(key, timeline, len(texts[key]))
        return found


def _timeline(text: str) -> Timeline:
    try:
        return Timeline.from_json(orjson.loads(text))
    except (Invalid, ValueError, TypeError, KeyError) as error:
        # What is not understood must not be left out: its values would be others.
        message = "a newer release stored what is in force: this one cannot read its definition"
        raise Unavailable(message, reason="schema") from error


def _text(timeline: Timeline) -> str:
    return orjson.dumps(timeline.to_json()).decode()
