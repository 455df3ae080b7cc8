"""The databases of the store's tests."""

from tests.server.store.conftest import database, postgres

__all__ = ["database", "postgres"]
