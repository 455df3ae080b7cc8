"""Timelines, each stored once for a run, by the hash of its content."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import orjson
from sqlalchemy import insert, select

from rheostat.errors import Invalid, Unavailable
from rheostat.schedules.references import Lookup
from rheostat.server.runs.timeline import Timeline, Timelines
from rheostat.server.store import tables
from rheostat.server.store.caches import BoundedCache
from rheostat.server.store.outside import Results
from rheostat.server.store.transaction import Transaction


class StoredTimelines:
    """The timelines of runs, as one transaction sees them."""

    def __init__(self, transaction: Transaction, cache: BoundedCache[str, Timeline]) -> None:
        self._transaction = transaction
        self._cache = cache

    def store(self, run_id: str, timelines: Mapping[str, Timeline]) -> dict[str, str]:
        """Store what is not there yet of a run's timelines, and return their hashes."""
        hashes = {name: timeline.digest for name, timeline in timelines.items()}
        known = self._known(run_id, hashes.values())
        new = {each.digest: each.text for each in timelines.values() if each.digest not in known}
        if new:
            rows = [{"run_id": run_id, "hash": key, "pieces": text} for key, text in new.items()]
            self._transaction.connection.execute(insert(tables.timelines), rows)
        for timeline in timelines.values():
            self._cache.put(timeline.digest, timeline, len(timeline.text))
            self._transaction.keep(_key(timeline.digest), timeline)
        return hashes

    def _known(self, run_id: str, hashes: Iterable[str]) -> set[str]:
        table = tables.timelines
        query = select(table.c.hash).where(table.c.run_id == run_id, table.c.hash.in_(set(hashes)))
        return set(self._transaction.connection.execute(query).scalars())

    def load(self, run_id: str, hashes: Mapping[str, str]) -> Timelines:
        """Return the timelines with these hashes."""
        (timelines,) = self.load_all(run_id, [hashes])
        return timelines

    def load_all(self, run_id: str, each: Sequence[Mapping[str, str]]) -> list[Timelines]:
        """Return the timelines with each of these hashes, all of which are read at once."""
        wanted = {key for hashes in each for key in hashes.values()}
        found = {key: self._cache.get(key) or self._transaction.known(_key(key)) for key in wanted}
        found |= self._read(run_id, [key for key in wanted if found[key] is None])
        return [Timelines({name: found[key] for name, key in hashes.items()}) for hashes in each]

    def _read(self, run_id: str, hashes: list[str]) -> dict[str, Timeline]:
        if not hashes:
            return {}
        table = tables.timelines
        query = select(table.c.hash, table.c.pieces)
        query = query.where(table.c.run_id == run_id, table.c.hash.in_(hashes))
        texts = {row.hash: row.pieces for row in self._transaction.connection.execute(query)}

        def parsed(_lookup: Lookup) -> Results:
            return {_key(key): _timeline(text) for key, text in texts.items()}

        found = {
            key: self._transaction.outside(_key(key), parsed, texts, stored=True) for key in texts
        }
        for key, timeline in found.items():
            self._cache.put(key, timeline, len(texts[key]))
        return found


def _key(content_hash: str) -> tuple[str, str]:
    return "timeline", content_hash


def _timeline(text: str) -> Timeline:
    try:
        return Timeline.from_json(orjson.loads(text))
    except (Invalid, ValueError, TypeError, KeyError) as error:
        # What is not understood must not be left out: its values would be others.
        message = "a newer release stored what is in force: this one cannot read its definition"
        raise Unavailable(message, reason="schema") from error
