"""Signals on the wire: what blocks tell in each format, and what a run says that it understands."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import httpx
import jsonschema_rs
import pytest

from rheostat.limits import MAX_STEP
from rheostat.server.runs.signals import LONGEST_HEADER, TOO_MANY

if TYPE_CHECKING:
    from tests.conftest import StartServer
    from tests.server.conftest import AssertProblem

F64 = {"Accept": "application/octet-stream"}
SIGNALS: dict[str, Any] = {
    "checkpoint": {
        "text": "save all ranks",
        "arguments": {"tag": {"type": "string", "max": 64}, "keep": {"type": "boolean"}},
    },
    "switch-data": {
        "arguments": {
            "stage": {"type": "integer", "min": 1, "max": 3, "required": True},
            "share": {"type": "number", "enum": [0.25, 0.5, 1]},
        }
    },
}
NAMES = iter(f"signals-{number}" for number in range(1000))


def create(http: httpx.Client, **fields: Any) -> dict[str, Any]:
    """Create a run of a new name."""
    body = {"parameters": {"lr": 0.5}, **fields}
    made: dict[str, Any] = http.put(f"/v1/runs/{next(NAMES)}", json=body).json()
    return made


def send(http: httpx.Client, run: dict[str, Any], word: str, **rest: Any) -> httpx.Response:
    """Send a signal."""
    return http.post(f"/v1/runs/{run['name']}/signals", json={"signal": word, **rest})


def block(
    http: httpx.Client, run: dict[str, Any], start: int, count: int, **headers: str
) -> httpx.Response:
    """Read a block as a worker does."""
    params = {"generation": 1, "start": start, "count": count}
    answer = http.get(f"/v1/runs/{run['id']}/values", params=params, headers=headers)
    return answer.raise_for_status()


def test_blocks_tell_signals_in_both_formats(http: httpx.Client) -> None:
    """JSON has step, word, arguments and revision; the header of every format, where to look."""
    run = create(http, signals=SIGNALS)
    arguments = {"tag": "before-decay"}
    answer = send(http, run, "checkpoint", arguments=arguments, effective=6, message="just in case")
    assert answer.status_code == 201
    assert answer.json() == {"revision": 2, "effective": 6, "beyond": None, "warnings": []}
    send(http, run, "switch-data", arguments={"stage": 2}, effective=7).raise_for_status()
    told = block(http, run, 0, 8)
    assert told.json()["signals"] == [
        {"at": 6, "signal": "checkpoint", "arguments": arguments, "revision": 2},
        {"at": 7, "signal": "switch-data", "arguments": {"stage": 2}, "revision": 3},
    ]
    raw = block(http, run, 0, 8, **F64)
    assert told.headers["rheostat-signals"] == raw.headers["rheostat-signals"] == "6#2,7#3"
    assert len(raw.content) == 8 * 8
    kept = http.get(f"/v1/runs/{run['name']}/revisions/2").json()
    assert kept["kind"] == "signal"
    assert kept["data"] == {"signal": "checkpoint", "arguments": arguments}
    assert (kept["message"], kept["pending"]) == ("just in case", False)


def test_a_block_without_signals_is_as_it_ever_was(http: httpx.Client) -> None:
    """P1: no byte of it says that there could be signals, so that no cache holds two of one."""
    run = create(http)
    answer = block(http, run, 0, 2)
    assert "rheostat-signals" not in answer.headers
    assert list(answer.json()) == [
        *("id", "generation", "start", "count", "resolution", "revisions", "parameters")
    ]


def test_signals_are_immutable_on_every_way(start_server: StartServer) -> None:
    """P1: fast lane, application, 304, another replica and a restart tell the very same."""
    first = start_server()
    with first.client() as http:
        run = create(http)
        send(http, run, "checkpoint", effective=3)
        answers = [block(http, run, 0, 8, **F64) for _ in range(3)]
        unchanged = block_unchanged(http, run, answers[0].headers["etag"])
    second = start_server(database=first.settings["database"])
    with second.client() as http:
        send(http, run, "late").raise_for_status()
        answers.append(block(http, run, 0, 8, **F64))
        wide = block(http, run, 0, 16)
        assert [each["at"] for each in wide.json()["signals"]] == [3, 8]
    first.kill()
    first.restart()
    with first.client() as http:
        answers.append(block(http, run, 0, 8, **F64))
    same = {
        (each.content, each.headers["rheostat-signals"], each.headers["etag"]) for each in answers
    }
    assert len(same) == 1
    assert unchanged.status_code == 304
    assert unchanged.headers["rheostat-signals"] == answers[0].headers["rheostat-signals"] == "3#2"


def block_unchanged(http: httpx.Client, run: dict[str, Any], etag: str) -> httpx.Response:
    """Ask for a block that one has already."""
    params = {"generation": 1, "start": 0, "count": 8}
    headers = {**F64, "If-None-Match": etag}
    return http.get(f"/v1/runs/{run['id']}/values", params=params, headers=headers)


def test_more_than_a_header_takes_are_in_json(http: httpx.Client) -> None:
    """P10: a header stays within a KiB; one that would be longer says so, and JSON has them all."""
    run = create(http)
    start = MAX_STEP - 200
    http.post(f"/v1/runs/{run['name']}/join", json={"start": start}).raise_for_status()
    for step in range(start, start + 64):
        send(http, run, "checkpoint", effective=step).raise_for_status()
        block(http, run, step, 1)
    raw, told = block(http, run, start + 60, 4, **F64), block(http, run, start + 60, 4)
    assert raw.headers["rheostat-signals"] == told.headers["rheostat-signals"] == TOO_MANY
    assert [each["at"] for each in told.json()["signals"]] == [*range(start, start + 64)]
    fits = block(http, run, start + 20, 1, **F64).headers["rheostat-signals"]
    assert re.fullmatch(r"\d+#\d+(,\d+#\d+){20}", fits)
    assert len(fits) <= LONGEST_HEADER


def test_what_is_told_at_a_pause_from_memory_is_kept(
    http: httpx.Client, problem: AssertProblem
) -> None:
    """P2: a rank that is refused from memory hears of signals that nobody takes back any more."""
    run = create(http)
    path = f"/v1/runs/{run['name']}"
    word = {"signal": {"signal": "checkpoint"}}
    http.post(f"{path}/pause", json={"effective": 4, **word}).raise_for_status()
    block(http, run, 0, 4)

    def refusal(start: int) -> Any:
        params = {"generation": 1, "start": start, "count": 2}
        return problem(http.get(f"/v1/runs/{run['id']}/values", params=params), "paused")["signals"]

    told = [{"at": 4, "signal": "checkpoint", "arguments": {}, "revision": 2}]
    assert [refusal(start) for start in (3, 3, 4, 3, 4)] == 5 * [told]
    http.post(f"{path}/resume", json={}).raise_for_status()
    assert block(http, run, 4, 2, Prefer="wait=30").json()["signals"] == told


def test_a_preview_tells_what_is_to_come(http: httpx.Client) -> None:
    """A pending signal is seen where it will be told, until it is taken back."""
    run = create(http)
    send(http, run, "checkpoint", effective=5)
    path = f"/v1/runs/{run['name']}"
    ask = {"start": 0, "count": 8}
    assert http.get(f"{path}/values", params=ask).json()["signals"][0]["at"] == 5
    assert http.get(path).json()["pending"][0]["kind"] == "signal"
    http.delete(f"{path}/revisions/2").raise_for_status()
    assert "signals" not in http.get(f"{path}/values", params=ask).json()


def test_a_signal_is_sent_once_by_its_key(http: httpx.Client) -> None:
    """P4: a request that is repeated with its key has its effect once, and the same answer."""
    run = create(http)
    path, headers = f"/v1/runs/{run['name']}/signals", {"Idempotency-Key": run["id"]}
    answers = [http.post(path, json={"signal": "x"}, headers=headers) for _ in range(2)]
    assert [each.status_code for each in answers] == [201, 201]
    assert answers[0].json() == answers[1].json()
    assert http.get(f"/v1/runs/{run['name']}").json()["revision"] == 2


REFUSED: list[tuple[str, dict[str, Any], str]] = [
    ("save", {}, "signal"),
    ("checkpoint", {"tag": 7}, "arguments.tag"),
    ("checkpoint", {"tag": 65 * "x"}, "arguments.tag"),
    ("checkpoint", {"keep": 1}, "arguments.keep"),
    ("checkpoint", {"where": "s3"}, "arguments.where"),
    ("switch-data", {}, "arguments.stage"),
    ("switch-data", {"stage": 0}, "arguments.stage"),
    ("switch-data", {"stage": 4}, "arguments.stage"),
    ("switch-data", {"stage": 1.5}, "arguments.stage"),
    ("switch-data", {"stage": True}, "arguments.stage"),
    ("switch-data", {"stage": 1, "share": 0.75}, "arguments.share"),
]


@pytest.mark.parametrize(("word", "arguments", "field"), REFUSED)
def test_what_is_not_understood_is_refused(
    http: httpx.Client, problem: AssertProblem, word: str, arguments: Any, field: str
) -> None:
    """P10: a word or an argument that was not declared names the field, and what would be."""
    run = create(http, signals=SIGNALS)
    found = problem(send(http, run, word, arguments=arguments), "invalid")
    (error,) = found["errors"]
    assert error["field"] == field
    assert error["bound"]
    if field == "signal":
        assert error["bound"] == "one of checkpoint, switch-data"


@pytest.mark.parametrize(
    ("word", "field"),
    [("Save", "signal"), ("a b", "signal"), ("\n", "signal"), ("save\n", "signal")],
)
def test_a_run_that_declares_none_takes_any_word(
    http: httpx.Client, problem: AssertProblem, word: str, field: str
) -> None:
    """P10: any word that is one, and no arguments."""
    run = create(http)
    assert problem(send(http, run, word), "invalid")["errors"][0]["field"] == field
    bare = problem(send(http, run, "save", arguments={"tag": "x"}), "invalid")
    assert bare["errors"][0]["field"] == "arguments.tag"
    assert send(http, run, "save").status_code == 201


BAD: list[tuple[dict[str, Any], str]] = [
    ({"signals": {"x": {"arguments": {"a": {"type": "list"}}}}}, "signals.x.arguments.a.type"),
    (
        {"signals": {"x": {"arguments": {"a": {"type": "boolean", "min": 1}}}}},
        "signals.x.arguments.a.min",
    ),
    (
        {"signals": {"x": {"arguments": {"a": {"type": "number", "min": 2, "max": 1}}}}},
        "signals.x.arguments.a.min",
    ),
    (
        {"signals": {"x": {"arguments": {"a": {"type": "integer", "enum": [1, "b"]}}}}},
        "signals.x.arguments.a.enum",
    ),
    (
        {"signals": {"x": {"arguments": {"a": {"type": "integer", "enum": [3], "max": 2}}}}},
        "signals.x.arguments.a.enum",
    ),
    ({"signals": {"x": {"arguments": {"a": {"type": "string", "len": 1}}}}}, "len"),
    ({"describe": {"wd": {"text": "weight decay"}}}, "describe.wd"),
    ({"describe": {"lr": {"color": "red"}}}, "describe.lr.color"),
    ({"goal": {"direction": "min"}}, "goal.metric"),
    ({"goal": {"metric": "loss", "direction": "up"}}, "goal.direction"),
    ({"about": 7}, "about"),
    ({"about": 2000 * "€"}, "about"),
]


@pytest.mark.parametrize(("fields", "field"), BAD)
def test_a_surface_that_makes_no_sense_is_refused(
    http: httpx.Client, problem: AssertProblem, fields: dict[str, Any], field: str
) -> None:
    """P10: what a run says of itself is checked when it is created, field by field."""
    body = {"name": next(NAMES), "parameters": {"lr": 0.5}, **fields}
    errors = problem(http.post("/v1/runs", json=body), "invalid")["errors"]
    assert any(field in error["field"] for error in errors)


def test_the_surface_has_all_that_can_be_done(http: httpx.Client) -> None:
    """Parameters with guards, texts and values, the edits, and the signals, with their schemas."""
    goal = {"metric": "val_loss", "target": 2.1}
    run = create(
        http,
        signals=SIGNALS,
        describe={"lr": {"text": "peak rate", "unit": "1/step"}},
        goal=goal,
        about="the baseline",
    )
    found = http.get(f"/v1/runs/{run['name']}/surface").json()
    assert (found["goal"], found["about"]) == (goal, "the baseline")
    lr = found["parameters"]["lr"]
    assert (lr["value"], lr["definition"]["kind"]) == (0.5, "constant")
    assert lr["guard"] == {"min": 0, "max": None, "max_ratio": None}
    assert lr["description"] == {"text": "peak rate", "unit": "1/step"}
    assert found["signals"]["checkpoint"]["text"] == "save all ranks"
    assert not found["any_signal"]
    assert (found["metrics"], found["controllers"]) == ([], {})
    document = http.get("/openapi.json").json()
    for name, edit in found["edits"].items():
        jsonschema_rs.meta.validate(edit["schema"])
        assert edit["schema"]["properties"]["edit"]["const"] == name
        assert edit["usage"].startswith(name)
        for reference in references(edit["schema"]):
            address, _, path = reference.partition("#/components/schemas/")
            assert address == "/openapi.json"
            assert path in document["components"]["schemas"]
    assert http.get("/v1/runs/nobody/surface").status_code == 404


def references(node: Any) -> Iterator[str]:
    """Yield what a schema refers to."""
    if isinstance(node, dict):
        if "$ref" in node:
            yield node["$ref"]
        node = list(node.values())
    if isinstance(node, list):
        for item in node:
            yield from references(item)
