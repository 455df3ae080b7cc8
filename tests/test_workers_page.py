"""The manual of workers cannot lie: its Python runs, and what it says is seen."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import StartServer
from tests.test_docstrings import let_clients_go, run_page

from rheostat import Client
from rheostat.wire import Workers

PAGE = Path(__file__).parents[1] / "docs" / "workers.md"


def test_the_manual_of_workers_does_what_it_says(
    start_server: StartServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """P12: a loop that says what it applied has proven the windows that it has done."""
    monkeypatch.setenv("RANK", "5")
    server = start_server().url
    names, blocks = run_page(PAGE, server)
    assert blocks
    with Client(server) as operator:
        found = seen(operator)
    assert [(each["worker"], each["step"]) for each in found["items"]] == [("5", 600)]
    assert (found["wrong"], found["proven_until"]) == (0, 512)
    names["client"].close()
    del names
    let_clients_go()


def seen(operator: Client) -> Workers:
    """Return the workers once both whole windows of the page's loop are proven."""
    control: Any = operator.control("gpt")
    end = time.monotonic() + 60.0
    while True:
        found: Workers = control.workers()
        if found["proven_until"] == 512 or time.monotonic() > end:
            return found
        time.sleep(0.2)
