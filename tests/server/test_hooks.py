"""Hooks of a real server, of two processes, which is killed and comes back."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import update
from tests.conftest import RunningServer, open_tokens
from tests.server.hooks.receiver import Receiver, receiving
from tests.waiting import until

from rheostat.server.settings import Settings
from rheostat.server.store import tables
from rheostat.server.store.opening import open_store

HALVE = {"changes": {"lr": {"edit": "scale", "factor": 0.5}}, "message": "loss spike"}
SPEC = {"parameters": {"lr": 1.0}, "labels": {"team": "nlp"}}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """Run a server of two processes, whose hooks reach this machine."""
    folder = tmp_path_factory.mktemp("server")
    settings = {"auth": "true", "workers": 2, "hook_networks": "127.0.0.0/8"}
    settings["log_level"] = "debug"
    settings["public_url"] = "https://page.example/"
    with open_tokens(f"sqlite:///{folder / 'rheostat.db'}") as tokens:
        secret = tokens.create("root", "admin")["token"]
    server = RunningServer(folder, settings)
    server.folder.joinpath("secret").write_text(secret)
    yield server
    server.stop()


@pytest.fixture
def admin(running: RunningServer) -> Iterator[httpx.Client]:
    """Return an admin's client."""
    secret = running.folder.joinpath("secret").read_text()
    with running.client() as http:
        http.headers["Authorization"] = f"Bearer {secret}"
        yield http
        for item in http.get("/v1/hooks").json()["items"]:
            http.delete(f"/v1/hooks/{item['name']}").raise_for_status()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """Return somebody who is told."""
    with receiving() as receiver:
        yield receiver


def put(http: httpx.Client, url: str, name: str = "a", **fields: Any) -> httpx.Response:
    """Set a hook."""
    body = {"url": url, "events": ["created", "revised"], **fields}
    return http.put(f"/v1/hooks/{name}", json=body)


def test_changes_are_told_by_one_of_two_processes(
    admin: httpx.Client, receiver: Receiver, new_name: Any
) -> None:
    """A change that any process makes is told once, signed, with a link; the answers say how."""
    made = put(admin, receiver.url)
    assert (made.status_code, made.json()["secret_set"]) == (201, True)
    secret = made.json()["secret"]
    admin.put(f"/v1/runs/{(run := new_name())}", json=SPEC).raise_for_status()
    admin.post(f"/v1/runs/{run}/revisions", json=HALVE).raise_for_status()
    until(lambda: receiver.events == ["created", "revised"])
    data = receiver.received[1].json["data"]
    assert (data["run"]["name"], data["author"], data["message"]) == (run, "root", "loss spike")
    assert data["link"].startswith("https://page.example/runs/run_")
    where = "/v1/hooks/a/deliveries"
    until(lambda: admin.get(where, params={"state": "waiting"}).json()["items"] == [])
    newest, oldest = admin.get(where).json()["items"]
    assert newest["body"] == receiver.received[1].json
    assert (oldest["state"], oldest["status"]) == ("delivered", 204)
    page = admin.get(where, params={"limit": 1}).json()
    assert page["items"] == [newest]
    assert admin.get(where, params={"cursor": page["next"]}).json()["items"] == [oldest]
    everything = (
        admin.get("/v1/hooks").text + admin.get("/v1/hooks/a").text + put(admin, receiver.url).text
    )
    assert secret not in everything


def test_a_trial_is_sent_at_once(admin: httpx.Client, receiver: Receiver) -> None:
    """Whoever sets a hook sees whether it arrives, and nothing is written of it."""
    put(admin, receiver.url)
    answer = admin.post("/v1/hooks/a/test").json()
    assert (answer["delivered"], answer["status"], answer["error"]) == (True, 204, None)
    receiver.answers.append(302)
    answer = admin.post("/v1/hooks/a/test").json()
    assert (answer["delivered"], answer["status"]) == (False, 302)
    assert receiver.received[0].json["type"] == "hook.test"
    assert admin.get("/v1/hooks/a/deliveries").json()["items"] == []


def test_a_killed_server_sends_again(
    running: RunningServer, admin: httpx.Client, receiver: Receiver, new_name: Any
) -> None:
    """P4: killed between sending and writing it down, it sends the same message once more."""
    put(admin, receiver.url, events=["created"])
    receiver.hangs = True
    admin.put(f"/v1/runs/{new_name()}", json=SPEC).raise_for_status()
    until(lambda: len(receiver.received) == 1)
    running.kill()
    receiver.hangs = False
    receiver.free.set()
    _let_go(str(running.settings["database"]))
    running.restart()
    until(lambda: len(receiver.received) == 2)
    first, second = receiver.received
    assert (first.id, first.body) == (second.id, second.body)


def _let_go(database: str) -> None:
    """Spare the test the half minute in which nobody else sends, and the one until the retry."""

    def change(records: Any) -> None:
        old = "2000-01-01T00:00:00.000000+00:00"
        records.connection.execute(update(tables.hook_sender).values(until=old))
        records.connection.execute(update(tables.deliveries).values(next_at=old))

    store = open_store(Settings(database=database))
    asyncio.run(store.write(change))
    store.close()


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"url": "http://example.com/x"}, "url"),
        ({"url": "https://10.0.0.1/x"}, "url"),
        ({"url": "https://ann:secret@example.com/"}, "url"),
        ({"url": "https://example.com:22/"}, "url"),
        ({"url": "https://example.com/" + 3000 * "x"}, "url"),
        ({"events": []}, "events"),
        ({"events": ["settled"]}, "events[0]"),
        ({"events": ["revised", "revised"]}, "events"),
        ({"selector": "team=(x"}, "selector"),
        ({"selector": 5000 * "x"}, "selector"),
        ({"format": "teams"}, "format"),
        ({"secret": "hunter2"}, "secret"),
        ({"secret": 100 * "hunter2"}, "secret"),
        ({"url": "https://example.com/hunter2" + 3000 * "x"}, "url"),
        ({"secret": "whsec_" + 24 * "A", "format": "slack"}, "secret"),
        ({"renew": True, "format": "slack"}, "renew"),
        ({"enabled": True}, "enabled"),
    ],
)
def test_what_makes_no_sense_is_refused(
    fields: dict[str, Any], field: str, admin: httpx.Client, problem: Any
) -> None:
    """P10: a hook that cannot be meant is refused with field and bound, and nothing is kept."""
    answer = (
        put(admin, "https://example.com/x")
        if not fields
        else admin.put(
            "/v1/hooks/a", json={"url": "https://example.com/x", "events": ["revised"], **fields}
        )
    )
    error = problem(answer, "invalid")["errors"][0]
    assert error["field"] == field
    assert error["bound"]
    assert "hunter2" not in answer.text
    assert "secret@" not in answer.text
    assert admin.get("/v1/hooks").json()["items"] == []


@pytest.mark.parametrize(
    ("method", "path", "code"),
    [
        ("GET", "/v1/hooks/nobody", "unknown-hook"),
        ("DELETE", "/v1/hooks/nobody", "unknown-hook"),
        ("POST", "/v1/hooks/nobody/test", "unknown-hook"),
        ("GET", "/v1/hooks/nobody/deliveries", "unknown-hook"),
        ("POST", "/v1/hooks/nobody/deliveries/1/retry", "unknown-hook"),
        ("POST", "/v1/hooks/a/deliveries/999/retry", "unknown-delivery"),
        ("GET", "/v1/hooks/a/deliveries?state=lost", "invalid"),
        ("GET", "/v1/hooks?cursor=x", "invalid"),
    ],
)
def test_what_is_not_there_is_said(
    method: str, path: str, code: str, admin: httpx.Client, problem: Any
) -> None:
    """P10: what nobody has set is unknown, by a code of its own."""
    put(admin, "https://example.com/x")
    problem(admin.request(method, path), code)


def test_without_tokens_nobody_sets_hooks(http: httpx.Client, problem: Any) -> None:
    """P10: where everybody is an operator, whoever can open the database sets hooks, alone."""
    problem(put(http, "https://example.com/x"), "forbidden")


def test_the_log_of_a_server_has_no_secret(
    running: RunningServer, admin: httpx.Client, receiver: Receiver
) -> None:
    """P10: neither a URL's path nor a secret is in a log, whatever becomes of a hook."""
    hidden = "whsec_" + "hidden0A" * 4
    url = "https://nobody.invalid/hidden1"
    assert put(admin, url, secret=hidden).json()["secret"] is None
    admin.post("/v1/hooks/a/test").raise_for_status()
    put(admin, "https://ann:hidden2@example.com/", secret="hidden3")  # noqa: S106
    put(admin, receiver.url.replace("/x", "/hidden4"))
    admin.post("/v1/hooks/a/test").raise_for_status()
    assert [each.path for each in receiver.received] == ["/hidden4"]
    assert "hidden" not in Path(running.folder / "log.txt").read_text()
