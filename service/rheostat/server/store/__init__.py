"""Storage: runs, revisions, the ledger and the library of schedules, on SQLite or PostgreSQL."""

from rheostat.server.store.store import Store

__all__ = ["Store"]
