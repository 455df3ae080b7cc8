"""The library of schedules: what it keeps, and what the service asks of it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Protocol

from rheostat import wire
from rheostat.schedules import Definition
from rheostat.schedules.references import Lookup


@dataclass(frozen=True, slots=True)
class Entry:
    """One version of a name, without what it defines. It never changes."""

    name: str
    version: int
    content_hash: str
    author: str | None
    created_at: str
    """ISO 8601, in UTC."""

    def to_json(self) -> wire.ScheduleVersion:
        """Return the wire form."""
        return {
            "name": self.name,
            "version": self.version,
            "content_hash": self.content_hash,
            "author": self.author,
            "created_at": self.created_at,
        }

    @property
    def tag(self) -> str:
        """The entity tag: another one for each version, and for a name that was made anew."""
        return f'"{self.version}-{self.content_hash[:16]}"'


@dataclass(frozen=True, slots=True)
class Schedule:
    """One version of a name, and its definition."""

    entry: Entry
    definition: Definition


Reference = tuple[str, int | None]
"""A schedule's name, and its version, None for the newest."""

Check = Callable[[Entry | None], None]
"""Raises if the newest version, None if there is none, is not as the caller expects."""


class Library(Protocol):
    """Keeps schedules; each method is one transaction."""

    async def put(
        self, name: str, definition: Definition, author: str | None, check: Check
    ) -> tuple[Entry, bool]:
        """
        Make a new version, and return it and True.

        A definition equal to the newest version's makes none; that version and False are returned.
        """

    async def get(self, name: str, version: int | None = None) -> Schedule:
        """Return a version, the newest by default; raise `UnknownSchedule` if there is none."""

    async def find(self, references: Collection[Reference]) -> Lookup:
        """
        Return what looks up these schedules, which are read now, at once.

        Raises `UnknownSchedule` when it is asked for one that there is not.
        """

    async def page(self, after: str, limit: int) -> Sequence[Entry]:
        """Return the newest versions of the first ``limit`` names that sort after ``after``."""

    async def delete(self, name: str, check: Check) -> None:
        """Remove all versions; raise `UnknownSchedule` if there are none."""
