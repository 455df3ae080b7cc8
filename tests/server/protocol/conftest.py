"""The databases of the store's tests, histories, and a gap as short as everything else here."""

import itertools
from collections.abc import Iterator

import pytest
from tests.server.protocol.checker import Checker
from tests.server.protocol.replicas import Replicas
from tests.server.protocol.state import GAP
from tests.server.protocol.telling import Story, Tell
from tests.server.store.conftest import database, postgres

from rheostat.server.runs import spec

__all__ = ["database", "postgres"]

numbers = itertools.count()


@pytest.fixture(autouse=True)
def short_gap(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let reads begin a few cells past what is settled, and no further."""
    monkeypatch.setattr(spec, "MAX_GAP", GAP)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Replicas]:
    """Return two replicas on one database, for all bugs."""
    system = Replicas(f"sqlite:///{tmp_path_factory.mktemp('bugs') / 'rheostat.db'}")
    yield system
    system.close()


@pytest.fixture
def tell(shared: Replicas) -> Tell:
    """Return what checks a history of a run of which eight steps are settled."""

    def tell(story: Story) -> None:
        shared.begin()
        checker = Checker(shared)
        try:
            run = checker.create(f"run-{next(numbers)}")
            assert run is not None
            checker.settle(run, 0, 8)
            story(checker, run)
            checker.look_back()
        finally:
            shared.restart(every=True)  # nothing is under way when a bug is taken out again

    return tell
