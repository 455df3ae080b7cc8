"""What a token with a limit rehearses: it needs no reason, and is held against nobody."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from tests.conftest import Guarded, Names

HALVE = {"changes": {"lr": {"edit": "scale", "factor": 0.5}}}
REPLACE = {"changes": {"lr": {"kind": "constant", "value": 1e-4, "clock": "run"}}}
REHEARSAL = {"dry_run": "true"}


@pytest.fixture
def path(guarded: Guarded, new_name: Names) -> str:
    """Return the path of a run."""
    body = {"name": new_name(), "parameters": {"lr": 0.1}, "total": 1000}
    made = guarded.ask("operator", "POST", "/v1/runs", json=body).raise_for_status()
    return f"/v1/runs/{made.json()['id']}"


def limited(guarded: Guarded, name: str, limit: str) -> httpx.Client:
    """Return a client with a token that has a limit."""
    asked = {"name": name, "role": "operator", "limit": limit}
    made = guarded.ask("admin", "POST", "/v1/tokens", json=asked).raise_for_status()
    return guarded.client(made.json()["token"])


@pytest.fixture
def tuner(guarded: Guarded, new_name: Names) -> Iterator[httpx.Client]:
    """Return a client that may scale."""
    with limited(guarded, new_name(), "edits=scale") as client:
        yield client


def allowance(http: httpx.Client, path: str) -> Any:
    """Return what is told of the token that asks."""
    name = http.get("/v1/access").json()["name"]
    items = http.get(f"{path}/allowances").raise_for_status().json()["items"]
    return next(each for each in items if each["token"] == name)


def test_a_rehearsal_asks_for_no_reason(tuner: httpx.Client, path: str) -> None:
    """A preview is there before the message is; the change itself is refused without one."""
    seen = tuner.post(f"{path}/revisions", json=HALVE, params=REHEARSAL)
    assert seen.raise_for_status().json()["after"]["lr"][0] == 0.05
    refused = tuner.post(f"{path}/revisions", json=HALVE)
    assert refused.status_code == 422
    assert [each["field"] for each in refused.json()["errors"]] == ["message"]


def test_a_rehearsal_tells_the_limit_and_counts_as_no_refusal(
    tuner: httpx.Client, path: str
) -> None:
    """What the change would be refused is told, by the same words, and counted once it is asked."""
    why = {**REPLACE, "message": "flat"}
    rehearsed = tuner.post(f"{path}/revisions", json=why, params=REHEARSAL).json()
    assert rehearsed["type"].endswith(":limit-reached")
    refused = tuner.post(f"{path}/revisions", json=why).json()
    assert refused["detail"] == rehearsed["detail"]
    until = time.monotonic() + 30
    while allowance(tuner, path)["refused"] == 0:  # they are written down within a second
        assert time.monotonic() < until
        time.sleep(0.1)
    told = allowance(tuner, path)
    assert (told["refused"], told["refusal"]) == (1, refused["detail"])


def test_who_may_only_propose_rehearses_like_a_viewer(
    guarded: Guarded, new_name: Names, path: str
) -> None:
    """A limit on changes that leaves no change stands against none that is only suggested."""
    with limited(guarded, new_name(), "acts=stop, edits=scale") as watcher:
        seen = watcher.post(f"{path}/revisions", json=REPLACE, params=REHEARSAL)
        assert seen.raise_for_status().json()["after"]["lr"][0] == 1e-4
        asked = {"kind": "change", "body": {**REPLACE, "message": "flat"}}
        watcher.post(f"{path}/proposals", json=asked).raise_for_status()
        assert watcher.post(f"{path}/revisions", json=REPLACE).status_code == 403
