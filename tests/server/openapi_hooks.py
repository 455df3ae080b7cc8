"""
What schemathesis sends, and as whom: requests of the service's document that mean something.

A definition may hold definitions of every kind, which hold others: no generator comes to an end
there. So bodies are made from copies of the document's schemas in which the definitions are of
`KINDS`, and what stands inside of one is of the first of them. What requests are about is there,
for the rest of them to be looked at. Answers are held against the document as it is, and more
strictly: without `default`, a status that an operation does not name is a failure.
"""

from __future__ import annotations

import atexit
import json
import os
import re
import zlib
from collections import defaultdict
from http.cookiejar import DefaultCookiePolicy
from itertools import count, cycle
from pathlib import Path
from typing import Any

import requests
import schemathesis
from schemathesis.specs.openapi.checks import missing_required_header

from rheostat.limits import METRIC, NAME
from rheostat.server.http.requests import cursor_of

Json = dict[str, Any]
Case = Any
"""A request of schemathesis; its type knows less of it than it has."""

KINDS = frozenset(os.environ["RHEOSTAT_KINDS"].split())
"""
Schemas of the kinds of definitions that are sent; if there are none, all are.

Where it is a single one, controllers are of a single kind, too.
"""

TURNS: list[list[str | None]] = json.loads(os.environ["RHEOSTAT_TURNS"])
"""With which tokens, or with none, requests are sent again: one of these lists after the other."""

OFTEN = bool(int(os.environ.get("RHEOSTAT_EXAMPLES", "0")))
SHARED = frozenset({"run", "limit", "cursor", "idempotency-key", "rheostat-author", "number"})
"""Parameters of many operations, which one dependency reads."""

REF = "#/components/schemas/"
LIVE, SPARE, ENDED, CHANGED, HELD = "gpt-7b", "spare", "ended", "changed", "held"
"""
What stays; what comes and goes; runs that are finished, with a pending revision 2, and protected.
"""

FIXED: dict[tuple[str, str], Any] = {
    ("ensure_run", "run"): SPARE,
    ("delete_run", "run"): SPARE,
    ("finish_run", "run"): ENDED,
    ("advance_run", "run"): CHANGED,
    ("follow_run", "run"): ENDED,
    ("cancel_revision", "run"): CHANGED,
    ("cancel_revision", "number"): 2,
    ("cancel_revision", "expected_revision"): 2,
    ("read_revision", "number"): 1,
    ("read_revision", "timeout"): 0,
    ("wait_for_run", "timeout"): 0,
    ("wait_for_run", "number"): 1,
    ("wait_for_run", "until"): "report",
    ("tell_outcome", "run"): CHANGED,
    ("accept_proposal", "run"): CHANGED,
    ("accept_proposal", "number"): 1,
    ("decline_proposal", "run"): CHANGED,
    ("decline_proposal", "number"): 2,
    ("read_proposal", "run"): CHANGED,
    ("read_proposal", "number"): 3,
    ("report_metrics", "run"): os.environ["RHEOSTAT_RUN"],
    ("beat", "run"): os.environ["RHEOSTAT_RUN"],
    ("save_checkpoint", "run"): os.environ["RHEOSTAT_RUN"],
    ("protect_run", "run"): HELD,
    ("unprotect_run", "run"): HELD,
    ("list_runs", "selector"): "team=nlp,stage in (pretrain,mid),!frozen",
    ("list_runs", "created_after"): "2026-01-01T00:00:00Z",
    ("list_runs", "created_before"): "2026-01-01T00:00:00Z",
    ("list_runs", "sort"): "name",
    ("list_runs", "order"): "asc",
    ("list_runs", "cursor"): cursor_of('["name","gpt","gpt"]'),
    ("list_checkpoints", "cursor"): cursor_of("0:1:8:last"),
    ("disarm_controller", "name"): SPARE,
    ("delete_schedule", "name"): SPARE,
    ("revoke_token", "name"): SPARE,
    ("remove_hook", "name"): SPARE,
    ("retry_delivery", "number"): 1,
}
ANYWHERE = {
    "run": LIVE,
    "name": LIVE,
    "cursor": cursor_of("0"),
    "if-match": "*",
    "if-none-match": "none",
}
"""What parameters are sent as, of one operation or of any, in place of anything else that is sound.

The events of a finished run come to an end.
"""

NULL = {"type": "null"}
SCALE = {"$ref": f"{REF}SentScaleEdit"}
ONE_ALONE = {"enum": [1]}
ONE = {"type": "object", "properties": {"lr": SCALE}, "additionalProperties": False}
NARROWED: dict[str, dict[str, Json]] = {
    "Acceptance": {"expected_revision": NULL},
    "NewToken": {"runs": NULL, "limit": NULL},
    "NewProposal": {
        "kind": {"enum": ["change"]},
        "body": {"enum": [{"changes": {"lr": {"edit": "scale", "factor": 0.5}}}]},
    },
    "PurgeBody": {"older_than": {"enum": ["90d"]}},
    "Refusal": {"expected_revision": NULL},
    "Arming": {
        "kind": {"enum": ["plateau"]},
        "metric": {"type": "string", "pattern": f"^{METRIC}$"},
    },
    "BeatBody": {
        "workers": {
            "type": "array",
            "items": {"$ref": f"{REF}SentWorkerBody"},
            "minItems": 1,
            "maxItems": 1,
        }
    },
    "BulkChange": {"selector": {"enum": ["team=nobody"]}, "plan": NULL},
    "Change": {"expected_revision": NULL},
    "Conversion": {
        "library": {"enum": ["torch"]},
        "name": {"enum": ["CosineAnnealingLR"]},
        "params": {"enum": [{"T_max": 100}]},
        "config": NULL,
        "steps_per_epoch": NULL,
    },
    "Move": {"to": {"enum": [94_000]}, "expected_revision": NULL},
    "Fork": {"changes": {"anyOf": [NULL, ONE]}},
    "NewHook": {
        "url": {"enum": ["https://nobody.invalid/x"]},
        "format": {"enum": ["standard"]},
        "secret": NULL,
    },
    "OutcomeBody": {"generation": ONE_ALONE, "revision": {"enum": [3]}, "step": {"enum": [0]}},
    "Origin": {"run": {"enum": [LIVE]}},
    "Replacement": {
        "kind": {"enum": ["constant", "linear"]},
        **{field: {"type": "number"} for field in ("value", "start", "end")},
        "steps": {"type": "integer", "minimum": 1},
    },
    "Reporting": {
        "generation": ONE_ALONE,
        "reports": {"enum": [[{"step": 8000, "metrics": {"val_loss": 2.3124}}]]},
    },
    "RewindBody": {
        "controllers": NULL,
        "to": {"type": "integer", "minimum": 0, "maximum": 0},
        "from_generation": NULL,
        "expected_generation": NULL,
        "changes": {"anyOf": [NULL, ONE]},
    },
    "SavedBody": {
        "generation": ONE_ALONE,
        "step": {"type": "integer", "minimum": 0, "maximum": 90_000},
        "revision": NULL,
    },
    "SignIn": {"token": {"enum": [os.environ["RHEOSTAT_SIGN_IN"]]}},
    "WorkerBody": {"applied": {"enum": [[]]}, "wrong": {"enum": [[]]}},
    "RunAtPath": {
        "name": {"enum": [SPARE]},
        "controllers": {"type": "object", "maxProperties": 0},
        "protect": NULL,
    },
}
"""What fields of bodies are. All changes are sent as revisions; forks and rewinds read the same."""


class WithoutCookies(requests.Session):
    """
    Keeps no cookie: requests that sign in get one, and those after them shall be nobody's without a
    token.
    """

    def __init__(self) -> None:
        super().__init__()
        self.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))


requests.Session = requests.sessions.Session = WithoutCookies  # type: ignore[misc]

numbers = count()
turns = cycle(TURNS)
session = requests.Session()
answered: defaultdict[str, defaultdict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
"""Statuses of the answers to each operation's valid requests, and to those that are not."""

atexit.register(lambda: Path("answered.json").write_text(json.dumps(answered)))


@schemathesis.hook
def before_load_schema(_context: Any, raw_schema: Json) -> None:
    """Change the document before it is read."""
    schemas = raw_schema["components"]["schemas"]
    schemas |= sent(schemas)
    for operations in raw_schema["paths"].values():
        for operation in operations.values():
            del operation["responses"]["default"]
            if "requestBody" in operation:
                operation["requestBody"] = renamed(operation["requestBody"], "Outer")


@schemathesis.hook
def filter_case(_context: Any, case: Case) -> bool:
    """Break what many operations take in the same way only now and then, unless there is time."""
    data = case.meta and case.meta.phase.data
    name = getattr(data, "parameter", None)
    if OFTEN or name not in SHARED:
        return True
    scenario = getattr(data, "scenario", None)
    return zlib.crc32(f"{case.operation.label} {name} {scenario}".encode()) % 4 == 0


@schemathesis.hook
def before_call(_context: Any, case: Case, _kwargs: Any) -> None:
    """Change what is sound, but would be refused for what was sent before, or was not."""
    if case.meta and getattr(case.meta.phase.data, "parameter", None) == "Authorization":
        return  # if it is changed, schemathesis puts the header back that it left out
    operation = case.operation.definition.raw["operationId"]
    if operation == "begin_session":  # what a browser says of the page
        case.headers["Sec-Fetch-Site"] = "same-origin"
    rehearse(operation, case)
    for place in (case.path_parameters, case.query, case.headers):
        for name, value in list((place or {}).items()):
            fixed = FIXED.get((operation, name), ANYWHERE.get(name))
            if name == "idempotency-key":
                fixed = f"{next(numbers)}"
            if fixed is not None and is_sound(operation, name, value):
                place[name] = fixed
    if case.meta and case.meta.generation.mode.value == "negative" and isinstance(case.body, dict):
        case.body = without_numbers(case.body)
    if operation in {"create_run", "create_token"} and isinstance(case.body, dict):
        name = case.body.get("name")
        if isinstance(name, str) and re.fullmatch(NAME, name):
            case.body = {**case.body, "name": f"{name[:100]}-{next(numbers)}"}


def rehearse(operation: str, case: Case) -> None:
    """Have a change of many runs rehearsed, since that makes the plan without which it is none."""
    if operation == "change_runs" and case.meta and case.meta.generation.mode.value == "positive":
        case.query = {**(case.query or {}), "dry_run": "true"}


def without_numbers(body: Json) -> Json:
    """
    Write as text the changes that are numbers.

    A number stands for a constant; schemathesis takes it for wrong where an object may stand, too.
    """

    def text(change: Any) -> Any:
        if isinstance(change, list):
            return [text(item) for item in change]
        return f"{change}" if type(change) in {int, float} else change

    changes = body.get("changes")
    if not isinstance(changes, dict):
        return body
    return {**body, "changes": {name: text(change) for name, change in changes.items()}}


def is_sound(operation: str, name: str, value: Any) -> bool:
    """Tell whether a parameter is as the document says."""
    text = f"{value}"
    if name in {"number", "expected_revision"}:
        return text.isdecimal() and 1 <= int(text) < 2**31
    if name == "name" or (name == "run" and operation == "ensure_run"):
        return re.fullmatch(NAME, text) is not None
    if name in {"sort", "order"}:
        return text in {"name", "created", "finished", "author", "asc", "desc"}
    longest = {"run": 128, "idempotency-key": 255, "created_after": 64, "created_before": 64}.get(
        name, 1024
    )
    return 0 < len(text) <= longest and not (name == "run" and "\0" in text)


@schemathesis.hook
def after_call(_context: Any, case: Case, response: Any) -> None:
    """Note the status of an answer."""
    if case.meta and case.method == case.operation.method.upper():
        answered[case.operation.label][case.meta.generation.mode.value].append(response.status_code)


@schemathesis.check
def others_are_answered(_context: Any, _response: Any, case: Case) -> None:
    """Send a request again with other tokens, and hold the answers against the document, too."""
    for token in next(turns):
        header = token and f"Bearer {token}"
        answer = case.call(session=session, headers={"Authorization": header})
        excluded = [others_are_answered, missing_required_header]
        case.validate_response(answer, excluded_checks=excluded)


def sent(schemas: Json) -> Json:
    """Return copies of the schemas that definitions do not nest in without end, by their names."""
    kinds = [each["$ref"].removeprefix(REF) for each in schemas["Definition"]["oneOf"]]
    inside = {*kinds, "Part"}
    copies = {
        f"Sent{name}": renamed(schema, "Inner" if name in inside else "Outer")
        for name, schema in schemas.items()
    }
    change = copies["SentChanges"].pop("additionalProperties")
    change["anyOf"][-1]["items"] = SCALE
    copies["SentChanges"] |= {"properties": {"lr": change}, "additionalProperties": False}
    for name, fields in NARROWED.items():
        copies[f"Sent{name}"]["properties"] |= fields
    del copies["SentNewHook"]["properties"]["selector"]  # most texts are one, and many are none
    if len(KINDS) == 1:
        del copies["SentControllerConfig"]["anyOf"][1:]
    outer = [{"$ref": f"{REF}Sent{kind}"} for kind in kinds if kind in (KINDS or kinds)]
    return {**copies, "SentOuter": {"oneOf": outer}, "SentInner": {"oneOf": outer[:1]}}


def renamed(node: Any, definition: str) -> Any:
    """Return a part of the document that refers to copies, and to this one for definitions."""
    if isinstance(node, list):
        # null first: fields that may be null often exclude each other
        choices = [renamed(item, definition) for item in node]
        return sorted(choices, key=lambda choice: bool(choice != {"type": "null"}))
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        name = node["$ref"].removeprefix(REF)
        return {**node, "$ref": f"{REF}Sent{definition if name == 'Definition' else name}"}
    rest = ((key, value) for key, value in node.items() if key != "discriminator")
    return {key: renamed(value, definition) for key, value in rest}
