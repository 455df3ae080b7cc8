"""Kills between a report and its answer, in short; `make proof` does the same 1,000 times."""

from __future__ import annotations

from pathlib import Path

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


def test_reports_are_decided_once_on_postgresql(tmp_path: Path) -> None:
    """P4, P11: the same on PostgreSQL, which ends the transaction of whoever died."""
    with mortal_on_postgresql(tmp_path) as server:
        _require_sound(kill_between(server, KILLS, SEED))


def _require_sound(found: Killed) -> None:
    assert found.violations == []
    assert found.kills == KILLS
    assert len(found.places) > 1
    assert found.decisions > 0
