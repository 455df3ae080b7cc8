"""Proposals over HTTP: who may suggest, who decides, and what is refused."""

from __future__ import annotations

from typing import Any, get_args

import httpx
import pytest
from tests.conftest import Guarded, Names
from tests.server.conftest import AssertProblem
from tests.server.test_protected import ASKED

from rheostat import wire
from rheostat.server.routes.measures import KINDS

BODY = {"parameters": {"lr": {"kind": "constant", "value": 0.5}}, "total": 640}
HALVE = {"changes": {"lr": {"edit": "scale", "factor": 0.5}}, "message": "loss spike"}
SUGGESTED: dict[wire.ProposalKind, dict[str, Any]] = {
    "change": HALVE,
    "stop": {"effective": 32, "message": "overfit", "signal": {"signal": "checkpoint"}},
    "pause": {},
    "signal": {"signal": "checkpoint", "message": "before the decay"},
    "rewind": {"to": 8, "message": "diverged"},
    "total": {"total": 1280},
    "advance": {"to": 24, "message": "smoke test"},
    "finish": {"end": 64, "message": "enough"},
    "control": {
        "name": "plateau",
        "kind": "plateau",
        "metric": "val_loss",
        "patience": 3,
        "message": "as in the last run",
    },
}
"""A sound body of each kind that a run can have which is settled until step 16, and no more."""


@pytest.fixture
def run(http: httpx.Client, new_name: Names) -> str:
    """Return the path of a run, of which 16 steps are settled."""
    path = f"/v1/runs/{new_name()}"
    created = http.put(path, json=BODY).raise_for_status()
    first = {"generation": 1, "start": 0, "count": 16}
    http.get(f"/v1/runs/{created.json()['id']}/values", params=first).raise_for_status()
    return path


def test_every_kind_is_suggested_somewhere() -> None:
    """What needs another run than the one here is suggested by `test_protected`."""
    assert KINDS.keys() == {*get_args(wire.ProposalKind)} == SUGGESTED.keys() | ASKED.keys()


@pytest.mark.parametrize("kind", SUGGESTED)
def test_every_kind_is_done_when_it_is_accepted(http: httpx.Client, run: str, kind: Any) -> None:
    """What an operator may do can be suggested, is kept as it was, and is one revision then."""
    asked = {"kind": kind, "body": SUGGESTED[kind]}
    by = {"Rheostat-Author": "bob"}
    made = http.post(f"{run}/proposals", json=asked, headers=by)
    assert made.status_code == 201, made.text
    assert (made.json()["kind"], made.json()["body"]) == (kind, SUGGESTED[kind])
    assert http.get(run).json()["revision"] == 1

    path = f"{run}/proposals/1"
    accepted = http.post(f"{path}/accept", json={"expected_revision": 1}).raise_for_status().json()

    assert (accepted["state"], accepted["revision"]) == ("accepted", 2)
    revision = http.get(f"{run}/revisions/2").json()
    assert (revision["author"], revision["kind"]) == ("bob", kind)
    assert revision["effective"] == accepted["effective"]
    assert revision["cause"] == {"proposal": 1, "decided_by": None}
    assert http.get(path).json().items() <= accepted.items()


@pytest.mark.parametrize("kind", SUGGESTED)
@pytest.mark.parametrize(
    ("more", "field"),
    [({"nope": 1}, "body.nope"), ({"message": 5}, "body.message")],
)
def test_every_body_is_read_as_its_request(
    http: httpx.Client, run: str, problem: AssertProblem, kind: Any, more: Any, field: str
) -> None:
    """P10: a wrong field is refused at once, by its place in the body, and nothing is kept."""
    asked = {"kind": kind, "body": {**SUGGESTED[kind], **more}}
    refusal = problem(http.post(f"{run}/proposals", json=asked), "invalid")
    assert field in [error["field"] for error in refusal["errors"]]
    assert http.get(f"{run}/proposals").json() == {"items": [], "next": None}


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "kind"),
        ({"kind": "destroy", "body": {}}, "kind"),
        ({"kind": "change"}, "body"),
        ({"kind": "change", "body": []}, "body"),
        ({"kind": "change", "body": HALVE, "cause": {}}, "cause"),
    ],
)
def test_what_is_no_proposal_is_refused(
    http: httpx.Client, run: str, problem: AssertProblem, body: Any, field: str
) -> None:
    """P10: the field is named; what makes a controller suggest something is not for others."""
    refusal = problem(http.post(f"{run}/proposals", json=body), "invalid")
    assert field in [error["field"] for error in refusal["errors"]]


@pytest.mark.parametrize(
    ("kind", "body", "code"),
    [
        ("change", {**HALVE, "effective": 8}, "too-late"),
        ("change", {**HALVE, "expected_revision": 7}, "revision-mismatch"),
        ("change", {"changes": {"lr": -1.0}}, "guard-violated"),
        ("stop", {"effective": 8}, "too-late"),
        ("control", {**SUGGESTED["control"], "name": "no name"}, "invalid"),
        ("control", {**SUGGESTED["control"], "replay": True}, "invalid"),
        ("control", {**SUGGESTED["control"], "parameters": ["nope"]}, "invalid"),
        ("pause", {"signal": {"signal": "Checkpoint"}}, "invalid"),
        ("rewind", {"to": 8, "expected_generation": 7}, "generation-mismatch"),
        ("rewind", {"to": 8, "from_generation": 7}, "unknown-generation"),
        ("total", {"total": 1280, "effective": 8}, "too-late"),
    ],
)
def test_what_would_be_refused_is_refused_at_once(
    http: httpx.Client, run: str, problem: AssertProblem, kind: str, body: Any, code: str
) -> None:
    """A proposal is tried like a rehearsal, and says why it could not be accepted."""
    problem(http.post(f"{run}/proposals", json={"kind": kind, "body": body}), code)
    assert http.get(run).json()["proposals"] == {"open": 0, "numbers": []}


def test_who_suggests_does_not_decide(guarded: Guarded, new_name: Names) -> None:
    """A proposer may look and suggest, and change nothing; the history names both."""
    path = f"/v1/runs/{new_name()}"
    guarded.ask("worker", "PUT", path, json=BODY).raise_for_status()
    asked = {"kind": "change", "body": HALVE}
    assert guarded.ask("viewer", "POST", f"{path}/proposals", json=asked).status_code == 403
    assert guarded.ask("proposer", "POST", f"{path}/proposals", json=asked).status_code == 201
    assert guarded.ask("proposer", "POST", f"{path}/revisions", json=HALVE).status_code == 403
    for role in ("proposer", "worker"):
        for decision in ("accept", "decline"):
            refused = guarded.ask(role, "POST", f"{path}/proposals/1/{decision}", json={})
            assert refused.status_code == 403
    guarded.ask("operator", "POST", f"{path}/proposals/1/accept", json={}).raise_for_status()
    revision = guarded.ask("proposer", "GET", f"{path}/revisions/2").json()
    assert (revision["author"], revision["cause"]["decided_by"]) == ("proposer", "operator")


def test_a_key_has_its_effect_once(http: httpx.Client, run: str) -> None:
    """P4: a lost answer can be asked for again, of a proposal and of a decision."""
    for path, body in (
        (f"{run}/proposals", {"kind": "change", "body": HALVE}),
        (f"{run}/proposals/1/accept", {}),
    ):
        headers = {"Idempotency-Key": path}
        first, again = (http.post(path, json=body, headers=headers) for _ in range(2))
        assert (again.status_code, again.json()) == (first.status_code, first.json())
    assert http.get(run).json()["revision"] == 2
    assert len(http.get(f"{run}/proposals").json()["items"]) == 1


def test_one_that_is_decided_is_not_open(
    http: httpx.Client, run: str, problem: AssertProblem
) -> None:
    """409 with its state, and the revision that it made."""
    http.post(f"{run}/proposals", json={"kind": "change", "body": HALVE}).raise_for_status()
    http.post(f"{run}/proposals/1/accept").raise_for_status()
    for decision in ("accept", "decline"):
        refusal = problem(http.post(f"{run}/proposals/1/{decision}", json={}), "not-open")
        assert (refusal["state"], refusal["revision"]) == ("accepted", 2)
    problem(http.post(f"{run}/proposals/2/accept", json={}), "unknown-proposal")
    problem(http.get(f"{run}/proposals/2"), "unknown-proposal")


def test_decisions_are_bounded(http: httpx.Client, run: str, problem: AssertProblem) -> None:
    """P10: a message has its length, and a revision is a number; the proposal stays open."""
    http.post(f"{run}/proposals", json={"kind": "change", "body": HALVE}).raise_for_status()
    for decision in ("accept", "decline"):
        for body, field in (
            ({"message": 4097 * "x"}, "message"),
            ({"expected_revision": 0}, "expected_revision"),
        ):
            refusal = problem(http.post(f"{run}/proposals/1/{decision}", json=body), "invalid")
            assert field in [error["field"] for error in refusal["errors"]]
        body = {"expected_revision": 9}
        problem(http.post(f"{run}/proposals/1/{decision}", json=body), "revision-mismatch")
    assert http.get(f"{run}/proposals/1").json()["state"] == "open"


def test_a_list_has_a_state_and_a_cursor(
    http: httpx.Client, run: str, problem: AssertProblem
) -> None:
    """Oldest first, by page; another word than a state is refused."""
    for _ in range(3):
        http.post(f"{run}/proposals", json={"kind": "change", "body": HALVE}).raise_for_status()
    http.post(f"{run}/proposals/2/decline", json={"message": "it recovers"}).raise_for_status()
    first = http.get(f"{run}/proposals", params={"state": "open", "limit": 1}).json()
    params = {"state": "open", "cursor": first["next"]}
    last = http.get(f"{run}/proposals", params=params).json()
    assert [item["proposal"] for item in first["items"] + last["items"]] == [1, 3]
    assert last["next"] is None
    (declined,) = http.get(f"{run}/proposals", params={"state": "declined"}).json()["items"]
    assert declined["reason"] == "it recovers"
    problem(http.get(f"{run}/proposals", params={"state": "closed"}), "invalid")


def test_nobody_is_named_as_a_controller(
    http: httpx.Client, run: str, problem: AssertProblem
) -> None:
    """What a controller decides is known by its author, so the header cannot be one."""
    headers = {"Rheostat-Author": "controller:plateau"}
    refusal = problem(http.post(f"{run}/revisions", json=HALVE, headers=headers), "invalid")
    assert [error["field"] for error in refusal["errors"]] == ["Rheostat-Author"]
