"""One change of many runs: planned, done for each by itself, and said of each."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from typing import Any

import httpx
import orjson
import pytest
from sqlalchemy import insert

from rheostat.client import Client
from rheostat.errors import Invalid
from rheostat.limits import MAX_ITEMS
from rheostat.server.runs.selector import Selector
from rheostat.server.settings import Settings
from rheostat.server.store import tables
from rheostat.server.store.opening import open_store
from rheostat.server.store.operations import bulk

HALVE: dict[str, Any] = {
    "changes": {"lr": {"edit": "scale", "factor": 0.5}},
    "message": "noisier data",
}


@pytest.fixture
def team(http: httpx.Client, new_name: Callable[[], str]) -> str:
    """Return the label of three runs, and one more of which the change is wrong, and a finished."""
    team = new_name()
    for number, parameter in enumerate(("lr", "lr", "lr", "momentum", "lr")):
        body = {
            "name": f"{team}-{number}",
            "parameters": {parameter: 1.0},
            "labels": {"of": team, **({"frozen": "yes"} if number == 2 else {})},
        }
        http.post("/v1/runs", json=body).raise_for_status()
    http.post(f"/v1/runs/{team}-4/finish", json={}).raise_for_status()
    return team


def ask(http: httpx.Client, body: dict[str, Any], **more: Any) -> Any:
    """Ask for a change of many runs."""
    return http.post("/v1/revisions", json=body, **more)


def value(http: httpx.Client, run: str) -> float:
    """Return a run's current rate."""
    return float(http.get(f"/v1/runs/{run}").json()["current"]["lr"])


def test_a_rehearsal_says_what_would_become_of_each(team: str, http: httpx.Client) -> None:
    """It has the runs that are meant and not finished, changes none, and names the plan."""
    body = {**HALVE, "selector": f"of={team},!frozen"}
    told = ask(http, body, params={"dry_run": True}).json()
    assert [run["name"] for run in told["runs"]] == [f"{team}-0", f"{team}-1"]
    assert {(run["revision"], run["effective"], run["protected"]) for run in told["runs"]} == {
        (1, 0, False)
    }
    (error,) = told["errors"]
    assert (error["name"], error["status"]) == (f"{team}-3", 422)
    assert error["problem"]["errors"][0]["field"] == "changes.lr"
    lines = sorted(f"{run['id']} {run['revision']}" for run in told["runs"])
    assert told["plan"] == hashlib.sha256("\n".join(lines).encode()).hexdigest()
    assert value(http, f"{team}-0") == 1.0


def test_each_run_of_a_plan_is_changed_or_says_why_not(team: str, http: httpx.Client) -> None:
    """A run that moved on is refused, and one that is gone; the others are changed, once."""
    body = {**HALVE, "selector": f"of={team}"}
    plan = ask(http, body, params={"dry_run": True}).json()["plan"]
    http.post(f"/v1/runs/{team}-1/revisions", json=HALVE).raise_for_status()
    http.delete(f"/v1/runs/{team}-2").raise_for_status()
    headers = {"Idempotency-Key": f"all of {team}"}
    answers = [ask(http, {**body, "plan": plan}, headers=headers).json() for _ in range(2)]
    assert answers[0]["plan"] == plan
    for answer in answers:
        gone, first, second = answer["items"]
        assert (first["name"], first["status"], first["revision"]) == (f"{team}-0", 201, 2)
        assert (second["name"], second["status"]) == (f"{team}-1", 409)
        assert second["problem"]["type"].endswith("revision-mismatch")
        assert (gone["name"], gone["status"]) == (None, 404)
    assert (value(http, f"{team}-0"), value(http, f"{team}-1")) == (0.5, 0.5)


def test_a_plan_is_of_its_selector(team: str, http: httpx.Client) -> None:
    """A run that the selector does not mean is not changed, whatever plan is named."""
    body = {**HALVE, "selector": f"of={team}"}
    plan = ask(http, body, params={"dry_run": True}).json()["plan"]
    other = {**body, "selector": f"of={team},frozen", "plan": plan}
    items = ask(http, other).json()["items"]
    assert [(item["name"][-1], item["status"]) for item in items] == [
        ("0", 422),
        ("1", 422),
        ("2", 201),
    ]


@pytest.mark.parametrize(
    ("field", "body", "dry"),
    [
        ("selector", {"selector": ""}, True),
        ("selector", {"selector": "a in ("}, True),
        ("plan", {"selector": "a"}, False),
        ("plan", {"selector": "a", "plan": "0" * 64}, False),
        ("plan", {"selector": "a", "plan": "nothing"}, False),
        ("plan", {"selector": "a", "plan": "0" * 64}, True),
    ],
)
def test_what_is_no_change_of_many_is_refused(
    field: str, body: dict[str, Any], *, dry: bool, http: httpx.Client
) -> None:
    """P10: nothing is changed without a selector that asks for something, and a known plan."""
    answer = ask(http, {**HALVE, **body}, params={"dry_run": dry})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == field


def test_the_client_does_it_once(team: str, server: str) -> None:
    """The same call with the same plan changes nothing twice, and says the same."""
    selector, changes = f"of={team},!frozen", HALVE["changes"]
    with Client(server) as client:
        plan = client.change_runs(selector, changes, dry_run=True)["plan"]
        first = client.change_runs(selector, changes, plan=plan)
        assert first == client.change_runs(selector, changes, plan=plan)
        assert [item["status"] for item in first["items"]] == [201, 201]
        assert client.control(f"{team}-0").show()["current"] == {"lr": 0.5}
        again = client.change_runs(selector, changes)
        assert [item["revision"] for item in again["items"]] == [3, 3]


def test_too_many_runs_are_refused(tmp_path: Any) -> None:
    """P10: one request changes no more runs than its answer lists."""
    store = open_store(Settings(database=f"sqlite:///{tmp_path / 'many.db'}"))
    row = {
        "spec": orjson.dumps({"name": "x", "parameters": {"lr": "d"}}).decode(),
        "created_at": "2026-01-01T00:00:00.000000+00:00",
        "generation": 1,
        "revision": 1,
        "event": 0,
    }
    ids = [f"run_{number:026x}" for number in range(MAX_ITEMS + 1)]

    def fill(records: Any) -> None:
        rows = [{**row, "id": each, "name": f"n{each}"} for each in ids]
        records.connection.execute(insert(tables.runs), rows)
        labels = [{"run_id": each, "key": "team", "value": "nlp"} for each in ids]
        records.connection.execute(insert(tables.labels), labels)

    asyncio.run(store.write(fill))
    with pytest.raises(Invalid, match="too many runs"):
        asyncio.run(store.read(bulk.meant, Selector.parse("team=nlp")))
    store.close()
