"""Who did what: every write of every role is in the audit, once, and nothing else is."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.conftest import Guarded, guarding

from rheostat.server.app import create_app
from rheostat.server.http.access import READS, needs
from rheostat.server.http.auditing import Action, action_of
from rheostat.server.http.route import StrictRoute, router
from rheostat.server.routes.imports import EXPORT
from rheostat.server.settings import Settings

ROLES = ("viewer", "proposer", "worker", "operator", "admin")
LINE = {"kind": "linear", "start": 1.0, "end": 0.0, "steps": 1024}
HALVE = {"changes": {"lr": {"edit": "scale", "factor": 0.5}}}
PLATEAU = {"kind": "plateau", "metric": "loss", "parameters": ["lr"]}

ROUTES = {
    f"{method} {route.path}": route
    for route in create_app(Settings.model_construct(auth=True)).routes
    if isinstance(route, StrictRoute)
    for method in route.methods or ()
}
ACTIONS: dict[str, Action | None] = {
    name: action_of(route.endpoint, route.methods)
    for name, route in ROUTES.items()
    if name.split()[0] not in READS
}
UNAUDITED = {
    "POST /v1/hooks/{name}/test",
    "POST /v1/convert",
    "POST /v1/evaluate",
    "POST /v1/control/simulate",
    "POST /v1/local/attached",
    "POST /v1/runs/{run}/beats",
    "POST /v1/runs/{run}/checkpoints",
    "POST /v1/runs/{run}/outcomes",
    "POST /v1/runs/{run}/reports",
}
"""What is nobody's decision: computations, and a worker's own traffic."""
ALONE = {"POST /v1/session", "DELETE /v1/session"}
"""What asks for no role: a browser signs in by them."""
EACH_TIME = {"PUT /v1/hooks/{name}", "POST /v1/hooks/{name}/deliveries/{number}/retry"}
"""What does something however often it is asked for: messages are sent again at once."""
OF_A_RUN = re.compile(r"{run}/|DELETE .*{run}|purge|/v1/revisions")
"""What is done to the run itself, and not to another one that it makes."""
AUDITED = sorted(ACTIONS.keys() - UNAUDITED)


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    """Return a server for these tests alone: each looks at all that is written meanwhile."""
    folder = tmp_path_factory.mktemp("server")
    with guarding(folder, hook_networks="127.0.0.0/8") as running:
        yield running


Clients = dict[str, httpx.Client]


@pytest.fixture(scope="module")
def clients(guarded: Guarded) -> Iterator[Clients]:
    """Return a client of each role, which asks as the page would."""
    with ExitStack() as stack:
        found = {role: stack.enter_context(guarded.client(guarded.secrets[role])) for role in ROLES}
        for http in found.values():
            http.headers["sec-fetch-site"] = "same-origin"
        yield found


class Trial:
    """A run on which a write can be tried."""

    def __init__(self, clients: Clients, name: str, operation: str) -> None:
        self.name, self.operation = name, operation
        self.clients, self.admin = clients, clients["admin"]
        self.plan, self.number = "", "2" if "revisions" in operation else "1"
        self.spec = {
            "parameters": {"lr": LINE},
            "total": 1024,
            "signals": {"checkpoint": {}},
            "labels": {"trial": name},
        }
        self.id = self._make("PUT", f"/v1/runs/{name}", self.spec)["id"]
        self._prepare(f"/v1/runs/{name}")

    def _make(self, method: str, path: str, body: Any) -> Any:
        answer = self.admin.request(method, path, json=body)
        return answer.raise_for_status().json()

    def _prepare(self, run: str) -> None:
        """Bring about what the operation needs."""
        match self.operation.split():
            case _, path if "proposals/{number}" in path:
                self._make("POST", f"{run}/proposals", {"kind": "change", "body": HALVE})
            case _, path if "revisions/{number}" in path:
                self._make("POST", f"{run}/revisions", {**HALVE, "effective": 512})
            case _, path if path.endswith("/resume"):
                self._make("POST", f"{run}/pause", {})
            case _, path if path.endswith("/rewind"):
                self._make("POST", f"{run}/advance", {"to": 64})
            case (("POST" | "DELETE"), path) if "/controllers/" in path:
                self._make("PUT", f"{run}/controllers/{self.name}", PLATEAU)
            case "DELETE", "/v1/schedules/{name}":
                self._make("PUT", f"/v1/schedules/{self.name}", {"definition": LINE})
            case "DELETE", "/v1/tokens/{name}":
                self._make("POST", "/v1/tokens", {"name": self.name, "role": "viewer"})
            case "POST", "/v1/purge":
                self._make("POST", f"{run}/finish", {})
        self._prepare_more(run)

    def _prepare_more(self, run: str) -> None:
        match self.operation.split():
            case "POST", "/v1/revisions":
                asked = "/v1/revisions?dry_run=true"
                self.plan = self._make("POST", asked, {**HALVE, **self._meant()})["plan"]
            case "DELETE", path if path.endswith("/protect"):
                self._make("PUT", f"{run}/protect", {"except": []})
            case (("POST" | "DELETE"), path) if path.startswith("/v1/hooks"):
                self._make("PUT", f"/v1/hooks/{self.name}", self._hook())
                if "deliveries" in path:
                    self._make("POST", f"{run}/revisions", HALVE)
                    self.number = str(self._delivery()["number"])

    def _meant(self) -> dict[str, str]:
        return {"selector": f"trial={self.name}"}

    def _hook(self) -> dict[str, Any]:
        """Return a hook that nobody hears, of this run alone."""
        return {"url": "http://127.0.0.1:1024/", "events": ["revised"], **self._meant()}

    def _delivery(self) -> Any:
        """Return the message of the run's change, once it is made."""
        path = f"/v1/hooks/{self.name}/deliveries"
        while not (items := self.admin.get(path).raise_for_status().json()["items"]):
            pass
        return items[0]

    def send(self, role: str, **headers: str) -> httpx.Response:
        """Send the operation as a role."""
        method, path = self.operation.replace("{number}", self.number).split()
        path = re.sub(r"\{\w+\}", self.name, path)
        body = self._body()
        sent = {} if body is None else {"json": body}
        return self.clients[role].request(method, path, headers=headers, **sent)

    def _body(self) -> Any:
        """Return a body with which the operation changes something; None: it takes none."""
        new = {"name": f"{self.name}-new"}
        bodies: dict[str, Any] = {
            "POST /v1/runs": {**self.spec, **new},
            "PUT /v1/runs/{run}": {**self.spec, "parameters": {"lr": 1.0}},
            "POST /v1/runs/import": {"export": EXPORT, **new},
            "POST /v1/runs/{run}/join": {"start": 512},
            "POST /v1/runs/{run}/revisions": HALVE,
            "POST /v1/runs/{run}/rewind": {"to": 32},
            "POST /v1/runs/{run}/total": {"total": 2048},
            "POST /v1/runs/{run}/advance": {"to": 64},
            "POST /v1/runs/{run}/signals": {"signal": "checkpoint"},
            "POST /v1/runs/{run}/notes": {"text": "seen"},
            "POST /v1/runs/{run}/proposals": {"kind": "change", "body": HALVE},
            "PUT /v1/runs/{run}/controllers/{name}": PLATEAU,
            "PUT /v1/schedules/{name}": {"definition": LINE},
            "POST /v1/tokens": {**new, "role": "viewer"},
            "POST /v1/revisions": {**HALVE, **self._meant(), "plan": self.plan},
            "PUT /v1/runs/{run}/protect": {"except": ["stop"]},
            "PUT /v1/hooks/{name}": self._hook(),
            "POST /v1/purge": {
                "what": "runs",
                "older_than": "0h",
                "selector": f"trial={self.name}",
            },
        }
        return bodies.get(self.operation, {} if self.operation.startswith("POST") else None)


def rows(http: httpx.Client, after: int = 0, **params: Any) -> list[Any]:
    """Return the rows of the audit past a number, the oldest first."""
    params = {"limit": 1000, "order": "oldest", **params}
    items = http.get("/v1/audit", params=params).raise_for_status().json()["items"]
    return [item for item in items if item["number"] > after]


def newest(http: httpx.Client) -> int:
    """Return the number of the newest row."""
    items = http.get("/v1/audit", params={"limit": 1}).raise_for_status().json()["items"]
    return int(items[0]["number"])


def test_every_route_says_what_it_is_in_the_audit() -> None:
    """A route that may change something and is not in the audit is one of those named here."""
    assert {name for name, action in ACTIONS.items() if action and not action.name} == UNAUDITED
    reads = [route for name, route in ROUTES.items() if name.split()[0] in READS]
    assert not [route for route in reads if action_of(route.endpoint, route.methods)]
    with pytest.raises(TypeError, match="forgotten must say what it is in the audit"):

        @router("x").post("/v1/x")
        @needs(None)
        async def forgotten() -> None: ...


def test_the_manual_has_every_action() -> None:
    """Whoever reads the audit can look up what its words mean."""
    manual = (Path(__file__).parents[2] / "docs" / "backup.md").read_text()
    listed = {word for line in manual.splitlines() for word in re.findall(r"^\| (`.*?) \|", line)}
    words = {word for cell in listed for word in re.findall(r"`([a-z-]+)`", cell)}
    known = {action.name for action in ACTIONS.values() if action and action.name}
    assert known | {"recover", "restore"} <= words


@pytest.mark.parametrize("operation", [each for each in AUDITED if each not in ALONE])
def test_every_write_of_every_role_is_there_once(
    clients: Clients, new_name: Any, operation: str
) -> None:
    """Who is let in leaves one row, and who is not leaves none; a repetition adds nothing."""
    action, needed = ACTIONS[operation], ROUTES[operation].role
    assert action is not None
    for role in ROLES:
        trial = Trial(clients, new_name().replace("_", "-"), operation)
        before = newest(clients["admin"])
        if operation == "PUT /v1/runs/{run}":
            trial.name += "-new"
        answer = trial.send(role, **{"Idempotency-Key": trial.name})
        found = rows(clients["admin"], before)
        if answer.status_code == 403:
            assert ROLES.index(role) < ROLES.index(str(needed))
            assert found == []
            continue
        answer.raise_for_status()
        [row] = found
        assert (row["who"], row["action"], row["address"]) == (role, action.name, "127.0.0.1")
        assert row["request_id"] == answer.headers["x-request-id"]
        assert row["outcome"].keys() >= {*action.told} - {"expires_at", "limit", "what", "count"}
        if OF_A_RUN.search(operation):
            assert (row["run_id"], row["run_name"]) == (trial.id, trial.name)
        elif "runs" in operation:
            assert row["run_name"].startswith(trial.name)
        else:
            assert row["subject"].startswith(trial.name)
        assert "rheo_" not in str(row)
        trial.send(role, **{"Idempotency-Key": trial.name})
        assert len(rows(clients["admin"], before)) == 1 + (operation in EACH_TIME)


def test_signing_in_and_out_is_there(guarded: Guarded, clients: Clients) -> None:
    """Whoever opens the page with a token is known by it; who sends none of ours leaves nothing."""
    before = newest(clients["admin"])
    with guarded.client(None) as http:
        own = {"sec-fetch-site": "same-origin", "content-type": "application/json"}
        http.headers.update(own)
        http.delete("/v1/session")
        assert http.post("/v1/session", json={"token": "rheo_" + "0" * 40}).status_code == 401
        http.post("/v1/session", json={"token": guarded.secrets["viewer"]}).raise_for_status()
        http.delete("/v1/session").raise_for_status()
        http.delete("/v1/session")
    found = rows(clients["admin"], before)
    assert [(row["action"], row["who"]) for row in found] == [
        ("sign-in", "viewer"),
        ("sign-out", "viewer"),
    ]


def test_reading_and_training_leave_nothing(clients: Clients, new_name: Any) -> None:
    """Reads of every route, and all that a worker sends while it trains, are nobody's deeds."""
    name = new_name()
    trial = Trial(clients, name, "")
    worker, run = clients["worker"], f"/v1/runs/{trial.id}"
    signal = worker.post(f"{run}/signals", json={"signal": "checkpoint"})
    assert signal.status_code == 403
    clients["admin"].post(f"{run}/signals", json={"signal": "checkpoint"}).raise_for_status()
    clients["admin"].put(f"/v1/schedules/{name}", json={"definition": LINE}).raise_for_status()
    before = newest(clients["admin"])

    worker.put(f"/v1/runs/{name}", json=trial.spec).raise_for_status()
    joined = worker.post(f"{run}/join", json={}).raise_for_status().json()
    block = {"generation": joined["generation"], "start": 0, "count": 8}
    worker.get(f"{run}/values", params=block).raise_for_status()
    of = {"generation": joined["generation"]}
    report = {"step": 4, "metrics": {"loss": 1.0}}
    worker.post(f"{run}/reports", json={**of, "reports": [report]}).raise_for_status()
    beat = {"worker": "0", "session": "9f2c41d08a6b", "step": 4}
    worker.post(f"{run}/beats", json={**of, "workers": [beat]}).raise_for_status()
    saved = {**of, "step": 4, "tag": "a", "source": "rank-0"}
    worker.post(f"{run}/checkpoints", json=saved).raise_for_status()
    came = {**of, "revision": 2, "source": "rank-0", "outcome": "done", "step": 4}
    worker.post(f"{run}/outcomes", json=came).raise_for_status()
    clients["admin"].post(f"{run}/revisions", json=HALVE, params={"dry_run": True})
    for operation in ROUTES:
        method, path = re.sub(r"\{\w+:?\w*\}", name, operation).split()
        if method == "GET" and not path.endswith("/events"):
            clients["admin"].get(path.replace(f"/values/{name}", "/values/3"))
    assert rows(clients["admin"], before) == []


def test_the_audit_is_searched(clients: Clients, new_name: Any) -> None:
    """By run, though it was deleted; by who, action and time; and in pages without gaps."""
    admin, name = clients["admin"], new_name()
    trial = Trial(clients, name, "")
    for role in ("operator", "admin"):
        clients[role].post(f"/v1/runs/{name}/revisions", json=HALVE).raise_for_status()
    clients["operator"].delete(f"/v1/runs/{name}").raise_for_status()

    mine = rows(admin, run=name)
    assert [(row["who"], row["action"]) for row in mine] == [
        ("admin", "create"),
        ("operator", "change"),
        ("admin", "change"),
        ("operator", "delete"),
    ]
    assert [row["outcome"].get("revision") for row in mine] == [None, 2, 3, None]
    assert rows(admin, run=trial.id) == mine
    assert rows(admin, run=name, who="operator") == [mine[1], mine[3]]
    assert rows(admin, run=name, action=["create", "delete"]) == [mine[0], mine[3]]
    assert rows(admin, run=name, since=mine[2]["at"]) == mine[2:]
    assert rows(admin, run=name, until=mine[2]["at"]) == mine[:2]
    for order, expected in (("oldest", mine), ("newest", mine[::-1])):
        paged: list[Any] = []
        params: dict[str, Any] | None = {"run": name, "order": order, "limit": 3}
        while params is not None:
            page = admin.get("/v1/audit", params=params).raise_for_status().json()
            paged += page["items"]
            params = page["next"] and {**params, "cursor": page["next"]}
        assert paged == expected


@pytest.mark.parametrize(
    "wrong",
    [
        {"since": "yesterday"},
        {"until": "2026-01-01T00:00:00"},
        {"since": "9999-12-31T23:59:59-23:59"},
        {"order": "best"},
        {"cursor": "x"},
        {"action": "a" * 33},
    ],
)
def test_what_cannot_be_searched_for_is_refused(
    clients: Clients, problem: Any, wrong: dict[str, str]
) -> None:
    """P10: a filter that means nothing is refused by its name."""
    refused = problem(clients["admin"].get("/v1/audit", params=wrong), "invalid")
    assert refused["errors"][0]["field"].startswith(next(iter(wrong)))
