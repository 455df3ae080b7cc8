"""Shares: how many runs an author may have under way, and how many bytes all of theirs may take."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, func, select

from rheostat.errors import FieldError, Invalid, TooMany
from rheostat.server.store import tables

RUNS = tables.runs.c


@dataclass(frozen=True, slots=True)
class Share:
    """What the runs that one author has created may come to."""

    live: int
    """Most runs that are not finished."""

    stored: int
    """Most bytes of the definitions of all of them."""

    def require_room(self, connection: Connection, author: str | None, more: int) -> None:
        """
        Raise unless an author may create a run that takes so many bytes.

        Raises:
            TooMany: As many runs of theirs as may be are not finished.
            Invalid: All of theirs would take too many bytes.

        """
        query = select(
            func.coalesce(func.sum(RUNS.stored), 0).label("stored"),
            (func.count() - func.count(RUNS.end)).label("live"),
        )
        found = connection.execute(query.where(RUNS.author == author)).one()
        if found.live >= self.live:
            message = f"{author} has {found.live} runs that are not finished, and may have no more"
            wrong = [FieldError("name", message, found.live + 1, f"<= {self.live} runs")]
            raise TooMany(f"{message}: finish some", errors=wrong, limit=self.live)
        if found.stored + more > self.stored:
            message = (
                f"the runs that {author} has created take {found.stored} bytes, and this one would"
                f" take {more} more: an operator may create it, or delete others"
            )
            bound = f"<= {self.stored} bytes"
            wrong = [FieldError("parameters", message, int(found.stored) + more, bound)]
            raise Invalid(message, errors=wrong, limit=self.stored)
