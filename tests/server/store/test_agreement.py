"""Do processes and replicas agree on who is alive?"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from tests.server.test_workers import beat, created, told

if TYPE_CHECKING:
    from tests.conftest import RunningServer, StartServer

SEEN_WITHIN = 10
"""Seconds within which all know."""


def known_everywhere(servers: list[RunningServer], run: str, *, asks: int = 1) -> None:
    """Wait until each connection, to whatever process, tells of two workers that are alive."""
    end = time.monotonic() + SEEN_WITHIN
    for server in servers:
        for _ in range(asks):
            while True:
                with server.client() as http:
                    if told(http, run)["alive"] == 2:
                        break
                assert time.monotonic() < end
                time.sleep(0.1)


def test_servers_agree_on_who_is_alive(start_server: StartServer, database: str) -> None:
    """P7: of two servers on one database, each knows within 10 s of the other's workers."""
    servers = [start_server(database=database) for _ in range(2)]
    with servers[0].client() as here, servers[1].client() as there:
        run = created(here, "gpt")
        beat(here, run, 0)
        beat(there, run, 1)
        known_everywhere(servers, run)
        # who ends here has ended there, though it was heard there before
        beat(there, run, 0, step=20)
        beat(here, run, 0, step=21, state="ended")
        end = time.monotonic() + SEEN_WITHIN
        while told(there, run)["ended"] != 1:
            assert time.monotonic() < end
            time.sleep(0.1)


def test_processes_of_one_server_agree(start_server: StartServer) -> None:
    """P7: whichever of its processes beats come to, each tells of all within 10 s."""
    server = start_server(workers=3)
    with server.client() as one, server.client() as other:
        run = created(one, "gpt")
        beat(one, run, 0)
        beat(other, run, 1)
    known_everywhere([server], run, asks=12)
