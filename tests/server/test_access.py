"""Who may do what: every route with every role, tokens of every kind, and where none are needed."""

from __future__ import annotations

import asyncio
import re
import time
from typing import Any, get_args

import httpx
import pytest
from fastapi.testclient import TestClient
from starlette.requests import Request
from tests.conftest import open_tokens
from tests.server.conftest import refused_in_the_end

from rheostat import wire
from rheostat.errors import Unauthenticated
from rheostat.server.app import create_app
from rheostat.server.http import access
from rheostat.server.http.access import Authenticator
from rheostat.server.http.route import StrictRoute, router
from rheostat.server.settings import Settings
from rheostat.server.store.opening import open_store
from rheostat.server.store.store import Store

CHECKED_BY = ("HEAD", "OPTIONS")
ROLES = ("viewer", "proposer", "worker", "operator", "admin")
UNTOLD = {
    **{f"{method} {path}": None for path in ("/livez", "/readyz", "/") for method in CHECKED_BY},
    "GET /docs": None,
    "GET /docs/{file}": None,
    "GET /new": None,
    "GET /runs": None,
    "GET /runs/{rest:path}": None,
    "GET /static/{digest}/{file:path}": None,
}
"""What the document does not tell of: load balancers' own methods, and its own pages."""
NEEDED = {
    "GET /": None,
    "GET /livez": None,
    "GET /readyz": None,
    "GET /metrics": "viewer",
    "GET /v1/access": "viewer",
    "POST /v1/evaluate": "viewer",
    "POST /v1/convert": "viewer",
    "POST /v1/control/simulate": "viewer",
    "GET /v1/controllers": "viewer",
    "GET /v1/kinds": "viewer",
    "GET /v1/kinds/{kind}": "viewer",
    "GET /v1/schedules": "viewer",
    "GET /v1/schedules/{name}": "viewer",
    "PUT /v1/schedules/{name}": "operator",
    "DELETE /v1/schedules/{name}": "operator",
    "GET /v1/schedules/{name}/values": "viewer",
    "GET /v1/schedules/{name}/values/{step}": "viewer",
    "GET /v1/runs": "viewer",
    "POST /v1/runs": "operator",
    "PUT /v1/runs/{run}": "worker",
    "POST /v1/runs/import": "operator",
    "POST /v1/local/attached": "worker",
    "GET /v1/runs/{run}": "viewer",
    "DELETE /v1/runs/{run}": "operator",
    "POST /v1/runs/{run}/join": "worker",
    "POST /v1/runs/{run}/finish": "operator",
    "GET /v1/runs/{run}/values": "viewer",
    "GET /v1/runs/{run}/values/{step}": "viewer",
    "GET /v1/runs/{run}/plan": "viewer",
    "GET /v1/runs/{run}/explain": "viewer",
    "GET /v1/runs/{run}/ledger": "viewer",
    "GET /v1/runs/{run}/events": "viewer",
    "GET /v1/runs/{run}/brief": "viewer",
    "GET /v1/runs/{run}/wait": "viewer",
    "GET /v1/runs/{run}/allowances": "viewer",
    "GET /v1/runs/{run}/revisions": "viewer",
    "POST /v1/runs/{run}/revisions": "operator",
    "GET /v1/runs/{run}/revisions/{number}": "viewer",
    "DELETE /v1/runs/{run}/revisions/{number}": "operator",
    "POST /v1/runs/{run}/rewind": "operator",
    "PUT /v1/runs/{run}/protect": "admin",
    "DELETE /v1/runs/{run}/protect": "admin",
    "POST /v1/revisions": "operator",
    "POST /v1/runs/{run}/total": "operator",
    "POST /v1/runs/{run}/stop": "operator",
    "POST /v1/runs/{run}/pause": "operator",
    "POST /v1/runs/{run}/resume": "operator",
    "POST /v1/runs/{run}/signals": "operator",
    "GET /v1/runs/{run}/surface": "viewer",
    "POST /v1/runs/{run}/advance": "operator",
    "GET /v1/runs/{run}/revisions/{number}/outcomes": "viewer",
    "POST /v1/runs/{run}/outcomes": "worker",
    "GET /v1/runs/{run}/workers": "viewer",
    "GET /v1/runs/{run}/mismatches": "viewer",
    "POST /v1/runs/{run}/beats": "worker",
    "GET /v1/runs/{run}/checkpoints": "viewer",
    "POST /v1/runs/{run}/checkpoints": "worker",
    "POST /v1/runs/{run}/notes": "worker",
    "GET /v1/runs/{run}/proposals": "viewer",
    "POST /v1/runs/{run}/proposals": "proposer",
    "GET /v1/runs/{run}/proposals/{number}": "viewer",
    "POST /v1/runs/{run}/proposals/{number}/accept": "operator",
    "POST /v1/runs/{run}/proposals/{number}/decline": "operator",
    "POST /v1/runs/{run}/reports": "worker",
    "GET /v1/runs/{run}/reports": "viewer",
    "GET /v1/runs/{run}/controllers": "viewer",
    "GET /v1/runs/{run}/controllers/{name}": "viewer",
    "PUT /v1/runs/{run}/controllers/{name}": "operator",
    "DELETE /v1/runs/{run}/controllers/{name}": "operator",
    "GET /v1/runs/{run}/controllers/{name}/decisions": "viewer",
    "POST /v1/runs/{run}/controllers/{name}/reset": "operator",
    "GET /v1/session": None,
    "POST /v1/session": None,
    "DELETE /v1/session": None,
    "GET /v1/audit": "admin",
    "POST /v1/purge": "admin",
    "GET /v1/tokens": "admin",
    "POST /v1/tokens": "admin",
    "DELETE /v1/tokens/{name}": "admin",
    "GET /v1/hooks": "admin",
    "GET /v1/hooks/{name}": "admin",
    "PUT /v1/hooks/{name}": "admin",
    "DELETE /v1/hooks/{name}": "admin",
    "POST /v1/hooks/{name}/test": "admin",
    "GET /v1/hooks/{name}/deliveries": "admin",
    "POST /v1/hooks/{name}/deliveries/{number}/retry": "admin",
}
"""The contract: the least role that each route needs."""

REHEARSED = {
    "POST /v1/runs/{run}/revisions": "viewer",
    "POST /v1/runs/{run}/total": "viewer",
    "POST /v1/runs/{run}/rewind": "viewer",
}
"""The contract: the least role where a request with `dry_run` changes nothing."""

SIGN_IN = "POST /v1/session"
"""It takes a token in its body, and only from the page: see test_session.py."""

DOCUMENTS = {"/openapi.json"}
UNKNOWN = "rheo_" + "0" * 40
SPEC = {"parameters": {"lr": {"kind": "constant", "value": 0.5}}}
FIRST = {"generation": 1, "start": 0, "count": 4}
HALVE = {"changes": {"lr": {"edit": "scale", "factor": 0.5}}}


def operations(app: Any) -> dict[str, Any]:
    """Return the routes of an application that ask for roles."""
    routes = [route for route in app.routes if isinstance(route, StrictRoute)]
    return {f"{method} {route.path}": route for route in routes for method in route.methods or ()}


def call(operation: str) -> tuple[str, str]:
    """Return the method, and a path without a subject."""
    places = {"step": "1", "number": "1", "kind": "cosine"}
    path = re.sub(r"{(\w+)}", lambda match: places.get(match[1], "nobody"), operation)
    method, path = path.split()
    return method, path


def test_every_route_has_the_role_of_the_contract() -> None:
    """No route is without a role, but for the documents and what the contract opens."""
    app = create_app(Settings.model_construct(auth=True))
    assert {name: route.role for name, route in operations(app).items()} == NEEDED | UNTOLD
    others = {route.path for route in app.routes if not isinstance(route, StrictRoute)}  # type: ignore[attr-defined]
    assert others == DOCUMENTS


def test_a_route_must_say_who_may_call_it() -> None:
    """A route whose role was forgotten does not come into being."""
    with pytest.raises(TypeError, match=r"forgotten must say .* @needs"):

        @router("x").get("/v1/x")
        async def forgotten() -> None: ...


@pytest.mark.parametrize("operation", [each for each in NEEDED if each != SIGN_IN])
def test_every_route_with_every_role(guarded: Any, problem: Any, operation: str) -> None:
    """P10: a route lets in the role that it needs and those above it, and nobody else."""
    needed, (method, path) = NEEDED[operation], call(operation)
    nobody = guarded.ask(None, method, path)
    if needed is not None:
        problem(nobody, "unauthenticated")
        assert nobody.headers["www-authenticate"] == "Bearer"
    for role in ROLES:
        answer = guarded.ask(role, method, path)
        if needed is not None and ROLES.index(role) < ROLES.index(needed):
            assert problem(answer, "forbidden")["role"] == needed
        else:
            assert answer.status_code not in {401, 403}, answer.text


def test_every_rehearsal_has_the_role_of_the_contract() -> None:
    """What changes nothing asks for less, on these routes and on no other one."""
    routes = operations(create_app(Settings.model_construct(auth=True)))
    asked = Request({"type": "http", "query_string": b"dry_run=true", "headers": []})
    found = {name: access.role_for(asked, route.endpoint) for name, route in routes.items()}
    assert found == NEEDED | UNTOLD | REHEARSED


@pytest.mark.parametrize("operation", REHEARSED)
def test_every_rehearsal_with_every_role(guarded: Any, problem: Any, operation: str) -> None:
    """P10: with `dry_run` a route lets in whom it lets in, and without it as few as ever."""
    method, path = call(operation)
    for role in ROLES:
        for said in ("true", "1", "false", "yes"):
            answer = guarded.ask(role, method, path, params={"dry_run": said})
            needed = (REHEARSED if said in {"true", "1"} else NEEDED)[operation]
            if ROLES.index(role) < ROLES.index(str(needed)):
                assert problem(answer, "forbidden")["role"] == needed
            else:
                assert answer.status_code not in {401, 403}, answer.text


def test_documents_need_no_token(guarded: Any) -> None:
    """What the service looks like is no secret."""
    assert {guarded.ask(None, "GET", path).status_code for path in DOCUMENTS | {"/docs"}} == {200}


def test_the_document_names_the_role_of_each_route() -> None:
    """OpenAPI says which role an operation needs, and that without a token it answers 401."""
    document = create_app(Settings.model_construct(auth=True)).openapi()
    described = {
        f"{method.upper()} {path}": operation
        for path, item in document["paths"].items()
        for method, operation in item.items()
    }
    assert described.keys() == NEEDED.keys()
    for name, operation in described.items():
        needed = NEEDED[name]
        assert operation.get("security") == (needed and [{"token": [needed]}])
        refuses = needed is not None or name == SIGN_IN
        assert ({"401", "403"} <= operation["responses"].keys()) == refuses
    assert document["components"]["securitySchemes"]["token"]["scheme"] == "bearer"


def test_a_server_without_tokens_documents_none() -> None:
    """The document is true of the server that serves it."""
    assert "security" not in str(create_app(Settings.model_construct()).openapi())


@pytest.mark.parametrize(
    "sent",
    [
        [],
        ["Bearer"],
        ["Bearer\t{good}"],
        ["Basic YW5uOnNlY3JldA=="],
        ["{good}"],
        ["Token {good}"],
        ["Bearer {good}x"],
        ["Bearer x{good}"],
        ["Bearer {good}, Bearer {good}"],
        ["Bearer {good}", "Bearer {good}"],
        [f"Bearer {UNKNOWN}"],
        ["Bearer rheo_" + "é" * 40],
        ["Bearer " + "a" * 10_000],
    ],
)
def test_what_is_no_token_is_refused(guarded: Any, problem: Any, sent: list[str]) -> None:
    """P10: a token that is missing, misspelt, doubled or unknown gets a 401, never a 500."""
    texts = [text.replace("{good}", guarded.secrets["admin"]) for text in sent]
    headers = [(b"Authorization", text.encode()) for text in texts]
    with guarded.client(None) as http:
        answer = http.get("/v1/runs", headers=headers)
    problem(answer, "unauthenticated")
    assert guarded.secrets["admin"] not in answer.text


def test_the_scheme_may_be_written_as_one_likes(guarded: Any) -> None:
    """`bearer` is not case-sensitive (RFC 9110)."""
    headers = {"Authorization": f"bEARER  {guarded.secrets['viewer']}"}
    with guarded.client(None) as http:
        assert http.get("/v1/runs", headers=headers).status_code == 200


def test_a_token_is_shown_once(guarded: Any, new_name: Any) -> None:
    """The answer that makes a token has its secret; no other answer has it, or its hash."""
    name = new_name()
    made = guarded.ask("admin", "POST", "/v1/tokens", json={"name": name, "role": "worker"})
    assert (made.status_code, made.headers["cache-control"]) == (201, "no-store")
    secret = made.json()["token"]
    with guarded.client(secret) as http:
        assert http.get("/v1/access").json() == {
            "name": name,
            "role": "worker",
            "runs": None,
            "limit": None,
            "may": ["propose", "note"],
        }
    listed = guarded.ask("admin", "GET", "/v1/tokens", params={"limit": 1000})
    (item,) = [item for item in listed.json()["items"] if item["name"] == name]
    assert (item["role"], item["created_by"], item["expires_at"]) == ("worker", "admin", None)
    assert item.keys() == made.json().keys() - {"token"}
    assert secret not in listed.text


def test_tokens_are_paged(guarded: Any) -> None:
    """Pages of one list the same tokens as one page, oldest first."""
    whole = guarded.ask("admin", "GET", "/v1/tokens", params={"limit": len(ROLES)}).json()["items"]
    cursor, found = None, []
    for _ in ROLES:
        params = {"limit": 1} | ({"cursor": cursor} if cursor else {})
        page = guarded.ask("admin", "GET", "/v1/tokens", params=params).json()
        found += page["items"]
        cursor = page["next"]
    assert found == whole
    assert [item["name"] for item in found] == list(ROLES)


def test_a_key_does_not_keep_the_secret(guarded: Any, problem: Any, new_name: Any) -> None:
    """A request that is sent again with its `Idempotency-Key` makes no second token."""
    body = {"name": new_name(), "role": "viewer"}
    headers = {"Idempotency-Key": "again"}
    for code in (None, "name-taken"):
        answer = guarded.ask("admin", "POST", "/v1/tokens", json=body, headers=headers)
        assert (answer.status_code == 201) == (code is None)
    problem(answer, "name-taken")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", ""),
        ("name", "-x"),
        ("name", "a b"),
        ("name", "x" * 129),
        ("name", None),
        ("role", "root"),
        ("role", "Admin"),
        ("role", 3),
        ("expires_at", "tomorrow"),
        ("expires_at", "2001-01-01T00:00:00Z"),
        ("expires_at", "2999-01-01T00:00:00"),
        ("expires_at", "9999-12-31T23:59:59-12:00"),
        ("expires_at", 4102444800),
        ("expires_at", "x" * 65),
        ("hash", "0" * 64),
    ],
)
def test_wrong_tokens_are_refused(guarded: Any, problem: Any, field: str, value: Any) -> None:
    """P10: what is wrong with a wanted token is named with its value and its bound."""
    body = {"name": "x", "role": "viewer", field: value}
    answer = guarded.ask("admin", "POST", "/v1/tokens", json=body)
    (error,) = problem(answer, "invalid")["errors"]
    assert error["field"] == field
    assert error["bound"]


def test_a_revoked_token_is_refused_within_seconds(
    guarded: Any, problem: Any, new_name: Any
) -> None:
    """What a process has just accepted it soon refuses, and says why."""
    name = new_name()
    made = guarded.ask("admin", "POST", "/v1/tokens", json={"name": name, "role": "viewer"})
    with guarded.client(made.json()["token"]) as http:
        assert http.get("/v1/runs").status_code == 200
        revoked = guarded.ask("admin", "DELETE", f"/v1/tokens/{name}")
        assert (revoked.status_code, revoked.content) == (204, b"")
        answer = refused_in_the_end(http)
    assert f"the token {name} was revoked" in problem(answer, "unauthenticated")["detail"]
    problem(guarded.ask("admin", "DELETE", f"/v1/tokens/{name}"), "unknown-token")


def test_a_token_expires(guarded: Any, problem: Any, new_name: Any) -> None:
    """A token ceases to work at its time, whatever a process remembers of it."""
    soon = time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime(time.time() + 2))
    body = {"name": new_name(), "role": "viewer", "expires_at": soon}
    made = guarded.ask("admin", "POST", "/v1/tokens", json=body)
    with guarded.client(made.json()["token"]) as http:
        answer = refused_in_the_end(http)
    assert "expired at" in problem(answer, "unauthenticated")["detail"]


def test_access_is_what_a_cache_in_front_asks(guarded: Any, problem: Any) -> None:
    """`/v1/access` says yes or no for a role, for a proxy that answers from its cache."""
    assert guarded.ask("worker", "GET", "/v1/access?role=worker").status_code == 200
    answer = guarded.ask("viewer", "GET", "/v1/access?role=worker")
    assert problem(answer, "forbidden")["role"] == "worker"
    problem(guarded.ask(None, "GET", "/v1/access?role=worker"), "unauthenticated")
    problem(guarded.ask("admin", "GET", "/v1/access?role=root"), "invalid")


@pytest.fixture
def run(guarded: Any, new_name: Any) -> str:
    """Return the id of a new run on the guarded server."""
    return str(guarded.ask("worker", "PUT", f"/v1/runs/{new_name()}", json=SPEC).json()["id"])


def settled(guarded: Any, run: str) -> int:
    """Return how far a run is settled."""
    return int(guarded.ask("viewer", "GET", f"/v1/runs/{run}").json()["settled_until"])


def test_only_workers_settle(guarded: Any, run: str) -> None:
    """A viewer's read by id and generation is a preview, before and after a worker's."""
    path = f"/v1/runs/{run}/values"
    first = guarded.ask("viewer", "GET", path, params=FIRST)
    assert (first.headers["cache-control"], first.json()["final"]) == ("no-store", [False] * 4)
    assert settled(guarded, run) == 0
    handed = guarded.ask("worker", "GET", path, params=FIRST)
    assert "immutable" in handed.headers["cache-control"]
    assert settled(guarded, run) == 4
    last = guarded.ask("viewer", "GET", path, params=FIRST)
    assert (last.headers["cache-control"], last.json()["final"]) == ("no-store", [True] * 4)


def test_a_settled_block_in_memory_needs_a_token_too(guarded: Any, problem: Any, run: str) -> None:
    """What a process knows to be settled it gives to workers, and not to whoever asks."""
    path = f"/v1/runs/{run}/values"
    for _ in range(2):
        assert guarded.ask("worker", "GET", path, params=FIRST).status_code == 200
    problem(guarded.ask(None, "GET", path, params=FIRST), "unauthenticated")


def test_the_author_is_the_name_of_the_token(guarded: Any, run: str) -> None:
    """Who signs with a token signs with its name; a header cannot claim another one."""
    headers = {"Rheostat-Author": "somebody else"}
    changed = guarded.ask(
        "operator", "POST", f"/v1/runs/{run}/revisions", json=HALVE, headers=headers
    )
    assert changed.status_code == 201
    history = guarded.ask("viewer", "GET", f"/v1/runs/{run}/revisions").json()["items"]
    assert [item["author"] for item in history] == ["worker", "operator"]
    body = {"definition": SPEC["parameters"]["lr"]}
    kept = guarded.ask("admin", "PUT", f"/v1/schedules/{run}", json=body, headers=headers)
    assert kept.json()["author"] == "admin"


def test_nothing_is_read_of_a_request_without_a_token(guarded: Any, problem: Any) -> None:
    """P10: whoever has no token learns nothing of what is wrong with the rest."""
    answer = guarded.ask(None, "POST", "/v1/runs?unknown=1", content=b"{not json")
    problem(answer, "unauthenticated")


def test_loopback_needs_no_token(http: httpx.Client, problem: Any) -> None:
    """On loopback everybody is an operator by default, and nobody can make tokens."""
    told = http.get("/v1/access").json()
    assert told.pop("may") == ["propose", "note", *get_args(wire.ProposalKind)]
    assert told == {"name": None, "role": "operator", "runs": None, "limit": None}
    answer = http.post("/v1/tokens", json={"name": "x", "role": "admin"})
    assert "--database" in problem(answer, "forbidden")["detail"]


@pytest.mark.parametrize(
    ("host", "given", "required"),
    [
        ("127.0.0.1", {}, False),
        ("localhost", {}, False),
        ("::1", {}, False),
        ("127.0.0.1", {"auth": True}, True),
        ("0.0.0.0", {}, True),  # noqa: S104 - nobody listens
        ("192.168.1.2", {}, True),
        ("gpu-box", {}, True),
        ("0.0.0.0", {"no_auth": True}, False),  # noqa: S104
    ],
)
def test_when_tokens_are_required(host: str, given: Any, *, required: bool) -> None:
    """By default beyond loopback, on demand on loopback; `no_auth` switches them off."""
    assert Settings(host=host, **given).tokens_required is required


class CountingStore(Store):
    """A store that counts what is read from it."""

    reads = 0

    async def quick_read(self, *args: Any, **kwargs: Any) -> Any:
        """Read, and count."""
        self.reads += 1
        return await super().quick_read(*args, **kwargs)


@pytest.fixture
def counted(tmp_path: Any) -> Any:
    """Return a store that counts, and the scope of a request with a good token."""
    database = f"sqlite:///{tmp_path / 'x.db'}"
    with open_tokens(database) as tokens:
        secret = tokens.create("ann", "worker")["token"]
    store = CountingStore(database, Settings.model_construct().limits)
    store.start()
    yield store, {"headers": [(b"authorization", f"Bearer {secret}".encode())]}
    store.close()


def test_many_requests_are_one_question(counted: Any) -> None:
    """A fleet that asks at once with one token asks the database once, and then for a while not."""
    store, scope = counted
    asked = Authenticator(store)

    async def fleet() -> set[str | None]:
        callers = await asyncio.gather(*(asked.caller(scope) for _ in range(100)))
        return {caller.name for caller in callers}

    assert asyncio.run(fleet()) == {"ann"}
    assert asyncio.run(fleet()) == {"ann"}
    assert store.reads == 1


def test_what_was_found_is_believed_for_seconds(
    counted: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After its time the database is asked again; a token that is not known is never remembered."""
    store, scope = counted
    monkeypatch.setattr(access, "TRUSTED", 0.0)
    asked = Authenticator(store)
    for reads in (1, 2):
        asyncio.run(asked.caller(scope))
        assert store.reads == reads
    unknown = {"headers": [(b"authorization", f"Bearer {UNKNOWN}".encode())]}
    monkeypatch.setattr(access, "TRUSTED", 1e9)
    for _ in range(2):
        with pytest.raises(Unauthenticated):
            asyncio.run(asked.caller(unknown))
    assert store.reads == 4


def test_memory_is_bounded(counted: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """P10: a process remembers no more tokens than its limit."""
    store, scope = counted
    monkeypatch.setattr(access, "MOST", 1)
    with open_tokens(store._database.url.render_as_string()) as tokens:
        secret = tokens.create("bob", "worker")["token"]
    asked = Authenticator(store)
    asyncio.run(asked.caller(scope))
    asyncio.run(asked.caller({"headers": [(b"authorization", f"Bearer {secret}".encode())]}))
    assert len(asked._known) == 1


def test_without_its_database_a_server_believes_nobody_new(tmp_path: Any, problem: Any) -> None:
    """P9: who cannot be looked up is told to try again, not that the token is wrong."""
    settings = Settings(database=f"sqlite:///{tmp_path / 'x.db'}", auth=True)
    away = Store("postgresql://nobody@127.0.0.1:9/none", settings.limits)
    app = create_app(settings)
    with TestClient(app, base_url="http://127.0.0.1") as client:
        app.state.access = Authenticator(away)
        answer = client.get("/v1/runs", headers={"Authorization": f"Bearer {UNKNOWN}"})
        problem(answer, "unavailable")


def test_secrets_are_not_in_the_database(tmp_path: Any) -> None:
    """What somebody finds who reads the database's files opens no door."""
    database = f"sqlite:///{tmp_path / 'x.db'}"
    with open_tokens(database) as tokens:
        secret = tokens.create("ann", "admin")["token"]
        files = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert secret.encode() not in files
    assert secret.removeprefix("rheo_").encode() not in files
    assert b"ann" in files


def test_opening_names_what_is_wrong(tmp_path: Any) -> None:
    """A database that is not to be had is one error, which says which one it was."""
    with pytest.raises(Exception, match="cannot open the database sqlite:////nowhere"):
        open_store(Settings(database="sqlite:////nowhere/at/all/x.db"))
