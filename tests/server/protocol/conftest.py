"""The databases of the store's tests, and a gap as short as everything else here."""

import pytest
from tests.server.protocol.state import GAP
from tests.server.store.conftest import database, postgres

from rheostat.server.runs import spec

__all__ = ["database", "postgres"]


@pytest.fixture(autouse=True)
def short_gap(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let reads begin a few cells past what is settled, and no further."""
    monkeypatch.setattr(spec, "MAX_GAP", GAP)
