"""A server of one's own: started once, found by all, started again where it was killed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import rheostat

if TYPE_CHECKING:
    from tests.local.conftest import Start

RACES = int(os.environ.get("RHEOSTAT_RACES", "8"))
"""Races of two processes; a hundred of them take minutes."""

CURVE = {"kind": "cosine", "start": 1e-3, "end": 1e-5, "steps": 1000}
RUN = {"parameters": {"lr": CURVE}, "total": 1000}

SAY_WHERE = """
import sys, rheostat
sys.stdin.readline()
client = rheostat.local(page=False, linger=0)
print(client.url, client.settings.token, flush=True)
sys.stdin.readline()
"""


def test_it_is_a_client_of_a_server(database: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The first call starts a server, says where it is, and everything else is as of a client."""
    with rheostat.local(database, linger=0) as client:
        assert capsys.readouterr().out == f"{database} is served at {client.settings.address}\n"
        run = client.run("mnist", create=RUN)
        change = run.change({"lr": rheostat.scale(0.5)}, effective=10)
        values = [run.value("lr", step) for step in (9, 10)]
        whole = client.evaluate(CURVE, [9, 10])["values"]

    assert change["effective"] == 10
    assert values == [whole[0], whole[1] / 2]


@pytest.mark.parametrize("race", range(RACES))
def test_two_processes_race_to_start_it(database: Path, script: Start, race: int) -> None:
    """Of two processes that begin at one moment, one starts a server and both have the same."""
    racers = [script(SAY_WHERE) for _ in range(2)]
    for racer in racers:
        racer.say("go")

    told = {racer.hear() for racer in racers}

    assert len(told) == 1, race
    assert told.pop().startswith("http://127.0.0.1:")
    assert servers_of(database) == 1


def servers_of(database: Path) -> int:
    """Count the processes that serve a database, as the system lists them."""
    wanted = f"sqlite:///{database}".encode()
    found = 0
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                found += wanted in (entry / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
    return found
