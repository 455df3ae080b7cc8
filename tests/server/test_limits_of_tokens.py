"""Tokens with a limit over HTTP: what they may do, what they are told, and what they never get."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

import httpx
import pytest
from fastapi.testclient import TestClient
from sqlalchemy import func, select
from tests.conftest import Guarded, open_tokens
from tests.server.conftest import refused_in_the_end
from tests.waiting import until

from rheostat.client import Client
from rheostat.errors import Forbidden
from rheostat.limits import MAX_LIMIT, MAX_LIMITED, MAX_OPEN_PROPOSALS
from rheostat.server.app import create_app
from rheostat.server.http import access, refused
from rheostat.server.http.refused import RefusedTokens, Wanted
from rheostat.server.settings import Settings
from rheostat.server.store import tables
from rheostat.server.store.records import Records

if TYPE_CHECKING:
    from rheostat.server.store import Store

SPEC: dict[str, Any] = {"parameters": {"lr": 1.0, "wd": 0.5}, "total": 1000}
HALVE = {"changes": {"lr": {"edit": "scale", "factor": 0.5}}, "message": "spike"}
PLATEAU = {"kind": "plateau", "metric": "loss", "factor": 0.5, "patience": 3}
BLOCK = {"generation": 1, "start": 0, "count": 4}

COUNT: Mapping[str, tuple[str, str, Any]] = {
    "change": ("POST", "/revisions", HALVE),
    "stop": ("POST", "/stop", {"message": "diverged", "effective": 100}),
    "signal": ("POST", "/signals", {"signal": "checkpoint", "message": "before the decay"}),
}
"""Acts that count, by how they are asked for."""
REFUSED: Mapping[str, tuple[str, str, Any]] = {
    "rewind": ("POST", "/rewind", {"to": 0, "message": "back"}),
    "total": ("POST", "/total", {"total": 2000, "message": "longer"}),
    "advance": ("POST", "/advance", {"to": 8, "message": "on"}),
    "control": ("PUT", "/controllers/other", PLATEAU),
    "disarm": ("DELETE", "/controllers/other?message=enough", None),
    "reset": ("POST", "/controllers/other/reset", {"message": "again"}),
    "finish": ("POST", "/finish", {"message": "done"}),
    "delete": ("DELETE", "", None),
}
"""Acts that are for nobody with a limit."""


@dataclass
class Service:
    """A service in this process, with people's tokens and those of agents."""

    http: TestClient
    secrets: dict[str, str]
    numbers: Iterator[int] = field(default_factory=itertools.count)

    def ask(self, who: str, method: str, path: str, **sent: Any) -> httpx.Response:
        """Send a request with somebody's token."""
        headers = {"Authorization": f"Bearer {self.secrets[who]}", **sent.pop("headers", {})}
        answer: Any = self.http.request(method, f"/v1{path}", headers=headers, **sent)
        return cast("httpx.Response", answer)

    def agent(self, limit: str = "changes=100/day", **more: Any) -> str:
        """Make a token with a limit, and return its name."""
        name = f"agent-{next(self.numbers)}"
        body = {"name": name, "role": "operator", "limit": limit, **more}
        made = self.ask("admin", "POST", "/tokens", json=body).raise_for_status()
        self.secrets[name] = made.json()["token"]
        return name

    def make(self, **more: Any) -> str:
        """Make a run, and return its name."""
        name = f"run-{next(self.numbers)}"
        self.ask("ann", "POST", "/runs", json={"name": name, **SPEC, **more}).raise_for_status()
        return name

    def state(self, run: str) -> Any:
        """Return what is in force of a run, and what was done to it."""
        shown = self.ask("ann", "GET", f"/runs/{run}").json()
        return {key: shown[key] for key in ("revision", "generation", "end", "settled_until")}

    def has(self, run: str, token: str) -> Any:
        """Return what a token has left of a run."""
        items = self.ask("viewer", "GET", f"/runs/{run}/allowances").raise_for_status().json()
        return next(each for each in items["items"] if each["token"] == token)

    @property
    def store(self) -> Store:
        """The service's store."""
        app: Any = self.http.app
        return cast("Store", app.state.store)

    def rows(self) -> dict[str, int]:
        """Return how many rows each table has, once all that was refused is written down."""
        app: Any = self.http.app
        refused = app.state.refused
        until(lambda: refused._writing is None or refused._writing.done())

        def count(records: Records) -> dict[str, int]:
            return {
                name: records.connection.execute(
                    select(func.count()).select_from(table)
                ).scalar_one()
                for name, table in tables.metadata.tables.items()
            }

        assert self.http.portal is not None
        return self.http.portal.call(self.store.read, count)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Return the service."""
    database = f"sqlite:///{tmp_path_factory.mktemp('limits') / 'x.db'}"
    roles = {"ann": "operator", "admin": "admin", "worker": "worker", "viewer": "viewer"}
    with open_tokens(database) as tokens:
        secrets = {name: tokens.create(name, role)["token"] for name, role in roles.items()}
    app = create_app(Settings(database=database, auth=True))
    with TestClient(app, base_url="http://127.0.0.1") as http:
        yield Service(http, secrets)


# --- making one -----------------------------------------------------------------------------------


def test_a_limit_is_shown_as_it_bounds(service: Service) -> None:
    """It is kept in one way of writing, shown to admins, to whoever has it, and in the audit."""
    name = service.agent("ratio=2,gap = 1k, edits=hold|scale")
    written = "gap=1000, edits=scale|hold, ratio=2"
    listed = service.ask("admin", "GET", "/tokens", params={"limit": 1000}).json()["items"]
    (item,) = [item for item in listed if item["name"] == name]
    assert (item["role"], item["limit"]) == ("operator", written)
    assert service.ask(name, "GET", "/access").json() == {
        "name": name,
        "role": "operator",
        "runs": None,
        "limit": written,
        "may": ["propose", "note", "change", "stop", "signal", "pause", "resume", "cancel"],
    }
    rows = service.ask("admin", "GET", "/audit", params={"action": "create-token"}).json()["items"]
    assert [row["outcome"]["limit"] for row in rows if row["subject"] == name] == [written]


@pytest.mark.parametrize(
    ("limit", "role"),
    [
        ("gap=0", "operator"),
        ("gap=5", "worker"),
        ("gap=5", "admin"),
        ("", "operator"),
        ("gap=1" + " " * MAX_LIMIT, "operator"),
        (f"changes={MAX_LIMITED + 1}/day", "operator"),
        (3, "operator"),
        ({"gap": 5}, "operator"),
    ],
)
def test_a_wrong_limit_makes_no_token(
    service: Service, problem: Any, limit: Any, role: str
) -> None:
    """P10: what is wrong with it is named, and no token is made."""
    body = {"name": "wrong", "role": role, "limit": limit}
    answer = service.ask("admin", "POST", "/tokens", json=body)
    (error,) = problem(answer, "invalid")["errors"]
    assert (error["field"], bool(error["bound"])) == ("limit", True)
    listed = service.ask("admin", "GET", "/tokens", params={"limit": 1000}).text
    assert '"wrong"' not in listed


# --- what it may do -------------------------------------------------------------------------------


@pytest.mark.parametrize("act", COUNT)
def test_what_counts_is_done_until_none_is_left(service: Service, problem: Any, act: str) -> None:
    """Under its name, and with its reason; the next is a 409 that says what is left, and when."""
    name, run = service.agent("changes=1/day"), service.make()
    method, path, body = COUNT[act]
    assert service.ask(name, method, f"/runs/{run}{path}", json=body).status_code == 201
    made = service.ask("viewer", "GET", f"/runs/{run}/revisions/2").json()
    assert (made["author"], made["message"]) == (name, body["message"])
    told = problem(service.ask(name, method, f"/runs/{run}{path}", json=body), "limit-reached")
    assert (told["limit"], told["left"]["left"]) == ("changes=1/day", 0)
    assert told["left"]["again_at"] in told["detail"]
    assert service.state(run)["revision"] == 2


@pytest.mark.parametrize("act", COUNT)
def test_what_counts_has_to_say_why(service: Service, problem: Any, act: str) -> None:
    """P10: without a message nothing is done; the field is named."""
    name, run = service.agent(), service.make()
    method, path, body = COUNT[act]
    for message in (None, "", " \t", "\u200b"):
        sent = {key: value for key, value in body.items() if key != "message"}
        sent |= {} if message is None else {"message": message}
        answer = service.ask(name, method, f"/runs/{run}{path}", json=sent)
        assert problem(answer, "invalid")["errors"][0]["field"] == "message"
    assert service.state(run)["revision"] == 1


@pytest.mark.parametrize("act", COUNT)
def test_an_act_that_is_not_left_is_forbidden(service: Service, problem: Any, act: str) -> None:
    """Of three acts the two others; a token is told that it may propose it."""
    others = "|".join(COUNT.keys() - {act})
    name, run = service.agent(f"acts={others}"), service.make()
    method, path, body = COUNT[act]
    told = problem(service.ask(name, method, f"/runs/{run}{path}", json=body), "forbidden")
    assert ("propose" in told["detail"], told["role"]) == (True, "operator")
    assert service.state(run)["revision"] == 1
    proposed = {"kind": act, "body": body}
    answer = service.ask(name, "POST", f"/runs/{run}/proposals", json=proposed)
    assert answer.status_code == 201, answer.text


@pytest.mark.parametrize("act", REFUSED)
def test_what_is_never_left_is_forbidden(service: Service, problem: Any, act: str) -> None:
    """Whatever the limit leaves, this is done by somebody else, and the run is as it was."""
    name, run = service.agent(), service.make()
    service.ask("ann", "PUT", f"/runs/{run}/controllers/other", json=PLATEAU).raise_for_status()
    before = service.state(run)
    method, path, body = REFUSED[act]
    sent = {} if body is None else {"json": body}
    for query in ("", "dry_run=false", "unapproved=true", "force=true"):
        at = f"/runs/{run}{path}" + (query and ("&" if "?" in path else "?") + query)
        assert problem(service.ask(name, method, at, **sent), "forbidden")
    assert service.state(run) == before


def test_holding_and_taking_back_ones_own_is_free(service: Service, problem: Any) -> None:
    """With none left a run is held and let go; what others hold, or have pending, is theirs."""
    name, run = service.agent("changes=1/day"), service.make()
    changed = service.ask(name, "POST", f"/runs/{run}/revisions", json={**HALVE, "effective": 50})
    assert changed.status_code == 201
    assert service.ask(name, "POST", f"/runs/{run}/pause", json={}).status_code == 201
    assert service.ask(name, "POST", f"/runs/{run}/resume", json={}).status_code == 200
    assert service.ask(name, "DELETE", f"/runs/{run}/revisions/2").status_code == 200
    theirs = service.ask("ann", "POST", f"/runs/{run}/revisions", json={**HALVE, "effective": 60})
    number = theirs.json()["revision"]
    told = problem(service.ask(name, "DELETE", f"/runs/{run}/revisions/{number}"), "forbidden")
    assert (told["limit"], "is ann" in told["detail"]) == ("changes=1/day", True)
    service.ask("ann", "POST", f"/runs/{run}/pause", json={}).raise_for_status()
    problem(service.ask(name, "POST", f"/runs/{run}/resume", json={}), "forbidden")
    answer = service.ask(name, "POST", f"/runs/{run}/notes", json={"text": "looked at it"})
    assert answer.status_code == 201


def test_a_key_has_its_effect_once(service: Service, problem: Any) -> None:
    """A change that is sent again is told again and counts once; a refusal is not kept for it."""
    name, run = service.agent("changes=2/day, gap=4"), service.make()
    path, headers = f"/runs/{run}/revisions", {"Idempotency-Key": f"{run}-1"}
    first, again = (service.ask(name, "POST", path, json=HALVE, headers=headers) for _ in range(2))
    assert (first.status_code, again.json()) == (201, first.json())
    assert service.has(run, name)["left"] == 1
    headers = {"Idempotency-Key": f"{run}-2"}
    problem(service.ask(name, "POST", path, json=HALVE, headers=headers), "limit-reached")
    known = service.ask("ann", "GET", f"/runs/{run}").json()["id"]
    service.ask("worker", "GET", f"/runs/{known}/values", params=BLOCK).raise_for_status()
    assert service.ask(name, "POST", path, json=HALVE, headers=headers).status_code == 201
    assert service.has(run, name)["left"] == 0


def test_the_change_of_a_protected_run_waits_and_counts_for_nothing(service: Service) -> None:
    """It is a proposal, which no limit bounds: another person's yes does it, and it stays free."""
    name, run = service.agent("changes=1/day, parameters=wd"), service.make()
    service.ask("admin", "PUT", f"/runs/{run}/protect", json={"except": []}).raise_for_status()
    held = service.ask(name, "POST", f"/runs/{run}/revisions", json=HALVE)
    assert (held.status_code, held.json()["proposal"]) == (202, 1)
    mine = service.ask(name, "POST", f"/runs/{run}/proposals/1/accept", json={})
    assert mine.status_code == 403
    done = service.ask("ann", "POST", f"/runs/{run}/proposals/1/accept", json={})
    assert (done.status_code, done.json()["author"]) == (200, name)
    assert [service.has(run, name)[key] for key in ("left", "made")] == [1, 0]


def test_what_protection_excepts_is_within_the_limit(service: Service, problem: Any) -> None:
    """A protected run that lets changes through lets them through as far as the limit does."""
    name, run = service.agent("changes=1/day, parameters=lr"), service.make()
    path = f"/runs/{run}/protect"
    service.ask("admin", "PUT", path, json={"except": ["change"]}).raise_for_status()
    path = f"/runs/{run}/revisions"
    assert service.ask(name, "POST", path, json=HALVE).status_code == 201
    problem(service.ask(name, "POST", path, json=HALVE), "limit-reached")


def test_proposals_do_not_come_without_end(service: Service, problem: Any) -> None:
    """P13: what a token has not left it may propose, and only so much of it at once."""
    name, run = service.agent("acts=signal"), service.make()
    body = {"kind": "change", "body": HALVE}
    for _ in range(MAX_OPEN_PROPOSALS):
        answer = service.ask(name, "POST", f"/runs/{run}/proposals", json=body)
        assert answer.status_code == 201, answer.text
    problem(service.ask(name, "POST", f"/runs/{run}/proposals", json=body), "too-many")
    assert service.ask("ann", "POST", f"/runs/{run}/proposals", json=body).status_code == 201


# --- what it never gets ---------------------------------------------------------------------------


def test_its_reads_settle_nothing(service: Service, problem: Any) -> None:
    """P14: a read by id and generation is a preview, before and after a worker's, however often."""
    name, run = service.agent(), service.make()
    known = service.ask("ann", "GET", f"/runs/{run}").json()["id"]
    for final in (False, True):
        for method in ("GET", "HEAD", "GET"):
            shown = service.ask(name, method, f"/runs/{known}/values", params=BLOCK)
            assert shown.headers.get("cache-control", "no-store") == "no-store"
            if method == "GET":
                assert shown.json()["final"] == [final] * 4
        assert service.state(run)["settled_until"] == 4 * final
        service.ask("worker", "GET", f"/runs/{known}/values", params=BLOCK).raise_for_status()
    problem(service.ask(name, "POST", f"/runs/{run}/join", json={"start": 0}), "forbidden")
    problem(service.ask(name, "GET", "/access", params={"role": "worker"}), "forbidden")
    problem(service.ask(name, "GET", "/access", params={"role": "operator"}), "forbidden")
    assert service.ask(name, "GET", "/access", params={"role": "proposer"}).status_code == 200


def test_a_browser_does_no_more_than_its_token(service: Service, problem: Any) -> None:
    """Whoever signs in with it changes within the limit, with one count for both."""
    name, run = service.agent("changes=2/day"), service.make()
    page = {"sec-fetch-site": "same-origin"}
    sent = {"token": service.secrets[name]}
    begun = service.http.post("/v1/session", json=sent, headers=page)
    try:
        assert [begun.json()[key] for key in ("role", "limit")] == ["operator", "changes=2/day"]
        path = f"/v1/runs/{run}/revisions"
        assert service.http.post(path, json=HALVE, headers=page).status_code == 201
        assert service.ask(name, "POST", f"/runs/{run}/revisions", json=HALVE).status_code == 201
        problem(service.http.post(path, json=HALVE, headers=page), "limit-reached")
        known = service.http.get(f"/v1/runs/{run}").json()["id"]
        shown = service.http.get(f"/v1/runs/{known}/values", params=BLOCK)
        assert shown.json()["final"] == [False] * 4
        problem(service.http.post(f"/v1/runs/{run}/finish", json={}, headers=page), "forbidden")
    finally:
        service.http.cookies.clear()
    assert service.state(run)["settled_until"] == 0


def test_the_fast_lane_settles_nothing_for_it(guarded: Guarded, new_name: Any) -> None:
    """P14: not before the application either, with the block in memory or ahead of it."""
    name = new_name()
    body = {"name": name, "role": "operator", "limit": "changes=5/day"}
    secret = guarded.ask("admin", "POST", "/v1/tokens", json=body).json()["token"]
    run = guarded.ask("admin", "PUT", f"/v1/runs/{name}", json=SPEC).json()["id"]
    path = f"/v1/runs/{run}/values"
    with guarded.client(secret) as http:
        for _ in range(4):
            shown = http.get(path, params=BLOCK)
            assert (shown.headers["cache-control"], shown.json()["final"]) == (
                "no-store",
                [False] * 4,
            )
        for _ in range(4):
            guarded.ask("worker", "GET", path, params=BLOCK).raise_for_status()
            shown = http.get(path, params=BLOCK)
            assert (shown.headers["cache-control"], shown.json()["final"]) == (
                "no-store",
                [True] * 4,
            )
        ahead = http.get(path, params={**BLOCK, "start": 4})
        assert ahead.json()["final"] == [False] * 4
    assert guarded.ask("viewer", "GET", f"/v1/runs/{run}").json()["settled_until"] == 4
    with Client(guarded.url, token=secret, deadline=5) as client, pytest.raises(Forbidden):
        client.run(name)
    assert guarded.ask("viewer", "GET", f"/v1/runs/{run}").json()["settled_until"] == 4


def test_it_follows_a_run_as_a_viewer_does(service: Service) -> None:
    """Events, briefs, waits and plans are open to it; what it may do, it is told."""
    name, run = service.agent("changes=3/day, acts=signal"), service.make()
    brief = service.ask(name, "GET", f"/runs/{run}/brief").raise_for_status().json()
    assert brief["may"] == ["propose", "note", "signal", "pause", "resume", "cancel"]
    assert (brief["allowance"]["token"], brief["allowance"]["left"]) == (name, 3)
    waited = service.ask(name, "GET", f"/runs/{run}/wait", params={"until": "end", "timeout": 0})
    assert waited.raise_for_status().json()["held"] is False
    service.ask("ann", "POST", f"/runs/{run}/finish", json={}).raise_for_status()
    followed = service.ask(name, "GET", f"/runs/{run}/events")
    assert (followed.status_code, "finished" in followed.text) == (200, True)


def test_a_revoked_limit_is_gone(
    service: Service, problem: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A token that was revoked does nothing more, and is not shown as if it had something left."""
    monkeypatch.setattr(access, "TRUSTED", 0.0)
    name, run = service.agent(), service.make()
    assert service.ask(name, "POST", f"/runs/{run}/revisions", json=HALVE).status_code == 201
    service.ask("admin", "DELETE", f"/tokens/{name}").raise_for_status()
    app: Any = service.http.app
    app.state.access._known.clear()
    told = problem(
        service.ask(name, "POST", f"/runs/{run}/revisions", json=HALVE), "unauthenticated"
    )
    assert "was revoked" in told["detail"]
    items = service.ask("viewer", "GET", f"/runs/{run}/allowances").json()["items"]
    assert name not in {each["token"] for each in items}


# --- rehearsals -----------------------------------------------------------------------------------

REHEARSED: Mapping[str, Any] = {
    "/revisions": HALVE,
    "/total": {"total": 2000},
    "/rewind": {"to": 0},
}


@pytest.mark.parametrize("path", REHEARSED)
def test_a_viewer_rehearses_and_writes_nothing(service: Service, path: str) -> None:
    """Curves before and after are for whoever may see the plan; no row of any table is made."""
    run = service.make()
    for protect in (False, True):
        if protect:
            body: Any = {"except": []}
            service.ask("admin", "PUT", f"/runs/{run}/protect", json=body).raise_for_status()
        before = service.rows()
        for who in ("viewer", "worker"):
            for said in ("true", "1"):
                answer = service.ask(
                    who,
                    "POST",
                    f"/runs/{run}{path}",
                    params={"dry_run": said},
                    json=REHEARSED[path],
                    headers={"Idempotency-Key": f"{run}{path}"},
                )
                assert answer.status_code == 200, answer.text
                assert answer.json().keys() >= {"effective", "before", "after"} or (
                    path == "/rewind"
                )
        assert service.rows() == before


@pytest.mark.parametrize(
    "query",
    [
        "",
        "dry_run=false",
        "dry_run=0",
        "dry_run=yes",
        "dry_run=True",
        "dry_run=true&dry_run=false",
        "dry_run=false&dry_run=true",
        "Dry_run=true",
        "dry_run=true%20",
        "dry_run=true&unapproved=true",
    ],
)
@pytest.mark.parametrize("path", REHEARSED)
def test_nothing_that_is_no_rehearsal_passes_for_one(
    service: Service, path: str, query: str
) -> None:
    """P10: however it is written, a viewer changes nothing."""
    run = service.make()
    before = service.rows()
    answer = service.ask("viewer", "POST", f"/runs/{run}{path}?{query}", json=REHEARSED[path])
    assert answer.status_code in {403, 422}, answer.text
    assert service.rows() == before


# --- what it was refused --------------------------------------------------------------------------


def test_refusals_are_counted_and_shown(service: Service) -> None:
    """By limit, by role, and for want of a reason; what was merely wrong is nobody's doing."""
    name, run = service.agent("parameters=wd"), service.make()
    before = service.rows()
    for count, (method, path, body) in enumerate(
        [COUNT["change"], REFUSED["finish"], ("POST", "/revisions", {"changes": {"wd": 1.0}})], 1
    ):
        told = service.ask(name, method, f"/runs/{run}{path}", json=body).json()["detail"]
        until(lambda: service.has(run, name)["refused"] == count)  # noqa: B023 - it ends in here
        assert service.has(run, name)["refusal"] == told
    service.ask(name, "POST", f"/runs/{run}/revisions", json={"changes": {"no": 1.0}})
    service.ask(name, "POST", f"/runs/{run}/revisions", content=b"{")
    service.ask("viewer", "POST", f"/runs/{run}/finish", json={})
    assert service.rows() == {**before, "refused": before["refused"] + 1}
    assert service.has(run, name)["refused"] == 3


class CountingStore:
    """A store that counts what is written to it."""

    def __init__(self) -> None:
        self.written: list[Any] = []

    async def write(self, _operation: Any, refusal: Any) -> None:
        """Write, and count."""
        self.written.append(refusal)


def test_one_who_hammers_costs_a_write_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    """P13: a thousand refusals are one write, and those of thousands of runs are few."""

    async def hammer() -> CountingStore:
        store: Any = CountingStore()
        counting = RefusedTokens(store)
        for _ in range(1000):
            counting._count(Wanted("gpt", "tuner"), "x" * 5000)
        await asyncio.sleep(0)
        for number in range(10 * refused.MOST):
            counting._count(Wanted(f"run-{number}", "tuner"), "no")
        await counting.close()
        return cast("CountingStore", store)

    monkeypatch.setattr(refused, "APART", 3600.0)
    store = asyncio.run(hammer())
    first, *rest = store.written
    assert (first.count, len(first.why)) == (1000, refused.LONGEST)
    assert len(rest) <= refused.MOST


def test_a_limit_outlives_its_process(guarded: Guarded, new_name: Any) -> None:
    """What is counted is in the history: nothing of it is a process's, nor a token's to forget."""
    name = new_name()
    body = {"name": name, "role": "operator", "limit": "changes=1/day"}
    secret = guarded.ask("admin", "POST", "/v1/tokens", json=body).json()["token"]
    guarded.ask("admin", "PUT", f"/v1/runs/{name}", json=SPEC).raise_for_status()
    with guarded.client(secret) as http:
        assert http.post(f"/v1/runs/{name}/revisions", json=HALVE).status_code == 201
        assert http.post(f"/v1/runs/{name}/revisions", json=HALVE).status_code == 409
        guarded.ask("admin", "DELETE", f"/v1/tokens/{name}").raise_for_status()
        assert refused_in_the_end(http).status_code == 401
    again = guarded.ask("admin", "POST", "/v1/tokens", json=body).json()["token"]
    with guarded.client(again) as http:
        assert http.post(f"/v1/runs/{name}/revisions", json=HALVE).status_code == 409
