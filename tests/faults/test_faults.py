"""The promises under faults, in short; `make proof` does the same for minutes."""

from __future__ import annotations

from pathlib import Path

from tests.faults.campaign import Scale, run_campaign
from tests.faults.faults import Faults
from tests.faults.fleet import on_postgresql, on_sqlite

SEED = 3


def test_replicas_on_postgresql(tmp_path: Path) -> None:
    """P1-P4, P6, P7: what replicas served and acknowledged through all faults is one history."""
    faults = Faults(kills=3, pauses=2, crashes=1, black_holes=1, gap=4, crash_gap=10)
    with on_postgresql(2, tmp_path) as fleet:
        verdict = run_campaign(fleet, _scale(faults), SEED)
    assert verdict.violations == [], f"seed {verdict.seed}, {verdict.figures}"


def test_processes_on_sqlite(tmp_path: Path) -> None:
    """P1-P4, P6, P7: the same of two processes on one SQLite."""
    faults = Faults(kills=3, pauses=2, fills=1, gap=4, crash_gap=10)
    with on_sqlite(2, tmp_path) as fleet:
        verdict = run_campaign(fleet, _scale(faults), SEED)
    assert verdict.violations == [], f"seed {verdict.seed}, {verdict.figures}"


def _scale(faults: Faults) -> Scale:
    least = {"values": 10_000, "changes": 10, "rewinds": 4}
    least |= {"reports": 600, "decisions": 10, "halts": 10}
    return Scale(
        runs=1,
        faults=faults,
        least=least,
        read=0.02,
        change=0.1,
        rewind=20,
        report=0.05,
        conduct=0.1,
        act=0.1,
    )
