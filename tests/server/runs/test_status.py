"""What becomes of a run, in one word."""

from __future__ import annotations

from typing import Any

import pytest

from rheostat.server.runs.status import NOBODY, Turnout, status

STOP = {"revision": 2, "effective": 50, "hold": False, "told": False}


@pytest.mark.parametrize(
    ("said", "turnout", "expected"),
    [
        ({}, NOBODY, "live"),
        ({"settled_until": 256}, Turnout(alive=2, furthest=90), "live"),
        ({"settled_until": 256}, NOBODY, "ended"),
        ({"settled_until": 256}, Turnout(gone=2, furthest=100), "ended"),
        ({"settled_until": 256}, Turnout(gone=2, furthest=90), "stuck"),
        ({"total": None, "settled_until": 256}, NOBODY, "live"),
        ({"total": None}, Turnout(gone=1, furthest=10**9), "stuck"),
        ({"stops": [STOP]}, NOBODY, "live"),
        ({"stops": [STOP], "settled_until": 50}, Turnout(gone=1), "stopped"),
        ({"stops": [{**STOP, "told": True}]}, NOBODY, "stopped"),
        ({"paused": True}, NOBODY, "paused"),
        ({"paused": True}, Turnout(alive=1, gone=1), "paused"),
        ({"paused": True}, Turnout(gone=1), "stuck"),
        ({"finished_at": "2026-01-01", "stops": [STOP], "settled_until": 50}, NOBODY, "finished"),
    ],
)
def test_a_run_is_in_one_state(said: dict[str, Any], turnout: Turnout, expected: str) -> None:
    """The first of finished, stopped, stuck, paused, ended that holds; otherwise it is live."""
    run: Any = {
        "settled_until": 0,
        "total": 100,
        "finished_at": None,
        "stops": [],
        "paused": False,
        **said,
    }
    assert status(run, turnout) == expected
