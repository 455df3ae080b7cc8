"""What the service answers is what `rheostat.wire` says: every route, field and example."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import httpx
import jsonschema_rs
import orjson
import pytest
from fastapi import Body

from rheostat.errors import Invalid, Malformed, TooLarge, UnknownRun, refusals
from rheostat.server.documents import openapi
from rheostat.server.http.access import needs
from rheostat.server.http.auditing import unaudited
from rheostat.server.http.requests import KeyDep, StoreDep
from rheostat.server.http.route import OF_BODIES, StrictRoute, refuses, router
from rheostat.server.openapi import requests
from rheostat.server.routes.imports import EXPORT
from rheostat.server.wire_schemas import names, schemas

if TYPE_CHECKING:
    from tests.conftest import Guarded
from tests.server.test_protected import ASKED
from tests.server.test_protected import SPEC as PROTECTED

DOCUMENT = orjson.loads(openapi())
JSON = "application/json"
BASES = {
    "AnyEvent",
    "DataEvent",
    "Decided",
    "Declared",
    "For",
    "From",
    "Landing",
    "Resumable",
    "RevisionEvent",
    "RunRow",
    "Served",
    "WorkersSummary",
}
"""Types that no route answers: what several others have in common."""
OPERATIONS = {
    f"{method.upper()} {path}": operation
    for path, item in DOCUMENT["paths"].items()
    for method, operation in item.items()
}
ANSWERS = {
    f"{operation} {status}": response["content"][JSON]
    for operation, described in OPERATIONS.items()
    for status, response in described["responses"].items()
    if status.startswith("2") and JSON in response.get("content", {})
}
"""Every answer in JSON of every route, as the document describes it."""

COSINE = {"kind": "cosine", "start": 1e-3, "end": 1e-5, "steps": "90%"}
RUN = {
    "name": "gpt",
    "parameters": {"lr": COSINE, "wd": 0.1},
    "total": 100_000,
    "labels": {"a": "b"},
    "describe": {"lr": {"text": "peak rate"}},
    "signals": {"checkpoint": {"arguments": {"tag": {"type": "string"}}}},
    "goal": {"metric": "loss"},
}
HALVE = {"changes": {"lr": {"edit": "scale", "factor": 0.5}}, "message": "loss spike"}
SIMULATION = {
    "controller": {"kind": "plateau", "metric": "loss", "patience": 0},
    "reports": [[1, 2.0], [2, "NaN"]],
}
DEEPSPEED = {
    "optimizer": {"type": "AdamW", "params": {"lr": 1e-3}},
    "scheduler": {
        "type": "WarmupCosineLR",
        "params": {"total_num_steps": 10_000, "warmup_num_steps": 500},
    },
}


def flaws(schema: Any, value: Any) -> list[str]:
    """Return what is wrong with a value, by a schema of the document."""
    whole = {"components": DOCUMENT["components"], "allOf": [schema]}
    found = jsonschema_rs.validator_for(whole).iter_errors(value)
    return [f"{[*error.instance_path]}: {error.message}" for error in found]


class CheckedTransport(httpx.HTTPTransport):
    """Notes which answers came, and that each is as the document describes it."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: set[str] = set()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request, and hold its answer against the document."""
        answer = super().handle_request(request)
        answer.read()
        operation = f"{request.method} {template(request)}"
        if answer.headers.get("content-type") == JSON:
            name = f"{operation} {answer.status_code}"
            assert not flaws(ANSWERS[name]["schema"], answer.json()), name
            self.seen.add(name)
        elif answer.headers.get("content-type") == "application/problem+json":
            assert not flaws({"$ref": "#/components/schemas/Problem"}, answer.json()), operation
        return answer


def template(request: httpx.Request) -> str:
    """Return the document's path for a request."""
    path = request.url.path
    fitting: Iterator[str] = (
        each for each in DOCUMENT["paths"] if re.fullmatch(re.sub(r"{\w+}", "[^/]+", each), path)
    )
    return min(fitting, key=lambda each: each.count("{"))


@pytest.fixture
def told(own_guarded: Guarded) -> Any:
    """Return an admin's client whose answers are all held against the document."""
    headers = {"Authorization": f"Bearer {own_guarded.secrets['admin']}"}
    transport = CheckedTransport()
    with httpx.Client(
        base_url=own_guarded.url, timeout=60, headers=headers, transport=transport
    ) as http:
        yield http, transport


def hold(http: httpx.Client) -> None:
    """Ask everything of a protected run that waits for another person, and change many at once."""
    body = {**PROTECTED, "name": "held", "labels": {"of": "held"}}
    run = http.post("/v1/runs", json=body).json()["id"]
    block = {"generation": 1, "start": 0, "count": 4}
    http.get(f"/v1/runs/{run}/values", params=block).raise_for_status()
    http.put("/v1/runs/held/protect", json={"except": ["change", "pause"]}).raise_for_status()
    http.post("/v1/runs/held/revisions", json=HALVE).raise_for_status()
    many = {**HALVE, "selector": "of=held"}
    plan = http.post("/v1/revisions", json=many, params={"dry_run": True}).json()["plan"]
    http.post("/v1/revisions", json={**many, "plan": plan}).raise_for_status()
    http.put("/v1/runs/held/protect", json={"except": ["pause"]}).raise_for_status()
    for act in [*(ASKED.keys() - {"pause", "resume"}), "resume", "pause"]:
        if act == "resume":
            http.post("/v1/runs/held/pause", json={}).raise_for_status()
        if act == "pause":
            http.put("/v1/runs/held/protect", json={"except": []}).raise_for_status()
        method, path, sent = ASKED[act]
        path = path.replace("/revisions/2", "/revisions/4")
        answer = http.request(method, f"/v1/runs/held{path}", json=sent)
        assert answer.status_code == 202, answer.text
    http.delete("/v1/runs/held/protect").raise_for_status()


def live(http: httpx.Client) -> None:
    """Ask everything that is answered in JSON of a run, from its beginning to its end."""
    run = http.post("/v1/runs", json=RUN).json()["id"]
    http.put("/v1/runs/gpt", json=RUN)
    http.put("/v1/runs/other", json={"parameters": {"lr": 1.0}})
    http.get("/v1/runs")
    http.get("/v1/runs", params={"overview": True}).raise_for_status()
    http.post("/v1/runs/gpt/join", json={})
    for count in (4, 4, 1):
        block = {"generation": 1, "start": 0, "count": count}
        http.get(f"/v1/runs/{run}/values", params=block).raise_for_status()
    http.post("/v1/runs/gpt/signals", json={"signal": "checkpoint"}).raise_for_status()
    http.get("/v1/runs/gpt/values", params={"start": 0, "count": 8})
    http.get("/v1/runs/gpt/surface").raise_for_status()
    http.get("/v1/runs/gpt/values/3")
    http.post("/v1/runs/gpt/revisions", json=HALVE, params={"dry_run": True})
    http.post("/v1/runs/gpt/revisions", json={**HALVE, "effective": 5000})
    http.delete("/v1/runs/gpt/revisions/3")
    http.post("/v1/runs/gpt/revisions", json=HALVE)
    http.post("/v1/runs/gpt/total", json={"total": 120_000}, params={"dry_run": True})
    http.post("/v1/runs/gpt/total", json={"total": 120_000, "effective": 20_000})
    http.post("/v1/runs/gpt/total", json={"total": 120_000})
    http.get("/v1/runs/gpt/revisions/1")
    http.get("/v1/runs/gpt")
    http.get("/v1/runs/gpt/plan", params={"points": 20})
    http.get("/v1/runs/gpt/explain", params={"step": 4})
    http.get("/v1/runs/gpt/brief").raise_for_status()
    http.get("/v1/runs/gpt/wait", params={"until": "report", "timeout": 0}).raise_for_status()
    http.post("/v1/runs/gpt/advance", json={"to": 16})
    propose(http)
    tell(http, run)
    http.post("/v1/runs/gpt/pause", json={"signal": {"signal": "checkpoint"}})
    http.post("/v1/runs/gpt/resume", json={"until": 24})
    http.post("/v1/runs/gpt/stop", json={"effective": 20})
    http.get("/v1/runs/gpt/ledger")
    control(http, run)
    back = {"to": 2, **HALVE}
    http.post("/v1/runs/gpt/rewind", json=back, params={"dry_run": True}).raise_for_status()
    http.post("/v1/runs/gpt/rewind", json=back).raise_for_status()
    fork = {"name": "decay", "from": {"run": "gpt", "step": 2}}
    http.post("/v1/runs", json=fork, params={"dry_run": True}).raise_for_status()
    http.post("/v1/runs", json=fork).raise_for_status()
    http.get("/v1/runs/gpt/revisions")
    http.post("/v1/runs/gpt/finish", json={}).raise_for_status()


def propose(http: httpx.Client) -> None:
    """Ask everything that is answered in JSON of proposals."""
    suggested = {"kind": "change", "body": HALVE}
    for decision in ("accept", "decline", ""):
        http.post("/v1/runs/gpt/proposals", json=suggested).raise_for_status()
        if decision:
            number = http.get("/v1/runs/gpt").json()["proposals"]["numbers"][0]
            path = f"/v1/runs/gpt/proposals/{number}"
            http.post(f"{path}/{decision}", json={"message": "well"}).raise_for_status()
            http.get(path).raise_for_status()
    http.get("/v1/runs/gpt/proposals").raise_for_status()


def control(http: httpx.Client, run: str) -> None:
    """Ask everything that is answered in JSON of reports and controllers."""
    plateau = {"kind": "plateau", "metric": "loss", "patience": 0}
    for factor in (0.5, 0.25):
        armed = http.put("/v1/runs/gpt/controllers/plateau", json={**plateau, "factor": factor})
        armed.raise_for_status()
    for step, loss in ((1, 2.0), (2, "NaN"), (2, 3.0)):
        body = {"generation": 1, "reports": [{"step": step, "metrics": {"loss": loss}}]}
        http.post(f"/v1/runs/{run}/reports", json=body).raise_for_status()
    http.get("/v1/runs/gpt/reports", params={"metric": "loss"}).raise_for_status()
    for path in ("", "/plateau", "/plateau/decisions"):
        http.get(f"/v1/runs/gpt/controllers{path}").raise_for_status()
    http.post("/v1/runs/gpt/controllers/plateau/reset", json={}).raise_for_status()
    http.delete("/v1/runs/gpt/controllers/plateau").raise_for_status()


def tell(http: httpx.Client, run: str) -> None:
    """Say what a worker says, and ask for it: revision 2 was a signal."""
    told = {"generation": 1, "revision": 2, "source": "main", "outcome": "failed", "step": 4}
    for _ in range(2):
        http.post(f"/v1/runs/{run}/outcomes", json={**told, "error": "disk full"})
    told |= {"source": "rank-1", "outcome": "done", "data": {"path": "/ckpt"}}
    http.post(f"/v1/runs/{run}/outcomes", json=told).raise_for_status()
    http.get("/v1/runs/gpt/revisions/2/outcomes").raise_for_status()
    http.get("/v1/runs/gpt/revisions/2", params={"wait": "done"}).raise_for_status()
    saved = {"generation": 1, "step": 4, "tag": "last", "source": "rank-1"}
    for _ in range(2):
        http.post(f"/v1/runs/{run}/checkpoints", json=saved).raise_for_status()
    http.get("/v1/runs/gpt/checkpoints").raise_for_status()
    http.post("/v1/runs/gpt/notes", json={"text": "NaN in layer 7"}).raise_for_status()
    wrong = [{"step": 3, "parameter": "lr", "found": 7}]
    said = {"worker": "0", "session": "a", "step": 4, "wrong": wrong}
    beat = {"generation": 1, "workers": [said]}
    http.post(f"/v1/runs/{run}/beats", json=beat).raise_for_status()
    http.get("/v1/runs/gpt/workers").raise_for_status()
    http.get("/v1/runs/gpt/mismatches").raise_for_status()


def use_library(http: httpx.Client) -> None:
    """Ask everything that is answered in JSON of definitions and schedules."""
    for steps in ({"stop": 3}, {"step": 3}):
        http.post("/v1/evaluate", json={"definition": {"kind": "constant", "value": 1}, **steps})
    scheduler = {"name": "CosineAnnealingLR", "params": {"T_max": 9}, "base_value": 0.1}
    http.post("/v1/convert", json={"library": "torch", **scheduler}).raise_for_status()
    http.post("/v1/convert", json={"library": "deepspeed", "config": DEEPSPEED}).raise_for_status()
    http.post("/v1/control/simulate", json=SIMULATION).raise_for_status()
    http.get("/v1/kinds")
    http.get("/v1/controllers")
    for _ in range(2):
        http.put("/v1/schedules/s", json={"definition": {"kind": "constant", "value": 1}})
    for path in ("", "/s", "/s/values", "/s/values/7"):
        http.get(f"/v1/schedules{path}").raise_for_status()


def tell_others(http: httpx.Client) -> None:
    """Ask everything that is answered in JSON of hooks, with one that nobody answers."""
    hook = {"url": "https://127.0.0.1.invalid/x", "events": ["created"]}
    for _ in range(2):
        http.put("/v1/hooks/a", json=hook).raise_for_status()
    http.put("/v1/runs/told", json={"parameters": {"lr": 1.0}}).raise_for_status()
    http.delete("/v1/runs/told").raise_for_status()  # which tells of it at once
    http.post("/v1/hooks/a/test").raise_for_status()
    http.get("/v1/hooks").raise_for_status()
    http.get("/v1/hooks/a").raise_for_status()
    (item,) = http.get("/v1/hooks/a/deliveries").raise_for_status().json()["items"]
    http.post(f"/v1/hooks/a/deliveries/{item['number']}/retry").raise_for_status()


def test_every_answer_is_as_its_type_says(told: Any) -> None:
    """Each route's answers, settled and previewed blocks among them, have exactly those fields."""
    http, transport = told
    live(http)
    use_library(http)
    for kind in http.get("/v1/kinds").json()["items"]:
        http.get(f"/v1/kinds/{kind['kind']}")
    http.post("/v1/tokens", json={"name": "ci", "role": "worker"})
    limited = {"name": "tuner", "role": "operator", "limit": "changes=20/day, gap=500, ratio=2"}
    http.post("/v1/tokens", json=limited).raise_for_status()
    http.get("/v1/runs/gpt/allowances").raise_for_status()
    http.post("/v1/local/attached", json={"linger": 1}).raise_for_status()
    tell_others(http)
    hold(http)
    imported = {"export": EXPORT, "name": "imported"}
    http.post("/v1/runs/import", json=imported).raise_for_status()
    secret = http.headers["authorization"].removeprefix("Bearer ")
    page = {"sec-fetch-site": "same-origin"}
    http.post("/v1/session", json={"token": secret}, headers=page).raise_for_status()
    http.post("/v1/purge", json={"what": "runs", "older_than": "0h"}).raise_for_status()
    for path in (
        "/v1/audit",
        "/v1/tokens",
        "/v1/access",
        "/v1/session",
        "/",
        "/livez",
        "/readyz",
        "/v1/runs/nobody",
    ):
        http.get(path)
    assert ANSWERS.keys() - transport.seen == set()


def test_every_event_is_as_its_type_says(told: Any) -> None:
    """The data of each event of a run's life, of every kind, has exactly the fields of its type."""
    http, _ = told
    http.put("/v1/runs/late", json={"parameters": {"lr": 1.0}, "total": 10_000})
    http.post("/v1/runs/late/join", json={"start": 4000})
    live(http)
    data = [
        orjson.loads(line.removeprefix("data: "))
        for name in ("late", "gpt")
        for line in followed(http, name)
        if line.startswith("data: ")
    ]
    for event in data:
        name = "".join(word.capitalize() for word in event["kind"].split("-"))
        schema = {"$ref": f"#/components/schemas/{name}Event"}
        assert not flaws(schema, event), event["kind"]
    kinds = OPERATIONS["GET /v1/runs/{run}/events"]["responses"]["200"]["content"]
    assert {event["kind"] for event in data} == {
        *kinds["text/event-stream"]["schema"]["properties"]["event"]["enum"]
    }


def followed(http: httpx.Client, run: str) -> list[str]:
    """Return the lines of a run's events, which come to an end once it is finished."""
    http.post(f"/v1/runs/{run}/finish", json={})
    return http.get(f"/v1/runs/{run}/events").text.splitlines()


def test_an_undocumented_field_is_named() -> None:
    """A field that no type has is refused by its name, and so is one that is not there."""
    example = ANSWERS["GET /v1/runs/{run} 200"]["examples"]["RunState"]["value"]
    schema = ANSWERS["GET /v1/runs/{run} 200"]["schema"]
    assert "undocumented" in str(flaws(schema, {**example, "undocumented": 1}))
    assert "begins" in str(flaws(schema, {k: v for k, v in example.items() if k != "begins"}))


@pytest.mark.parametrize("answer", ANSWERS)
def test_examples_are_as_their_types_say(answer: str) -> None:
    """Each example of an answer has the fields of its type, and no other."""
    schema = ANSWERS[answer]["schema"]
    for name, example in ANSWERS[answer]["examples"].items():
        assert not flaws({"$ref": f"#/components/schemas/{name}"}, example["value"])
        assert not flaws(schema, example["value"])


def test_every_type_is_answered() -> None:
    """No type is left over that no route answers, and none hides what a request has."""
    found = schemas(DOCUMENT["paths"]).keys()
    assert {*names().values()} - found == BASES
    assert not found & requests().keys()


@pytest.mark.parametrize("name", sorted(schemas(DOCUMENT["paths"])))
def test_every_type_has_a_sentence(name: str) -> None:
    """Each type says what it is: as a sentence, which the document shows."""
    schema = DOCUMENT["components"]["schemas"][name]
    assert "anyOf" in schema or schema["description"].endswith(".")


def test_a_route_names_its_own_refusals_alone() -> None:
    """What a body, the store and a key may refuse is in the document of a route that has them."""

    @refuses(UnknownRun)
    @needs(None)
    @unaudited("nobody calls it")
    async def change(
        body: Annotated[dict[str, Any], Body()], store: StoreDep, key: KeyDep
    ) -> None: ...

    @needs(None)
    async def look() -> None: ...

    made = router("x")
    made.add_api_route("/changed", change, methods=["POST"])
    made.add_api_route("/looked", look)
    changed, looked = made.routes
    assert isinstance(changed, StrictRoute)
    assert isinstance(looked, StrictRoute)
    assert looked.refusals() == []
    assert sorted(changed.responses) == [400, 404, 413, 415, 422, 503]
    assert {UnknownRun, *OF_BODIES} < {*changed.refusals()}
    (content,) = changed.responses[422]["content"].values()
    assert sorted(content["examples"]) == ["idempotency-mismatch", "invalid"]


@pytest.mark.parametrize("operation", [o for o in OPERATIONS if "requestBody" in OPERATIONS[o]])
def test_a_body_may_be_refused(operation: str) -> None:
    """P10: each operation with a body says how a body is refused."""
    told = str(OPERATIONS[operation]["responses"])
    for cls in (Malformed, TooLarge, Invalid):
        assert f"`{cls.code}`" in told


def test_codes_stand_in_the_order_of_the_tree() -> None:
    """The codes of one status are listed as `rheostat.errors` draws them."""
    order = [cls.code for cls in refusals()]
    for described in OPERATIONS.values():
        for response in described["responses"].values():
            for content in response.get("content", {}).values():
                codes = [code for code in content.get("examples", ()) if code in order]
                assert codes == sorted(codes, key=order.index)
