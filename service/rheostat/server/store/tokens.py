"""Tokens on the database itself, for whoever can open it: the first one is made so."""

from __future__ import annotations

import asyncio
from typing import Any

from rheostat.server.runs.validation import validate
from rheostat.server.store.operations import tokens
from rheostat.server.store.store import Store
from rheostat.server.tokens import NEW_TOKEN

PAGE = 1000
"""How many tokens are read at a time."""


class StoredTokens:
    """Keeps tokens in a store, without a server; ``author`` is who makes them."""

    def __init__(self, store: Store, author: str) -> None:
        self._store = store
        self._author = author

    def list(self) -> list[dict[str, Any]]:
        """Return all tokens, oldest first."""
        items: list[dict[str, Any]] = []
        after: int | None = 0
        while after is not None:
            found, after = asyncio.run(self._store.read(tokens.page, after, PAGE))
            items += [{**token.to_json()} for token in found]
        return items

    def create(self, name: str, role: str, *, expires_at: str | None = None) -> dict[str, Any]:
        """Make a token, and return it with its secret; raise `Invalid` or `NameTaken`."""
        new = validate(NEW_TOKEN, {"name": name, "role": role, "expires_at": expires_at}, "")
        return {**asyncio.run(self._store.write(tokens.create, new, self._author))}

    def revoke(self, name: str) -> None:
        """Revoke a token; raise `UnknownToken` if there is none of this name."""
        asyncio.run(self._store.write(tokens.revoke, name))
