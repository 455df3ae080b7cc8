"""Reads that wait at a pause, behind nginx and on several replicas."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import httpx
from tests.fleet.test_cache import block, source

if TYPE_CHECKING:
    from tests.conftest import RunningServer
    from tests.fleet.conftest import StartFleet

WAIT = {"Prefer": "wait=30"}


def held(replica: RunningServer) -> int:
    """Return how many reads a replica holds."""
    with replica.client() as http:
        lines = http.get("/metrics").text.splitlines()
    (found,) = (line for line in lines if line.startswith("rheostat_held_reads "))
    return round(float(found.split()[1]))


def read(url: str, run: str, **headers: str) -> httpx.Response:
    """Read a block, as somebody's client that waits as long as it takes."""
    with httpx.Client(base_url=url, timeout=60) as http:
        return http.get(block(run), headers=headers)


def test_all_replicas_let_their_own_go_on(start_fleet: StartFleet) -> None:
    """P5, P2: a pause that one replica ends is over at the other, and behind nginx."""
    fleet = start_fleet(2)
    run = fleet.create("gpt", paused=True)
    places = [*(replica.url for replica in fleet.replicas for _ in range(4)), *4 * [fleet.url]]
    with ThreadPoolExecutor(len(places)) as threads:
        waiting = [threads.submit(read, place, run, **WAIT) for place in places]
        while sum(map(held, fleet.replicas)) < len(places):
            pass
        with fleet.replicas[0].client() as http:
            http.post("/v1/runs/gpt/resume", json={}).raise_for_status()
        answers = [each.result() for each in waiting]
    assert {answer.status_code for answer in answers} == {200}
    assert {answer.headers["preference-applied"] for answer in answers} == {"wait=30"}
    assert len({answer.content for answer in answers}) == 1
    assert {source(answer) for answer in answers} == {None}  # none came by the cache


def test_nginx_lets_a_read_be_held(start_fleet: StartFleet) -> None:
    """It waits for longer than for any other read, and keeps no refusal."""
    fleet = start_fleet(1)
    run = fleet.create("gpt", paused=True)
    refused = read(fleet.url, run, Prefer="wait=7")  # nginx gives others five seconds
    assert (refused.status_code, refused.headers["preference-applied"]) == (409, "wait=7")
    assert refused.json()["type"] == "urn:rheostat:problem:paused"
    with fleet.client() as http:
        http.post("/v1/runs/gpt/resume", json={}).raise_for_status()
    assert read(fleet.url, run, **WAIT).status_code == 200
    answers = [read(fleet.url, run) for _ in range(2)]
    assert [source(answer) for answer in answers] == ["MISS", "HIT"]
