"""Tokens with a selector: which runs they know of, on every route, and that nothing else leaks."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

import httpx
import pytest
from fastapi.testclient import TestClient
from tests.conftest import Guarded, open_tokens
from tests.server.test_access import NEEDED, ROLES

from rheostat.errors import UnknownRun
from rheostat.server.app import create_app
from rheostat.server.http import access, route
from rheostat.server.http.route import StrictRoute
from rheostat.server.settings import Settings

SELECTORS = {"all": None, "within": "team=nlp,!secret", "without": "team in (vision,audio)"}
OF_ALL_RUNS = {"GET /metrics", "PUT /v1/schedules/{name}", "DELETE /v1/schedules/{name}"}
"""The contract: what concerns all runs is not for tokens that know of some."""
MADE_BY_IT = {"PUT /v1/runs/{run}"}
"""It names a run that need not be there."""
SPEC = {"parameters": {"lr": {"kind": "constant", "value": 0.5}}, "labels": {"team": "nlp"}}
EXTRA: dict[str, dict[str, Any]] = {
    "GET /v1/runs/{run}/values": {"start": 0, "count": 2, "generation": 1},
    "GET /v1/runs/{run}/wait": {"until": "end", "timeout": 0},
}
"""What a request needs to be one."""


@dataclass
class Service:
    """A service in this process, with a token of each role and selector."""

    http: TestClient
    secrets: Mapping[tuple[str, str], str]
    ids: dict[str, str] = field(default_factory=dict)

    def ask(self, role: str, scope: str, method: str, path: str, **sent: Any) -> httpx.Response:
        """Send a request with a token."""
        headers = {
            "Authorization": f"Bearer {self.secrets[role, scope]}",
            **sent.pop("headers", {}),
        }
        answer: Any = self.http.request(method, path, headers=headers, **sent)
        return cast("httpx.Response", answer)

    def make(self, name: str, **more: Any) -> str:
        """Make a run, and return its id."""
        made = self.ask("admin", "all", "POST", "/v1/runs", json={"name": name, **SPEC, **more})
        return str(made.raise_for_status().json()["id"])


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Return the service."""
    database = f"sqlite:///{tmp_path_factory.mktemp('scopes') / 'x.db'}"
    secrets = {}
    with open_tokens(database) as tokens:
        for role in ROLES:
            for scope, selector in SELECTORS.items():
                if role != "admin" or selector is None:
                    name = f"{role}-{scope}"
                    secrets[role, scope] = tokens.create(name, role, runs=selector)["token"]
    app = create_app(Settings(database=database, auth=True))
    with TestClient(app, base_url="http://127.0.0.1", raise_server_exceptions=False) as http:
        yield Service(http, secrets)


def routes(http: TestClient) -> dict[str, StrictRoute]:
    """Return the routes of the document, by its names for them."""
    app: Any = http.app
    found = {
        f"{method} {each.path}": each
        for each in app.routes
        if isinstance(each, StrictRoute)
        for method in each.methods or ()
    }
    document = app.openapi()["paths"]
    return {
        f"{method.upper()} {path}": found[f"{method.upper()} {path}"]
        for path, item in document.items()
        for method in item
    }


def example(http: TestClient, operation: str) -> Any:
    """Return a body of the document's, None for a request without."""
    method, path = operation.split()
    app: Any = http.app
    body = app.openapi()["paths"][path][method.lower()].get("requestBody")
    if body is None:
        return None
    content = body["content"]["application/json"]
    return next(iter(content.get("examples", {}).values()), {"value": {}})["value"]


def expected(each: StrictRoute, operation: str, role: str, scope: str) -> str:
    """Return what a token is told: by the role that the route declares, and by its selector."""
    needed = each.role
    if needed is not None and ROLES.index(role) < ROLES.index(needed):
        return "forbidden"
    if scope != "all" and operation in OF_ALL_RUNS:
        return "forbidden"
    if scope == "without" and "{run}" in operation and operation not in MADE_BY_IT:
        return "unknown-run"
    return "in"


def told(answer: httpx.Response) -> str:
    """Return how a request was taken."""
    code = answer.json()["type"].rpartition(":")[2] if answer.status_code in {403, 404} else ""
    return code if code in {"forbidden", "unknown-run"} else "in"


def cells(
    service: Service, scopes: Collection[str] = SELECTORS
) -> Iterator[tuple[str, str, str, str, httpx.Response]]:
    """Yield each cell of the matrix: operation, role, selector, expectation and answer."""
    document = routes(service.http)
    assert document.keys() == NEEDED.keys()
    places = {"name": "nobody", "step": "1", "number": "1", "kind": "cosine"}
    for operation, each in document.items():
        if operation == "POST /v1/session":
            continue
        for role, scope in service.secrets:
            if scope not in scopes:
                continue
            if "target" not in service.ids:
                service.ids["target"] = service.make("target-of-all")
                service.ask("admin", "all", "POST", "/v1/runs/target-of-all/finish", json={})
            filled = {**places, "run": service.ids["target"]}
            method, path = operation.format(**filled).split()
            sent: dict[str, Any] = {"params": EXTRA.get(operation)}
            if (body := example(service.http, operation)) is not None:
                sent["json"] = body
            answer = service.ask(role, scope, method, path, **sent)
            if operation == "DELETE /v1/runs/{run}" and answer.status_code == 204:
                del service.ids["target"]
            yield operation, role, scope, expected(each, operation, role, scope), answer


def test_every_role_and_selector_on_every_route(service: Service) -> None:
    """P10: of roles x selectors x routes no cell is wrong; what a token cannot know is a 404."""
    wrong = []
    for operation, role, scope, wanted, answer in cells(service):
        if told(answer) != wanted:
            wrong.append((operation, role, scope, wanted, answer.status_code, answer.text[:200]))
        elif wanted == "unknown-run":  # nor does it tell anything that was not sent
            assert "target-of-all" not in answer.text
            assert "did you mean" not in answer.text
    assert wrong == []


def test_a_run_is_hidden_by_its_operations_too(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """P10: without the check at the door, each operation on the database says 404 itself."""

    async def open_door(*_: Any) -> None:
        """Let whoever asks in."""

    monkeypatch.setattr(route, "require_known", open_door)
    assert access.require_known is not open_door
    in_memory = {"GET /v1/runs/{run}/values", "GET /v1/access"}
    wrong = [
        (operation, role, scope, wanted, answer.status_code)
        for operation, role, scope, wanted, answer in cells(service, ["without"])
        if told(answer) != wanted
        and operation not in in_memory
        and answer.status_code != 422  # its body was looked at first
    ]
    assert wrong == []


def test_every_route_of_a_run_asks_whether_it_is_known(service: Service) -> None:
    """What names a run says that it may be unknown, which is what the door goes by."""
    named = {operation for operation, each in routes(service.http).items() if "{run}" in operation}
    asked = {
        operation
        for operation, each in routes(service.http).items()
        if UnknownRun in each.refusals() and "{run}" in operation
    }
    assert named - asked == MADE_BY_IT


def test_lists_have_what_a_token_knows(service: Service) -> None:
    """P10: lists and overviews of a token have its runs alone, whatever it asks for."""
    names = {team: f"listed-{team}" for team in ("nlp", "vision")}
    for team, name in names.items():
        service.make(name, labels={"team": team})
    for asked in ({}, {"overview": "true"}, {"selector": "team=nlp"}, {"name": "LISTED-NLP"}):
        for scope, theirs in (("within", "nlp"), ("without", "vision")):
            params = {"prefix": "listed-", **asked}
            page = service.ask("viewer", scope, "GET", "/v1/runs", params=params).json()
            fits = theirs == "nlp" or not asked.keys() & {"selector", "name"}
            assert [each["name"] for each in page["items"]] == ([names[theirs]] if fits else [])


def test_a_misspelt_name_is_not_told(service: Service) -> None:
    """P10: whoever asks for nearly the name of a run is not asked whether that was meant."""
    service.make("spelt-precisely")
    within = service.ask("viewer", "within", "GET", "/v1/runs/spelt-precisley").json()["detail"]
    without = service.ask("viewer", "without", "GET", "/v1/runs/spelt-precisley").json()["detail"]
    assert within.endswith("did you mean spelt-precisely?")
    assert "spelt-precisely" not in without


@pytest.mark.parametrize(
    "labels", [{}, {"team": "vision"}, {"team": "nlp", "secret": ""}], ids=["none", "other", "more"]
)
def test_a_run_carries_what_its_token_asks_for(service: Service, labels: dict[str, str]) -> None:
    """P10: who makes a run would know of it, however it is made; else the label is named."""
    source = service.make(f"source-{len(labels)}-{'secret' in labels}")
    wrong = "labels.secret" if "secret" in labels else "labels.team"
    body = {**SPEC, "labels": labels}
    fork = {"name": "forked", "from": {"run": source}, "labels": labels}
    export = example(service.http, "POST /v1/runs/import")
    export = {"name": "imported", "export": {**export["export"]}}
    export["export"]["run"] = {**export["export"]["run"], "labels": labels}
    for role, method, path, sent in (
        ("worker", "PUT", "/v1/runs/ensured", body),
        ("operator", "POST", "/v1/runs", {"name": "created", **body}),
        ("operator", "POST", "/v1/runs", fork),
        ("operator", "POST", "/v1/runs?dry_run=true", fork),
        ("operator", "POST", "/v1/runs/import", export),
    ):
        answer = service.ask(role, "within", method, path, json=sent)
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, wrong), path
    fitting = {"team": "nlp"}
    assert (
        service.ask(
            "worker",
            "within",
            "PUT",
            f"/v1/runs/fits-{source}"[:60],
            json={**SPEC, "labels": fitting},
        ).status_code
        == 201
    )


def test_a_name_that_is_taken_tells_nothing_else(service: Service) -> None:
    """P10: names are unique, so it is told that one is taken; not whose, nor how it differs."""
    run = service.make("taken-by-others")
    other = {"parameters": {"lr": 7}, "labels": {"team": "vision"}}
    for role, method, path, sent in (
        ("worker", "PUT", "/v1/runs/taken-by-others", other),
        ("operator", "POST", "/v1/runs", {"name": "taken-by-others", **other}),
    ):
        answer = service.ask(role, "without", method, path, json=sent)
        problem = answer.json()
        assert (answer.status_code, problem["type"][-10:]) == (409, "name-taken")
        assert problem.keys() == {"type", "title", "status", "detail", "request_id"}
        assert run not in answer.text


def test_a_fork_of_what_is_not_known_is_refused(service: Service) -> None:
    """P10: a fork's source is a run like any other: outside of the token it is not there."""
    run = service.make("source-unseen")
    for source in (run, "source-unseen"):
        body = {"name": "stolen", "from": {"run": source}, "labels": {"team": "vision"}}
        for path in ("/v1/runs", "/v1/runs?dry_run=true"):
            answer = service.ask("operator", "without", "POST", path, json=body)
            assert answer.json()["detail"] == f"there is no run {source!r}"


def test_a_settled_block_in_memory_is_its_runs(service: Service) -> None:
    """P10: what a process has in memory of a run it gives to no token that does not know of it."""
    run = service.make("in-memory")
    path, params = f"/v1/runs/{run}/values", {"generation": 1, "start": 0, "count": 4}
    statuses = [
        service.ask("worker", scope, "GET", path, params=params).status_code
        for scope in ("all", "without", "within", "without", "within")
    ]
    assert statuses == [200, 404, 200, 404, 200]


def test_a_key_is_its_tokens(service: Service) -> None:
    """P10: what was answered under a key is told to nobody who knows of other runs."""
    run = service.make("keyed")
    body = {"changes": {"lr": {"edit": "scale", "factor": 0.5}}}
    path, headers = f"/v1/runs/{run}/revisions", {"Idempotency-Key": "same"}
    made = service.ask("operator", "within", "POST", path, json=body, headers=headers)
    again = service.ask("operator", "within", "POST", path, json=body, headers=headers)
    assert (made.status_code, again.json()) == (201, made.json())
    other = service.ask("operator", "without", "POST", path, json=body, headers=headers)
    assert other.status_code == 404


def test_a_cache_in_front_asks_about_the_run(service: Service) -> None:
    """P10: a cache's question names the run, and a yes is for that one alone."""
    run = service.make("cached")
    for scope, status in (("all", 200), ("within", 200), ("without", 403)):
        asked = {"role": "worker", "run": run}
        assert service.ask("worker", scope, "GET", "/v1/access", params=asked).status_code == status
    nowhere = {"role": "worker", "run": "-"}
    assert service.ask("worker", "within", "GET", "/v1/access", params=nowhere).status_code == 403


@pytest.mark.parametrize(
    ("role", "runs"),
    [("admin", "team=nlp"), ("worker", ""), ("worker", "team=="), ("worker", "a" * 5000)],
)
def test_wrong_selectors_of_tokens_are_refused(service: Service, role: str, runs: str) -> None:
    """P10: an admin knows of all runs, and a selector asks for something, or is left out."""
    body = {"name": "wrong", "role": role, "runs": runs}
    answer = service.ask("admin", "all", "POST", "/v1/tokens", json=body)
    if runs == "team==":  # a label that says nothing
        assert answer.json()["runs"] == 'team=""'
        return
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "runs")


def test_who_signs_in_knows_what_their_token_knows(service: Service) -> None:
    """P10: a session of the page is for the runs of its token, and says which these are."""
    run = service.make("seen-in-a-browser")
    page = {"sec-fetch-site": "same-origin"}
    for scope, status in (("within", 200), ("without", 404)):
        body = {"token": service.secrets["operator", scope]}
        begun = service.http.post("/v1/session", json=body, headers=page)
        assert begun.json()["runs"] == SELECTORS[scope].replace("(vision,audio)", "(audio,vision)")  # type: ignore[union-attr]
        assert service.http.get(f"/v1/runs/{run}").status_code == status
        service.http.cookies.clear()


def test_the_fast_lane_knows_who_knows_of_what(guarded: Guarded, new_name: Any) -> None:
    """P10: what is answered before the application is answered to tokens that know of the run."""
    secrets = {}
    for team in (new_name(), new_name()):
        body = {"name": team, "role": "worker", "runs": f"team={team}"}
        secrets[team] = guarded.ask("admin", "POST", "/v1/tokens", json=body).json()["token"]
    (ours, mine), (_, theirs) = secrets.items()
    made = guarded.ask("admin", "PUT", f"/v1/runs/{ours}", json={**SPEC, "labels": {"team": ours}})
    path = f"/v1/runs/{made.json()['id']}/values?generation=1&start=0&count=4"
    with guarded.client(mine) as inside, guarded.client(theirs) as outside:
        for _ in range(4):
            assert inside.get(path).status_code == 200
            assert outside.get(path).status_code == 404
