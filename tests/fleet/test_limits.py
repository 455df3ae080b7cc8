"""Fifty agents with one token, while the processes that serve them are killed."""

from __future__ import annotations

import asyncio
import os
import random
import signal
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import httpx
import pytest
from tests.conftest import RunningServer, open_tokens
from tests.fleet.conftest import NO_TLS, new_database, start_replicas
from tests.server.test_process import workers_of

AGENTS = 50
EACH = 20
"""Requests of each agent: a thousand of them all."""
ALLOWED = 60
GAP = 10
STEPS = 4_000
"""Steps among which they choose: enough for every change that is allowed, wherever they lie."""
KILLS = 3
SPEC = {"name": "gpt", "parameters": {"lr": 1.0}}


@dataclass
class Serving:
    """Processes on one database, one of which can be killed and comes back."""

    database: str
    urls: Sequence[str]
    kill: Callable[[], None]
    secrets: dict[str, str] = field(default_factory=dict)


def sqlite(make_folder: Any, stack: ExitStack) -> Serving:
    """Return two processes on one file, of which a supervisor starts what ends."""
    folder = make_folder("limits")
    database = f"sqlite:///{folder / 'rheostat.db'}"
    secrets = tokens(database)
    running = RunningServer(folder, {"database": database, "workers": 2, "auth": "true"})
    stack.callback(running.close)

    def kill() -> None:
        for victim in workers_of(running)[:1]:
            os.kill(victim, signal.SIGKILL)

    return Serving(database, [running.url], kill, secrets)


def postgresql(make_folder: Any, stack: ExitStack, server: str) -> Serving:
    """Return two replicas on one PostgreSQL, of which the first is started again."""
    database = new_database(server)
    secrets = tokens(database)
    replicas = start_replicas(make_folder, database, 2, {"auth": "true"})
    for replica in replicas:
        stack.callback(replica.close)

    def kill() -> None:
        replicas[0].kill()
        replicas[0].restart()

    return Serving(database, [replica.url for replica in replicas], kill, secrets)


def tokens(database: str) -> dict[str, str]:
    """Make the tokens, and return their secrets."""
    limit = f"changes={ALLOWED}/day, gap={GAP}"
    with open_tokens(database) as made:
        return {
            "tuner": made.create("tuner", "operator", limit=limit)["token"],
            "ann": made.create("ann", "operator")["token"],
        }


@pytest.fixture(params=["sqlite", "postgresql"])
def serving(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Serving]:
    """Return what serves, once on each database."""
    with ExitStack() as stack:
        if request.param == "sqlite":
            yield sqlite(tmp_path_factory.mktemp, stack)
        else:
            postgres = request.getfixturevalue("postgres")
            yield postgresql(tmp_path_factory.mktemp, stack, postgres)


async def ask(clients: Sequence[httpx.AsyncClient], number: int, step: int) -> httpx.Response:
    """Ask for a change until it is answered, as our clients do: with one key, of any replica."""
    body = {
        "changes": {"lr": {"edit": "scale", "factor": 0.99}},
        "effective": step,
        "message": f"request {number}",
    }
    headers = {"Idempotency-Key": f"request-{number}"}
    for attempt in range(400):
        http = clients[(number + attempt) % len(clients)]
        with suppress(httpx.TransportError):
            answer = await http.post("/v1/runs/gpt/revisions", json=body, headers=headers)
            if answer.status_code < 500:
                return answer
        await asyncio.sleep(0.05)
    raise TimeoutError(f"request {number} was never answered")


async def all_at_once(serving: Serving) -> list[httpx.Response]:
    """Have all agents ask, while processes are killed."""
    headers = {"Authorization": f"Bearer {serving.secrets['tuner']}"}
    steps = random.Random(17)
    over = asyncio.Event()

    async def kill() -> None:
        for _ in range(KILLS):
            with suppress(TimeoutError):
                await asyncio.wait_for(over.wait(), 0.4)
                return
            await asyncio.to_thread(serving.kill)

    async def agent(clients: Sequence[httpx.AsyncClient], first: int) -> list[httpx.Response]:
        numbers = range(first, first + EACH)
        return [await ask(clients, number, steps.randrange(STEPS)) for number in numbers]

    clients = [
        httpx.AsyncClient(base_url=url, headers=headers, timeout=20, verify=NO_TLS)
        for url in serving.urls
    ]
    try:
        killing = asyncio.create_task(kill())
        asked = (agent(clients, number * EACH) for number in range(AGENTS))
        found = await asyncio.gather(*asked)
        over.set()
        await killing
    finally:
        for http in clients:
            await http.aclose()
    return [answer for each in found for answer in each]


@pytest.mark.long
def test_no_more_than_allowed_and_none_too_near(serving: Serving) -> None:
    """P7: a thousand requests at once make what the limit leaves, and their answers say so."""
    headers = {"Authorization": f"Bearer {serving.secrets['ann']}"}
    with httpx.Client(
        base_url=serving.urls[-1], headers=headers, timeout=60, verify=NO_TLS
    ) as http:
        http.post("/v1/runs", json=SPEC).raise_for_status()
        answers = asyncio.run(all_at_once(serving))
        page = {"kind": "change", "limit": "1000"}
        made = http.get("/v1/runs/gpt/revisions", params=page).raise_for_status().json()["items"]
        (has,) = http.get("/v1/runs/gpt/allowances").raise_for_status().json()["items"]
    assert Counter(answer.status_code for answer in answers) == {
        201: ALLOWED,
        409: AGENTS * EACH - ALLOWED,
    }
    refused = [answer.json() for answer in answers if answer.status_code == 409]
    assert {each["type"].rpartition(":")[2] for each in refused} == {"limit-reached"}
    told = {
        (answer.json()["revision"], answer.json()["effective"])
        for answer in answers
        if answer.status_code == 201
    }
    assert told == {(each["revision"], each["effective"]) for each in made}
    assert len({each["message"] for each in made}) == len(made)
    places = sorted(each["effective"] for each in made)
    assert min(later - earlier for earlier, later in pairwise(places)) >= GAP
    assert (has["left"], has["made"]) == (0, ALLOWED)
