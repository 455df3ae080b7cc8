"""What a purge does, asked for over HTTP or on the database itself: one bounded step at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

from rheostat import wire
from rheostat.durations import duration
from rheostat.errors import FieldError, Invalid
from rheostat.limits import MAX_ITEMS
from rheostat.server.runs.selector import Selector
from rheostat.server.store import clock
from rheostat.server.store.audit import Deed, deed
from rheostat.server.store.operations import audits
from rheostat.server.store.operations import purge as operations
from rheostat.server.store.operations.audits import WantedDeeds
from rheostat.server.store.operations.purge import OldRuns, Removed
from rheostat.server.store.store import Store

AT_ONCE = 100
"""Runs, or tokens, that one request removes."""

LEAST_AUDIT = timedelta(days=1)
"""How old a row of the audit has to be: what a day has seen stays, the purge itself included."""


@dataclass(frozen=True, slots=True)
class Purge:
    """
    What is to be removed, and by whom.

    ``place`` is where the step before ended, empty at the first.
    """

    what: Literal["runs", "tokens", "audit"]
    older_than: str
    selector: str = ""
    dry_run: bool = False
    place: str = ""
    author: str | None = None

    def before(self, now: datetime) -> datetime:
        """Return the moment before which things must have ended; raise `Invalid` if it is none."""
        age = duration(self.older_than, "older_than")
        if self.what == "audit" and age < LEAST_AUDIT:
            bound = "at least a day: 24h"
            message = f"older_than is {self.older_than}, and of the audit must be {bound}"
            wrong = FieldError("older_than", message, self.older_than, bound)
            raise Invalid(message, errors=[wrong])
        return now - age

    def selected(self) -> Selector:
        """Return whose runs are meant; raise `Invalid` where no runs are."""
        if self.what != "runs" and self.selector:
            message = f"a selector means runs, and {self.what} are to be removed"
            wrong = FieldError("selector", message, self.selector[:100], "empty")
            raise Invalid(message, errors=[wrong])
        return Selector.parse(self.selector)


async def purge(store: Store, asked: Purge) -> wire.Purged:
    """Remove some of what is asked for, and say what, and where to go on."""
    selector, before = asked.selected(), asked.before(datetime.now(UTC))
    answer: wire.Purged = {
        "what": asked.what,
        "before": clock.stored(before),
        "dry_run": asked.dry_run,
        "deleted": 0,
        "items": [],
        "next": None,
    }
    if asked.what == "runs":
        old = OldRuns(before, selector)
        items, following = await store.read(operations.old_runs, old, asked.place, AT_ONCE)
        if not asked.dry_run:
            for item in items:
                item["kept"] = await store.write(
                    operations.remove_run, str(item["id"]), old, asked.author
                )
        deleted = sum(item["kept"] is None for item in items)
        return {**answer, "deleted": deleted, "items": items, "next": following}
    removed = await _removed(store, asked, before)
    following = asked.what if removed.more and not asked.dry_run else None
    return {**answer, "deleted": removed.count, "items": removed.items, "next": following}


async def _removed(store: Store, asked: Purge, before: datetime) -> Removed:
    dry_run = asked.dry_run
    run = store.read if dry_run else store.write
    if asked.what == "tokens":
        most = operations.ROWS if dry_run else AT_ONCE
        return await run(operations.remove_tokens, before, most, dry_run=dry_run)
    return await run(operations.remove_audit, before, dry_run=dry_run)


class StoredKeeper:
    """
    The audit of a store, and what removes things from it, as a client has those of a service.

    ``author`` is who removes them. A service that requires no tokens has no admins, who ask it.
    """

    def __init__(self, store: Store, author: str) -> None:
        self._store = store
        self._author = author

    def audit(
        self,
        *,
        run: str | None,
        who: str | None,
        action: Sequence[str] | None,
        since: str | None,
        until: str | None,
        limit: int,
    ) -> Sequence[wire.Audited]:
        """Return who did what, the newest first."""
        wanted = WantedDeeds(run, who, tuple(action or ()), _written(since), _written(until))
        items: list[wire.Audited] = []
        place: int | None = 0
        while place is not None and len(items) < limit:
            some = min(limit - len(items), MAX_ITEMS)
            found, place = asyncio.run(self._store.read(audits.page, wanted, place, some))
            items += found
        return items

    def purge(
        self,
        what: Literal["runs", "tokens", "audit"],
        older_than: str,
        *,
        selector: str,
        dry_run: bool,
    ) -> Sequence[wire.Purged]:
        """Remove what ended long ago, and return what each step did."""
        steps: list[wire.Purged] = []
        place: str | None = ""
        with deed(Deed("purge", self._author, told=("what", "count"))):
            while place is not None:
                asked = Purge(what, older_than, selector, dry_run, place, self._author)
                steps.append(asyncio.run(purge(self._store, asked)))
                place = steps[-1]["next"]
        return steps


def _written(text: str | None) -> str | None:
    return None if text is None else clock.written(text)
