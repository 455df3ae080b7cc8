"""A run by its name: what all calls of a run begin with."""

from __future__ import annotations

from rheostat.client import calls
from rheostat.client._async.session import AsyncSession


class AsyncHandle:
    """A run that is asked for by name or id."""

    def __init__(self, session: AsyncSession, key: str) -> None:
        self._session = session
        self._key = key
        """The run's name or id."""

    def _path(self, *segments: str | int) -> str:
        return calls.path("runs", self._key, *segments)
