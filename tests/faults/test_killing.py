"""Kills between a report and its answer, in short; `make proof` does the same 1,000 times."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.faults.killing import (
    Killed,
    kill_between,
    mortal_on_postgresql,
    mortal_on_sqlite,
)

KILLS = 12
SEED = 2


def test_reports_are_decided_once_on_sqlite(tmp_path: Path) -> None:
    """P4, P11: whenever a process dies of a report, it is kept once, and decided on once."""
    with mortal_on_sqlite(tmp_path) as server:
        _require_sound(kill_between(server, KILLS, SEED))


@pytest.mark.long
def test_reports_are_decided_once_on_postgresql(tmp_path: Path) -> None:
    """P4, P11: the same on PostgreSQL, which ends the transaction of whoever died."""
    with mortal_on_postgresql(tmp_path) as server:
        _require_sound(kill_between(server, KILLS, SEED))


PLANTS = {
    "decides nothing": """
from rheostat.server.store.operations import report
report._emit = lambda *_: report.Emitted()
""",
    "forgets its counters": """
from dataclasses import replace
from rheostat.controllers import State
from rheostat.server.store.controllers import Controllers
heads = Controllers.heads
def forgetful(*parts):
    return {name: replace(head, state=State()) for name, head in heads(*parts).items()}
Controllers.heads = forgetful
""",
    "makes what it does not keep": """
from rheostat.server.store.operations import decide
decide._Course.keep = lambda _: None
""",
}


@pytest.mark.parametrize("plant", PLANTS)
def test_a_service_that_decides_otherwise_is_caught(tmp_path: Path, plant: str) -> None:
    """Each defect that is put into the service is found by a few reports."""
    with mortal_on_sqlite(tmp_path, PLANTS[plant]) as server:
        found = kill_between(server, 8, SEED)
    assert found.violations != []


def _require_sound(found: Killed) -> None:
    assert found.violations == []
    assert found.kills == KILLS
    assert len(found.places) > 1
    assert found.decisions > 0
