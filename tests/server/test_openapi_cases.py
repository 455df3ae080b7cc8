"""The OpenAPI document and the service say the same: schemathesis, with all of its checks."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

if TYPE_CHECKING:
    from tests.conftest import Guarded, StartServer

HERE = Path(__file__).parent
EXAMPLES = int(os.environ.get("RHEOSTAT_EXAMPLES", "0"))
"""How many requests are drawn for each operation, beside those that follow from the document."""

ALL_KINDS, ONE_KIND = "", "Constant"
SOME_KINDS = (
    "Constant Cyclic Exponential Follow Multistep Noise OneCycle Piecewise Product Quantize"
    " Reference Repeat Sequence Sigmoid Stretch Table Wsd"
)
"""Kinds that have among them every type of field; `test_random_definitions` breaks all kinds."""

CURVE = {"kind": "cosine", "start": 1e-3, "end": 1e-5, "steps": 100_000}
BODY = {"parameters": {"lr": CURVE}, "total": 100_000}
SUGGESTED = {"kind": "change", "body": {"changes": {"lr": 1e-4}}}
WATCHES = {"kind": "stop", "metric": "val_loss"}
HOOK = {"url": "https://nobody.invalid/x", "events": ["deleted"]}
HOLD = {"changes": {"lr": {"edit": "hold"}}, "effective": 95_000}


def prepare(http: httpx.Client) -> None:
    """Make what requests are about, as `openapi_hooks` names it."""
    for name in ("gpt-7b", "spare"):
        http.put(f"/v1/schedules/{name}", json={"definition": CURVE}).raise_for_status()
    for name in ("gpt-7b", "ended", "changed", "held"):
        run = http.put(f"/v1/runs/{name}", json=BODY).raise_for_status().json()
        http.post(f"/v1/runs/{name}/join", json={"start": 89_999}).raise_for_status()
        block = {"generation": 1, "start": 89_999, "count": 1}
        http.get(f"/v1/runs/{run['id']}/values", params=block).raise_for_status()
    http.post("/v1/runs/changed/revisions", json=HOLD).raise_for_status()
    http.post("/v1/runs/changed/signals", json={"signal": "checkpoint"}).raise_for_status()
    for _ in range(3):
        http.post("/v1/runs/changed/proposals", json=SUGGESTED).raise_for_status()
    for name in ("gpt-7b", "spare"):
        http.put(f"/v1/runs/gpt-7b/controllers/{name}", json=WATCHES).raise_for_status()
    http.post("/v1/runs/ended/finish", json={}).raise_for_status()


Answered = dict[str, dict[str, list[int]]]


def answers(
    http: httpx.Client, folder: Path, kinds: str, turns: Sequence[Any] = ([],), *options: str
) -> Answered:
    """Send what the document allows, and what it does not; hold every answer to it."""
    token = http.headers.get("Authorization")
    command = [
        *(sys.executable, "-m", "schemathesis.cli"),
        *("--config-file", str(HERE / "schemathesis.toml")),
        *("run", str(http.base_url.join("/openapi.json")), "--checks", "all", *options),
        *("--phases", "examples,coverage,fuzzing" if EXAMPLES else "examples,coverage"),
        *("--max-examples", str(min(max(EXAMPLES, 1), 50))),
        *(() if token is None else ("--header", f"Authorization: {token}")),
    ]
    live = http.get("/v1/runs/gpt-7b").raise_for_status().json()["id"]
    settings = {
        "RHEOSTAT_KINDS": kinds,
        "RHEOSTAT_TURNS": json.dumps(turns),
        "RHEOSTAT_RUN": live,
        "RHEOSTAT_SIGN_IN": (token or "").removeprefix("Bearer "),
    }
    env = {**os.environ, **settings, "SCHEMATHESIS_HOOKS": str(HERE / "openapi_hooks.py")}
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    found: Answered = json.loads((folder / "answered.json").read_text())
    return found


@pytest.mark.long
def test_every_role_is_answered_as_the_document_says(own_guarded: Guarded, tmp_path: Path) -> None:
    """
    P10: no failure of any check, with a token of each role and with none.

    What the document allows is done somewhere in each operation, and what it does not is refused.
    """
    tokens = own_guarded.secrets
    others = [*(tokens[role] for role in ("viewer", "proposer", "worker", "operator")), None]
    with own_guarded.client(tokens["admin"]) as http:
        prepare(http)
        http.post("/v1/tokens", json={"name": "spare", "role": "viewer"}).raise_for_status()
        for name in ("gpt-7b", "spare"):
            http.put(f"/v1/hooks/{name}", json=HOOK).raise_for_status()
        http.put("/v1/runs/told", json=BODY).raise_for_status()
        http.delete("/v1/runs/told").raise_for_status()
        turns = [each for token in others for each in ([token], [token] if EXAMPLES else [])]
        found = answers(http, tmp_path, ONE_KIND, turns)
        document = http.get("/openapi.json").json()["paths"]
    assert len(found) == sum(map(len, document.values()))
    for operation, each in found.items():
        method, path = operation.lower().split()
        statuses = {status for kind in each.values() for status in kind}
        assert statuses & {200, 201, 204}, operation
        # by signing in, one says who one is
        asks = "security" in document[path][method] or operation == "POST /v1/session"
        assert asks == (401 in statuses), operation


@pytest.mark.long
def test_without_tokens_the_document_holds(start_server: StartServer, tmp_path: Path) -> None:
    """P10: no failure of any check without tokens, with many definitions and all controllers."""
    paths = "--include-path-regex", "evaluate|simulate|tokens|access"
    with start_server().client() as http:
        prepare(http)
        found = answers(http, tmp_path, ALL_KINDS if EXAMPLES else SOME_KINDS, ([],), *paths)
    assert {200, 422} <= {status for each in found["POST /v1/evaluate"].values() for status in each}
