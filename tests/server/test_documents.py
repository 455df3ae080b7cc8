"""The documents that are made from the code are current, and say what is true."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Literal, get_origin

import orjson
import pytest
from annotated_types import Ge, Le
from fastapi.openapi.models import OpenAPI
from pydantic import ValidationError

from rheostat.errors import refusals
from rheostat.server.app import create_app
from rheostat.server.documents import DOCUMENTS, openapi
from rheostat.server.environment import IN_FILES, file_variable, variable
from rheostat.server.http.connections import EndReason
from rheostat.server.settings import Settings

DOCS = Path(__file__).parents[2] / "docs"
DOCUMENT = orjson.loads(openapi())
OPERATIONS = {
    f"{method.upper()} {path}": operation
    for path, item in DOCUMENT["paths"].items()
    for method, operation in item.items()
}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_documents_are_current(name: str) -> None:
    """What is kept under docs/ is what `python -m rheostat.server.documents docs` writes."""
    assert (DOCS / name).read_bytes() == DOCUMENTS[name](), f"docs/{name}: run `make docs`"


def test_every_setting_is_explained() -> None:
    """Each setting has a sentence, and can be given as an environment variable."""
    for name in Settings.model_fields:
        assert Settings.descriptions()[name].endswith("."), name


def test_settings_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """`RHEOSTAT_…` variables are the settings, read when they are asked for."""
    monkeypatch.setenv("RHEOSTAT_PORT", "8123")
    monkeypatch.setenv("RHEOSTAT_ALLOWED_HOSTS", "A.lan, b.lan,")
    assert (Settings().port, Settings().allowed_hosts) == (8123, ("a.lan", "b.lan"))


def beyond(name: str) -> list[Any]:
    """Return values of a setting that lie just beyond its bounds, or are of no use to it."""
    info = Settings.model_fields[name]
    bounds = [each.ge - 1 for each in info.metadata if isinstance(each, Ge)]  # type: ignore[operator]
    bounds += [each.le + 1 for each in info.metadata if isinstance(each, Le)]  # type: ignore[operator]
    if info.annotation in {int, float}:
        assert bounds, f"{name} has no bounds"
        return [*bounds, "many", "nan", "inf"]
    if info.annotation is bool:
        return ["maybe"]
    if get_origin(info.annotation) is Literal:
        return ["loud"]
    return [7]


@pytest.mark.parametrize("name", Settings.model_fields)
def test_a_setting_beyond_its_bounds_is_refused(name: str) -> None:
    """P10: every setting refuses what is beyond its bounds, or of another type, naming itself."""
    for wrong in beyond(name):
        with pytest.raises(ValidationError, match=rf"^1 validation error for Settings\n{name}\n"):
            Settings(**{name: wrong})


@pytest.mark.parametrize("wrong", [{"hosts": "x"}, {"no_auth": True, "auth": True}])
def test_settings_that_make_no_sense_are_refused(wrong: Any) -> None:
    """A setting of an unknown name, or one that contradicts another, is refused."""
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Settings(**wrong)


@pytest.mark.parametrize("name", Settings.model_fields)
def test_the_manual_has_every_setting_with_its_bounds(name: str) -> None:
    """Nobody has to try how far a setting goes."""
    (row,) = (line for line in lines("settings.md") if f"| `{variable(name)}` " in line)
    assert (f"`{file_variable(name)}`" in row) == (name in IN_FILES)
    for bound in Settings.model_fields[name].metadata:
        for sign, value in (("≥", getattr(bound, "ge", None)), ("≤", getattr(bound, "le", None))):
            assert value is None or f"{sign} {value}" in row


def lines(name: str) -> list[str]:
    """Return the lines of a manual."""
    return (DOCS / name).read_text().splitlines()


def test_the_manual_has_every_reason_to_end_a_connection() -> None:
    """Whoever makes an alert of a reason can copy it from the manual."""
    listed = {line.strip("* `") for line in lines("operations.md") if line[:3] == "* `"}
    assert {*EndReason} <= listed


def test_every_route_is_described() -> None:
    """The document has every route of the application, each with a summary and an operation id."""
    app = create_app(Settings.model_construct())
    routes = {
        f"{method} {route.path}"  # type: ignore[attr-defined]
        for route in app.routes
        for method in route.methods  # type: ignore[attr-defined]
        if getattr(route, "include_in_schema", False)
    }
    assert OPERATIONS.keys() == routes
    assert all(operation["summary"] for operation in OPERATIONS.values())
    ids = [operation["operationId"] for operation in OPERATIONS.values()]
    assert len({*ids}) == len(ids)


def test_the_version_is_3_1() -> None:
    """The document is OpenAPI 3.1, whose schemas are JSON Schema 2020-12."""
    assert DOCUMENT["openapi"].startswith("3.1.")


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS.keys())
def test_failures_are_declared_by_their_codes(operation: Any) -> None:
    """Every operation declares its failures as problem documents, with codes that exist."""
    codes = {cls.code: cls.status for cls in refusals()}
    for status, given in operation["responses"].items():
        if status.startswith("2"):
            continue
        response = resolved(given)
        (media_type,) = response["content"]
        assert media_type == "application/problem+json"
        for code in response["content"][media_type].get("examples", {}):
            assert codes[code] == int(status)


def resolved(response: Any) -> Any:
    """Return a response, or the one that it refers to."""
    name = response.get("$ref", "").rpartition("/")[2]
    return DOCUMENT["components"]["responses"][name] if name else response


def test_the_document_is_sound() -> None:
    """The document has the form of OpenAPI, and whatever it refers to is there."""
    OpenAPI.model_validate(DOCUMENT)
    referred = set(re.findall(r'"\$ref":"#/components/schemas/(\w+)"', openapi_text()))
    assert referred <= DOCUMENT["components"]["schemas"].keys()


@pytest.mark.parametrize(("union", "tag"), [("Definition", "kind"), ("Edit", "edit")])
def test_every_kind_and_edit_is_described(union: str, tag: str) -> None:
    """What the document says of a kind is about this kind, though an edit may have its name."""
    schemas = DOCUMENT["components"]["schemas"]
    for name, ref in schemas[union]["discriminator"]["mapping"].items():
        assert schemas[ref.rpartition("/")[2]]["properties"][tag]["const"] == name


def openapi_text() -> str:
    """Return the document without spaces."""
    return orjson.dumps(DOCUMENT).decode()


def trained_run(http: Any) -> None:
    """Make the run of the examples, which has come as far as they say."""
    body = OPERATIONS["POST /v1/runs"]["requestBody"]["content"]["application/json"]["examples"]
    run = http.put("/v1/runs/gpt-7b", json=body["cosine"]["value"]).raise_for_status().json()
    http.post("/v1/runs/gpt-7b/join", json={"start": 89_999}).raise_for_status()
    block = {"generation": 1, "start": 89_999, "count": 1}
    http.get(f"/v1/runs/{run['id']}/values", params=block).raise_for_status()


BY_ID = {f"POST /v1/runs/{{run}}/{said}" for said in ("beats", "reports", "checkpoints")}
"""What workers ask by the run's id alone."""


def test_examples_of_bodies_are_accepted(guarded: Any) -> None:
    """The example of a body can be sent as it is: the server finds nothing wrong with it."""
    with guarded.client(guarded.secrets["admin"]) as http:
        http.headers["sec-fetch-site"] = "same-origin"
        trained_run(http)
        http.post("/v1/runs/gpt-7b/signals", json={"signal": "checkpoint"}).raise_for_status()
        suggested = {"kind": "change", "body": {"changes": {"lr": 1e-4}}}
        http.post("/v1/runs/gpt-7b/proposals", json=suggested).raise_for_status()
        run_id = http.get("/v1/runs/gpt-7b").json()["id"]
        plan: str | None = None
        for operation, described in OPERATIONS.items():
            ref = run_id if operation in BY_ID else "gpt-7b"
            numbered = operation.replace("{number}", "1")
            method, path = re.sub(r"\{\w+\}", ref, numbered).split()
            content = described.get("requestBody", {}).get("content", {})
            for body in content.values():
                for example in body["examples"].values():
                    sent = example["value"]
                    if operation == "POST /v1/session":  # the secret of an example is nobody's
                        sent = {**sent, "token": guarded.secrets["admin"]}
                    query: dict[str, Any] = {}
                    if operation == "POST /v1/revisions":  # the plan of an example is nobody's
                        query = {"dry_run": "plan" not in sent}
                        sent = {**sent, **({"plan": plan} if "plan" in sent else {})}
                    answer = http.request(method, path, json=sent, params=query)
                    fine = {200, 201, 202, 409}
                    assert answer.status_code in fine, (operation, answer.text)
                    plan = answer.json().get("plan")
