"""Protected runs: what an operator does to one becomes a proposal, by whichever route it came."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast, get_args

import httpx
import pytest
from fastapi.testclient import TestClient
from tests.conftest import open_tokens

from rheostat import wire
from rheostat.server.app import create_app
from rheostat.server.http.approval import Act, act_of
from rheostat.server.http.route import StrictRoute
from rheostat.server.settings import Settings

SPEC: dict[str, Any] = {
    "parameters": {"lr": 1.0},
    "total": 1000,
    "controllers": {
        "watch": {"kind": "plateau", "metric": "val_loss", "factor": 0.5, "patience": 0}
    },
}
HALVE = {"changes": {"lr": {"edit": "scale", "factor": 0.5}}, "message": "spike"}
PLATEAU = {"kind": "plateau", "metric": "loss", "factor": 0.5, "patience": 3}
ASKED: Mapping[str, tuple[str, str, Any]] = {
    "change": ("POST", "/revisions", HALVE),
    "cancel": ("DELETE", "/revisions/2?message=no", None),
    "stop": ("POST", "/stop", {"message": "diverged"}),
    "pause": ("POST", "/pause", {}),
    "resume": ("POST", "/resume", {}),
    "signal": ("POST", "/signals", {"signal": "checkpoint"}),
    "rewind": ("POST", "/rewind", {"to": 2}),
    "total": ("POST", "/total", {"total": 2000}),
    "advance": ("POST", "/advance", {"to": 8}),
    "control": ("PUT", "/controllers/other", PLATEAU),
    "disarm": ("DELETE", "/controllers/watch?message=enough", None),
    "reset": ("POST", "/controllers/watch/reset", {"message": "another set"}),
    "finish": ("POST", "/finish", {"message": "done"}),
    "delete": ("DELETE", "", None),
}
"""How each act is asked for."""


@dataclass
class Service:
    """A service in this process, with the tokens of two operators, an admin and a worker."""

    http: TestClient
    secrets: Mapping[str, str]
    numbers: Iterator[int]

    def ask(self, who: str, method: str, path: str, **sent: Any) -> httpx.Response:
        """Send a request with somebody's token."""
        headers = {"Authorization": f"Bearer {self.secrets[who]}", **sent.pop("headers", {})}
        answer: Any = self.http.request(method, f"/v1/runs{path}", headers=headers, **sent)
        return cast("httpx.Response", answer)

    def make(self, act: str, free: list[str] | None = None) -> str:
        """Return the name of a new protected run, settled up to 4, on which an act is possible."""
        name = f"run-{next(self.numbers)}"
        made = self.ask("ann", "POST", "", json={"name": name, **SPEC})
        run = made.raise_for_status().json()["id"]
        asked = {"generation": 1, "start": 0, "count": 4}
        self.ask("worker", "GET", f"/{run}/values", params=asked).raise_for_status()
        if act == "cancel":
            self.ask("ann", "POST", f"/{name}/revisions", json=HALVE).raise_for_status()
        if act == "resume":
            self.ask("ann", "POST", f"/{name}/pause", json={}).raise_for_status()
        protect = {"except": free or []}
        self.ask("admin", "PUT", f"/{name}/protect", json=protect).raise_for_status()
        return name


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Return the service."""
    database = f"sqlite:///{tmp_path_factory.mktemp('protected') / 'x.db'}"
    with open_tokens(database) as tokens:
        roles = {"ann": "operator", "bob": "operator", "admin": "admin", "worker": "worker"}
        secrets = {name: tokens.create(name, role)["token"] for name, role in roles.items()}
    app = create_app(Settings(database=database, auth=True))
    with TestClient(app, base_url="http://127.0.0.1") as http:
        yield Service(http, secrets, itertools.count())


def state(service: Service, run: str) -> Any:
    """Return what is in force of a run, and what was done to it."""
    shown = service.ask("ann", "GET", f"/{run}").json()
    return {key: shown[key] for key in ("revision", "generation", "end", "settled_until", "stops")}


def test_every_route_that_writes_to_a_run_says_what_it_does() -> None:
    """Each is an act that may be held, or says why not: no route is forgotten, nor an act."""
    app = create_app(Settings.model_construct(auth=True))
    writing = [
        each
        for each in app.routes
        if isinstance(each, StrictRoute)
        and not {"GET", "HEAD", "OPTIONS"} & set(each.methods or ())
        and ("{run}" in each.path or each.path == "/v1/revisions")
    ]
    said = {each.name: act_of(each.endpoint) for each in writing}
    assert [name for name, what in said.items() if what is None] == []
    kinds = [what.kind for what in said.values() if isinstance(what, Act)]
    assert sorted(kinds) == sorted(get_args(wire.ProposalKind)) == sorted(ASKED)


@pytest.mark.parametrize("act", ASKED)
def test_an_act_becomes_a_proposal_and_another_person_does_it(service: Service, act: str) -> None:
    """Nothing is done until another token than its author's accepts; then exactly that is."""
    run = service.make(act)
    before = state(service, run)
    method, path, body = ASKED[act]
    sent = {} if body is None else {"json": body}
    answer = service.ask("ann", method, f"/{run}{path}", **sent)
    assert answer.status_code == 202, answer.text
    held = answer.json()
    assert (held["kind"], held["run"], held["proposal"]) == (act, run, 1)
    assert ("before" in held) == (act in {"change", "total"})
    assert state(service, run) == before
    mine = service.ask("ann", "POST", f"/{run}/proposals/1/accept", json={})
    assert (mine.status_code, "another person" in mine.json()["detail"]) == (403, True)
    assert state(service, run) == before
    done = service.ask("bob", "POST", f"/{run}/proposals/1/accept", json={})
    assert done.status_code == 200, done.text
    assert (done.json()["state"], done.json()["author"]) == ("accepted", "ann")
    if act == "delete":
        assert service.ask("ann", "GET", f"/{run}").status_code == 404
        return
    made = service.ask("ann", "GET", f"/{run}/revisions/{done.json()['revision']}").json()
    kind = {"resume": "cancel", "disarm": "control", "reset": "control"}.get(act, act)
    assert (made["kind"], made["author"]) == (kind, "ann")
    assert made["cause"] == {"proposal": 1, "decided_by": "bob"}


@pytest.mark.parametrize("act", ASKED)
def test_what_is_excepted_one_operator_does_alone(service: Service, act: str) -> None:
    """An act that `except` lists is done at once, as on any run."""
    run = service.make(act, free=[act])
    method, path, body = ASKED[act]
    answer = service.ask("ann", method, f"/{run}{path}", **({} if body is None else {"json": body}))
    assert answer.status_code in {200, 201, 204}, answer.text


@pytest.mark.parametrize("act", ASKED)
def test_an_admin_may_do_without_and_it_is_recorded(service: Service, act: str) -> None:
    """`unapproved` is for admins alone, and the history says that it was used."""
    run = service.make(act)
    method, path, body = ASKED[act]
    mark = "&" if "?" in path else "?"
    if body is None:
        sent: dict[str, Any] = {"path": f"/{run}{path}{mark}unapproved=true"}
    else:
        sent = {"path": f"/{run}{path}", "json": {**body, "unapproved": True}}
    refused = service.ask("ann", method, **sent)
    assert (refused.status_code, refused.json()["role"]) == (403, "admin")
    done = service.ask("admin", method, **sent)
    assert done.status_code in {200, 201, 204}, done.text
    if act != "delete":
        newest = service.ask("ann", "GET", f"/{run}/revisions?order=newest&limit=1").json()
        assert newest["items"][0]["cause"] == {"unapproved": True}
        assert newest["items"][0]["forced"] is False


def test_a_change_shows_what_waits(service: Service) -> None:
    """The answer has the curves before and after, as they would be if it were accepted now."""
    run = service.make("change")
    held = service.ask("ann", "POST", f"/{run}/revisions", json=HALVE).json()
    assert held["effective"] == "next"
    assert (held["before"]["lr"][0], held["after"]["lr"][0]) == (1.0, 0.5)
    assert held["steps"][0] == 4


def test_what_is_refused_is_no_proposal(service: Service) -> None:
    """What could not be done is refused at once, as it is on any run."""
    run = service.make("change")
    late = {**HALVE, "effective": 0}
    answer = service.ask("ann", "POST", f"/{run}/revisions", json=late)
    assert (answer.status_code, answer.json()["earliest"]) == (409, 4)
    assert service.ask("ann", "GET", f"/{run}/proposals").json()["items"] == []


def test_a_repetition_is_one_proposal(service: Service) -> None:
    """A request that is sent again with its key has made one proposal, and is told which."""
    run = service.make("change")
    for _ in range(2):
        headers = {"Idempotency-Key": f"once-{run}"}
        answer = service.ask("ann", "POST", f"/{run}/revisions", json=HALVE, headers=headers)
        assert (answer.status_code, answer.json()["proposal"]) == (202, 1)


def test_controllers_decide_as_they_were_armed(service: Service) -> None:
    """What an armed controller decides was approved with its arming: reports go on changing."""
    run = service.make("change")
    shown = service.ask("ann", "GET", f"/{run}").json()
    for step, loss in ((2, 1.0), (3, 2.0)):
        body = {"generation": 1, "reports": [{"step": step, "metrics": {"val_loss": loss}}]}
        told = service.ask("worker", "POST", f"/{shown['id']}/reports", json=body)
    assert [each["decision"] for each in told.json()["decisions"]] == ["change"]


def test_a_fork_is_protected_as_its_source(service: Service) -> None:
    """A fork leaves the run alone, so nobody has to accept it; it is protected as that is."""
    run = service.make("change", free=["stop"])
    made = service.ask("ann", "POST", "", json={"name": f"{run}-fork", "from": {"run": run}})
    assert (made.status_code, made.json()["protect"]) == (201, {"except": ["stop"]})


def test_a_run_is_made_protected_and_found_again(service: Service) -> None:
    """`protect` is a field of a run: whoever sends the same body again finds it."""
    body = {"parameters": {"lr": 1}, "protect": {"except": ["stop", "pause"]}}
    for status in (201, 200):
        answer = service.ask("worker", "PUT", "/born-protected", json=body)
        assert (answer.status_code, answer.json()["protect"]) == (
            status,
            {"except": ["pause", "stop"]},
        )
    assert service.ask("ann", "POST", "/born-protected/finish", json={}).status_code == 202


def test_protection_is_in_the_history(service: Service) -> None:
    """Who protected a run, and who lifted that, is a note each; the same again is none."""
    run = service.make("change", free=["stop"])
    protect = {"except": ["stop", "stop"]}
    service.ask("admin", "PUT", f"/{run}/protect", json=protect).raise_for_status()
    service.ask("admin", "DELETE", f"/{run}/protect?message=over").raise_for_status()
    assert service.ask("ann", "POST", f"/{run}/revisions", json=HALVE).status_code == 201
    history = service.ask("ann", "GET", f"/{run}/revisions").json()["items"]
    assert [(each["author"], each["message"]) for each in history if each["kind"] == "note"] == [
        ("admin", "protected, except stop"),
        ("admin", "protected no more: over"),
    ]


@pytest.mark.parametrize("what", [{"except": ["read"]}, {"except": "stop"}, {"but": []}, []])
def test_wrong_protections_are_refused(service: Service, what: Any) -> None:
    """P10: an act that there is not is named."""
    run = service.make("change")
    answer = service.ask("admin", "PUT", f"/{run}/protect", json=what)
    assert answer.status_code == 422, answer.text


def test_without_tokens_there_is_nobody_else(
    http: httpx.Client, new_name: Callable[[], str]
) -> None:
    """Where no tokens are required a run cannot be protected, and is told why."""
    body = {"name": new_name(), "parameters": {"lr": 1}, "protect": {"except": []}}
    answer = http.post("/v1/runs", json=body)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "protect")


def test_a_proposal_cannot_ask_to_be_unapproved(service: Service) -> None:
    """P10: only who accepts says that they do without a second person."""
    run = service.make("change")
    body = {"kind": "change", "body": {**HALVE, "unapproved": True}}
    answer = service.ask("ann", "POST", f"/{run}/proposals", json=body)
    assert answer.json()["errors"][0]["field"] == "body.unapproved"
