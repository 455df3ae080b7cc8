"""
The whole schema, which migrations make: the tables, and what no query is written against.

An index with a condition loads the dialects of both databases, so that it stands apart.
"""

from __future__ import annotations

from sqlalchemy import Index, text

from rheostat.server.store.tables import metadata, tokens

__all__ = ["metadata"]

_HELD = text("revoked_at IS NULL")
Index(
    "uq_tokens_name_held",
    tokens.c.name,
    unique=True,
    sqlite_where=_HELD,
    postgresql_where=_HELD,
)
