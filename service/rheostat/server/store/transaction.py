"""One transaction of a process: its connection, and what it has yet to write."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection

from rheostat.server.store import hot


class Transaction:
    """
    A connection, and what settling writes: kept back, to be written at once for many runs.

    It is written when the transaction ends, or as soon as anybody asks for the connection.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.settled: list[dict[str, Any]] = []
        self.served: list[dict[str, Any]] = []

    @property
    def connection(self) -> Connection:
        """The connection, with everything written that was kept back."""
        self.flush()
        return self._connection

    def flush(self) -> None:
        """Write what was kept back."""
        if self.settled:
            self._connection.execute(hot.SETTLE, self.settled)
            self.settled = []
        if self.served:
            self._connection.execute(hot.APPEND, self.served)
            self.served = []
