"""Several servers on one PostgreSQL: they start, stop and change together."""

from __future__ import annotations

import signal
import socket
import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import httpx
import psycopg
import pytest
from tests.fleet.test_cache import block

from rheostat.server import serve
from rheostat.server.settings import Settings

if TYPE_CHECKING:
    from tests.fleet.conftest import Fleet, StartFleet

HALVE = {"changes": {"lr": {"edit": "scale", "factor": 0.5}}}


def until_ready(url: str, status: int) -> None:
    """Return when the server's readiness is answered with a status."""
    while httpx.get(f"{url}/readyz").status_code != status:
        time.sleep(0.05)


def test_replicas_start_together_and_learn_of_an_outage(start_fleet: StartFleet) -> None:
    """P4, P9: both make the tables of an empty database; they are ready while it answers."""
    fleet = start_fleet(2)
    urls = [replica.url for replica in fleet.replicas]
    name = psycopg.conninfo.conninfo_to_dict(fleet.database)["dbname"]
    elsewhere = fleet.database.replace(f"/{name}?", "/postgres?")
    with psycopg.connect(elsewhere, autocommit=True) as connection:
        for url in urls:
            until_ready(url, 200)
        connection.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false".encode())
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name]
        )
        for url in urls:
            until_ready(url, 503)
        connection.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true".encode())
        for url in urls:
            until_ready(url, 200)
    assert fleet.create("gpt")


def test_a_change_is_made_on_all_replicas(fleet: Fleet, new_name: Any) -> None:
    """P2, P7: workers of either replica find a change of the other one at the same step."""
    name = new_name()
    run = fleet.create(name)
    one, two = (httpx.Client(base_url=replica.url, timeout=60) for replica in fleet.replicas)
    headers = {"Authorization": f"Bearer {fleet.secrets['operator']}"}
    with one, two:
        for first, second in ((one, two), (two, one)):
            first.get(block(run), headers=headers).raise_for_status()
            changed = second.post(f"/v1/runs/{name}/revisions", json=HALVE, headers=headers)
            assert changed.raise_for_status().json()["effective"] == 4
        answers = [http.get(block(run, start=2), headers=headers).json() for http in (one, two)]
    assert answers[0] == answers[1]
    assert answers[0]["parameters"]["lr"] == [98, 97, 24, 23.75]


def test_a_server_that_starts_keeps_nobody_waiting() -> None:
    """P5: until it is ready connections are refused, so that another replica is asked."""
    with serve._bound(Settings(port=0)) as (listener, *_), pytest.raises(ConnectionRefusedError):
        socket.create_connection(listener.getsockname())


@contextmanager
def load(fleet: Fleet, run: str) -> Iterator[Counter[int]]:
    """Settle blocks and join until the block ends, and count the answers by their status."""
    statuses: Counter[int] = Counter()
    stop = threading.Event()

    def read(http: httpx.Client, rank: int) -> None:
        for start in range(rank, 60_000, 4):
            if stop.is_set():
                return
            statuses[http.get(block(run, start=start, count=1)).status_code] += 1

    def join(http: httpx.Client) -> None:
        while not stop.is_set():
            key = {"Idempotency-Key": uuid.uuid4().hex}
            answer = http.post(f"/v1/runs/{run}/join", json={}, headers=key)
            statuses[answer.status_code] += 1

    with fleet.client() as http, ThreadPoolExecutor(5) as pool:
        loops = [pool.submit(read, http, rank) for rank in range(4)]
        loops.append(pool.submit(join, http))
        try:
            yield statuses
        finally:
            stop.set()
        for loop in loops:
            loop.result()


def wait_for_more(statuses: Counter[int], more: int = 50) -> None:
    """Return when so many more requests were answered."""
    enough = statuses.total() + more
    while statuses.total() < enough:
        time.sleep(0.02)


def test_a_stop_loses_no_request(start_fleet: StartFleet) -> None:
    """P4, P9: a replica of several processes that is told to stop, under load, refuses nobody."""
    fleet = start_fleet(2, workers=2)
    run = fleet.create("gpt", max_jump=60_000)
    with load(fleet, run) as statuses:
        wait_for_more(statuses)
        assert fleet.replicas[0].stop(signal.SIGTERM) == 0
        wait_for_more(statuses)
    assert set(statuses) == {200}
