"""The manual of workers cannot lie: its Python runs, and what it says is seen."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.conftest import StartServer
from tests.test_docstrings import let_clients_go, run_page

from rheostat import Client

PAGE = Path(__file__).parents[1] / "docs" / "workers.md"


def test_the_manual_of_workers_does_what_it_says(
    start_server: StartServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """P12: a loop that says what it applied has proven all of it, once its client is closed."""
    monkeypatch.setenv("RANK", "5")
    server = start_server().url
    names, blocks = run_page(PAGE, server)
    names["client"].close()
    with Client(server) as operator:
        found = operator.control("gpt").workers()
        wrong = operator.control("gpt").mismatches()
    assert blocks
    assert (found["ended"], wrong) == (1, [])
    [worker] = found["items"]
    assert (worker["worker"], worker["step"], worker["proven_until"]) == ("5", 600, 600)
    del names
    let_clients_go()
