"""Importing a run: nothing bad gets in, whoever has written the file."""

from __future__ import annotations

import base64
import copy
import zlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from rheostat.packing import pack
from rheostat.server.routes.imports import EXPORT

if TYPE_CHECKING:
    from tests.conftest import Names

Spoil = Callable[[dict[str, Any]], object]


def packed(*values: float) -> str:
    """Return values of one parameter as an export has them."""
    return base64.b64encode(pack([values])).decode()


def piece(export: dict[str, Any]) -> Any:
    """Return the piece that the run of the example follows."""
    return export["revisions"][0]["parameters"]["lr"][0]


def put(path: str, value: Any) -> Spoil:
    """Return what puts a value at a place of an export."""
    *above, last = (int(part) if part.isdecimal() else part for part in path.split("."))

    def spoil(export: dict[str, Any]) -> None:
        found: Any = export
        for part in above:
            found = found[part]
        found[last] = value

    return spoil


BOMB = base64.b64encode(zlib.compress(bytes(10**8))).decode()
HEAD, FIRST, TREE, LEDGER = "run", "revisions.0", "generations.0", "ledger.0"
PIECE = f"{FIRST}.parameters.lr.0"


@pytest.mark.parametrize(
    "spoil",
    [
        put("format", "else"),
        put("version", 2),
        put("run", []),
        put(f"{HEAD}.name", "-x"),
        put(f"{HEAD}.generation", 2),
        put(f"{HEAD}.revision", "1"),
        put(f"{HEAD}.begins", 3),
        put(f"{HEAD}.end", 2),
        put(f"{HEAD}.axis", "hours"),
        put(f"{HEAD}.resolution", 0),
        put(f"{HEAD}.guards", {"momentum": {"min": 0, "max": None, "max_ratio": None}}),
        put("generations", []),
        put(f"{TREE}.generation", 2),
        put(f"{TREE}.parent", 1),
        put(f"{TREE}.from", 1),
        put(f"{TREE}.settled_until", -1),
        put(f"{TREE}.settled_until", 2**53 + 1),
        put("generations.0", {"generation": 1}),
        put("revisions", []),
        put(f"{FIRST}.revision", 2),
        put(f"{FIRST}.generation", 2),
        put(f"{FIRST}.kind", "fork"),
        put(f"{FIRST}.kind", "change"),
        put(f"{FIRST}.kind", "else"),
        put(f"{FIRST}.effective", 1),
        put(f"{FIRST}.cancelled", True),
        put(f"{FIRST}.cancels", 1),
        put(f"{FIRST}.created_at", "yesterday"),
        put(f"{FIRST}.author", "x" * 201),
        put(f"{FIRST}.message", "x" * 4097),
        put(f"{FIRST}.changes", {"momentum": 1}),
        put(f"{FIRST}.parameters", {}),
        put(f"{FIRST}.parameters", {"lr": []}),
        put(f"{FIRST}.parameters", {"LR": [{"definition": 1}]}),
        put(f"{FIRST}.parameters.lr", [{}]),
        put(f"{PIECE}.from", -1),
        put(f"{PIECE}.from", "0"),
        put(f"{PIECE}.origin", 2**60),
        put(f"{PIECE}.origin", None),
        put(f"{PIECE}.revision", 2),
        put(f"{PIECE}.definition", {"kind": "else"}),
        put(f"{PIECE}.definition", {"kind": "constant", "value": "many"}),
        put(f"{PIECE}.definition", {"kind": "schedule", "name": "pretrain"}),
        put(f"{PIECE}.definition", {"kind": "follow", "parameter": "lr"}),
        put(f"{PIECE}.words", {"definition": {"kind": "constant", "value": 1}, "total": 10}),
        put(f"{PIECE}.words", {"definition": 7, "total": None}),
        put(f"{PIECE}.words", 7),
        put(f"{LEDGER}.generation", 2),
        put(f"{LEDGER}.start", 1),
        put(f"{LEDGER}.start", -1),
        put(f"{LEDGER}.count", 3),
        put(f"{LEDGER}.count", 0),
        put(f"{LEDGER}.count", 10**9),
        put(f"{LEDGER}.values", "§"),
        put(f"{LEDGER}.values", ""),
        put(f"{LEDGER}.values", BOMB),
        put(f"{LEDGER}.values", packed(0.5)),
        put(f"{LEDGER}.values", packed(0.5, float("inf"))),
        put(f"{LEDGER}.values", packed(0.5, float("nan"))),
        put("ledger", 2 * EXPORT["ledger"]),  # type: ignore[operator]
        put("reports", [{"metric": "-x", "steps": [], "values": [], "sources": []}]),
        put("reports", [{"metric": "x", "steps": [1], "values": [], "sources": ["a"]}]),
        put("reports", [{"metric": "x", "steps": [1], "values": ["else"], "sources": ["a"]}]),
        put("reports", [{"metric": "x", "steps": [-1], "values": [1], "sources": ["a"]}]),
    ],
)
def test_what_is_not_sound_is_refused(http: httpx.Client, new_name: Names, spoil: Spoil) -> None:
    """P10: each wrong place is a 422 that names it, and leaves no run behind."""
    export, name = copy.deepcopy(EXPORT), new_name()
    spoil(export)
    body: dict[str, Any] = {"export": export}
    if export["run"] != [] and export["run"]["name"] == EXPORT["run"]["name"]:  # type: ignore[index]
        body["name"] = name
    answer = http.post("/v1/runs/import", json=body)

    assert answer.status_code == 422, answer.text
    assert answer.json()["errors"][0]["field"].startswith(
        ("export", "name", "parameters", "guards", "axis", "resolution")
    )
    assert http.get(f"/v1/runs/{name}").status_code == 404


def test_what_is_sound_is_imported_once(http: httpx.Client, new_name: Names) -> None:
    """The example of the document is a run, and a second one of its name is refused."""
    body = {"export": EXPORT, "name": new_name()}
    made = http.post("/v1/runs/import", json=body)
    again = http.post("/v1/runs/import", json=body)

    assert made.status_code == 201, made.text
    assert made.json()["settled_until"] == 2
    assert again.status_code == 409
    assert again.json()["type"].endswith("name-taken")


@pytest.mark.parametrize(("role", "status"), [("worker", 403), ("operator", 201)])
def test_an_operator_imports(own_guarded: Any, role: str, status: int) -> None:
    """A worker's token makes no run of a file; an operator's does, and is named for it."""
    answer = own_guarded.ask(role, "POST", "/v1/runs/import", json={"export": EXPORT})
    assert answer.status_code == status
    if status == 201:
        history = own_guarded.ask("viewer", "GET", "/v1/runs/gpt-7b/revisions").json()["items"]
        assert [each["author"] for each in history] == ["ann", "operator"]
