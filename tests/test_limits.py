"""Every limit that is shared is in the manual, and refused beyond: by field, value and bound."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.conftest import RunningServer

from rheostat import limits
from rheostat.limits import (
    MAX_BLOCK,
    MAX_CHANGES,
    MAX_CONTROLLERS,
    MAX_GAP,
    MAX_NESTING,
    MAX_OPEN_PROPOSALS,
    MAX_PIECES,
    MAX_STEP,
    MAX_STOPS,
    UNITS,
    whole_number,
)

ROWS = (Path(__file__).parents[1] / "docs/limits.md").read_text().splitlines()
LIMITS = dict(re.findall(r"^\| ([A-Z_]+) \| (.*?) \| ", "\n".join(ROWS), re.MULTILINE))
"""What the manual says, by the names of the constants."""


class Asked(NamedTuple):
    """A request that goes one beyond a limit."""

    method: str
    path: str
    body: Any = None
    field: str = ""
    """What is refused."""
    params: Mapping[str, Any] | None = None
    headers: Mapping[str, str] | None = None
    before: int = 0
    """How often the body is accepted first."""
    apart: bool = False
    """Whether each of these is at a step of its own."""


def run(field: str, **more: Any) -> Asked:
    """Return the making of a run."""
    return Asked(
        "POST", "/v1/runs", {"name": "one-too-many", "parameters": {"lr": 1}, **more}, field
    )


def revised(field: str, **body: Any) -> Asked:
    """Return the revision of the run of these tests."""
    return Asked("POST", "/v1/runs/{run}/revisions", {"changes": {"lr": 1}, **body}, field)


def proposed(field: str, **changes: Any) -> Asked:
    """Return a proposal for the run of these tests."""
    body = {"kind": "change", "body": {"changes": changes}}
    return Asked("POST", "/v1/runs/{run}/proposals", body, field)


def outcome(field: str, **more: Any) -> Asked:
    """Return what a worker says became of a signal."""
    told = {"generation": 1, "revision": 1, "source": "main", "outcome": "done", "step": 0}
    return Asked("POST", "/v1/runs/{run}/outcomes", told | more, field)


def beaten(field: str, *more: Any, **said: Any) -> Asked:
    """Return a beat of one worker, and maybe of more."""
    one = {"worker": "0", "session": "a", "step": 0, **said}
    body = {"generation": 1, "workers": [one, *more]}
    return Asked("POST", "/v1/runs/{id}/beats", body, field)


def windows(*counts: int, values: int = 0) -> list[Any]:
    """Return windows of so many stretches of one cell each, or of one with so many values."""
    return [
        {
            "cells": [[0, values, 1]] if values else count * [[0, 1, 1]],
            "parameters": {"lr": "f64"},
            "digest": 32 * "0",
            **({"values": {"lr": values * [0]}} if values else {}),
        }
        for count in counts
    ]


def checkpoint(field: str, **more: Any) -> Asked:
    """Return what a worker says that it saved."""
    saved = {"generation": 1, "step": 0, "tag": "last", "source": "main"}
    return Asked("POST", "/v1/runs/{run}/checkpoints", saved | more, field)


def evaluated(definition: Any, field: str = "definition", form: str = "json", **body: Any) -> Asked:
    """Return the evaluation of a definition."""
    asked = {"definition": definition, "step": 0, **body}
    return Asked("POST", "/v1/evaluate", asked, field, {"format": form})


def simulated(field: str, **controller: Any) -> Asked:
    """Return the simulation of a controller."""
    asked = {"controller": {"kind": "plateau", "metric": "x", **controller}, "reports": []}
    return Asked("POST", "/v1/control/simulate", asked, field)


def nested(depth: int) -> Any:
    """Return definitions inside of each other."""
    inner: Any = {"kind": "constant", "value": 1}
    for _ in range(depth):
        inner = {"kind": "scale", "of": inner, "factor": 1}
    return inner


def texts(count: int) -> Any:
    """Return a definition with so many lengths that are written as text."""
    return {"kind": "piecewise", "points": [[f"0.{i:06d}%", 1] for i in range(1, count + 1)]}


def described(text: str) -> Any:
    """Return the declaration of a signal."""
    return {"checkpoint": {"text": text}}


def argument(value: Any, **more: Any) -> Asked:
    """Return a signal to the run that has declared one."""
    body = {"signal": "checkpoint", "arguments": {"tag": value}, **more}
    return Asked("POST", "/v1/runs/{said}/signals", body, "arguments.tag")


TAGGED = {"checkpoint": {"arguments": {"tag": {"type": "string"}}}}
METRICS = [f"m{i}" for i in range(257)]
PANELS = [f"lr/{letter}" for letter in "abcdefghijklmnopqrstuvwxy"]
PENDING = 20
"""Revisions that may wait, set to be few: to make a thousand takes its time."""
ONE = {"kind": "constant", "value": 1}
LINE = {"kind": "linear", "start": 0, "end": 1, "steps": 9}
BEYOND: dict[str, Asked] = {
    "MAX_STEP": evaluated(1, "step", step=MAX_STEP + 1),
    "MAX_NUMBER": Asked("GET", "/v1/schedules/x", None, "version", {"version": 2**31}),
    "NAME": run("name", name="-x"),
    "RUN_ID": run("name", name="run_" + 26 * "0"),
    "PARAMETER": run("parameters.LR", parameters={"LR": 1}),
    "PARAMETERS": simulated("controller.parameters[0]", parameters=["lr/**"]),
    "MAX_NAME": run(f"labels.{100 * 'x'}", labels={129 * "x": "y"}),
    "MAX_LABEL": run("labels.x", labels={"x": 1025 * "y"}),
    "MAX_AUTHOR": run("Rheostat-Author")._replace(headers={"Rheostat-Author": 201 * "x"}),
    "WORD": run("signals.Save", signals={"Save": {}}),
    "MAX_SIGNALS": run("signals", signals={f"s{i}": {} for i in range(17)}),
    "MAX_ARGUMENTS": run(
        "signals.s.arguments",
        signals={"s": {"arguments": {f"a{i}": {"type": "string"} for i in range(9)}}},
    ),
    "MAX_ARGUMENT": argument(1025 * "x"),
    "MAX_TEXT": run("signals.checkpoint.text", signals=described(513 * "x")),
    "MAX_SURFACE": run(
        "signals",
        signals={
            f"s{i}": {
                "text": 500 * "x",
                "arguments": {"a": {"type": "string", "text": 512 * "x"}},
            }
            for i in range(16)
        },
    ),
    "MAX_ABOUT": run("about", about=4097 * "x"),
    "MAX_PENDING_SIGNALS": Asked(
        "POST", "/v1/runs/{run}/signals", {"signal": "x"}, "signal", before=32, apart=True
    ),
    "CONTROLLER_AUTHOR": run("Rheostat-Author")._replace(
        headers={"Rheostat-Author": "controller:plateau"}
    ),
    "MAX_PARAMETERS": run("parameters", parameters={f"p{i}": 1 for i in range(257)}),
    "MAX_LABELS": run("labels", labels={f"label {i}": "x" for i in range(65)}),
    "MAX_REPORTED": Asked(
        "POST",
        "/v1/runs/{id}/reports",
        {"generation": 1, "reports": [{"step": 0, "metrics": dict.fromkeys(METRICS, 1)}]},
        "reports[0].metrics",
    ),
    "MAX_CONTROLLERS": Asked(
        "PUT",
        "/v1/runs/{crowded}/controllers/one-too-many",
        {"kind": "stop", "metric": "loss"},
        "name",
    ),
    "MAX_PENDING": revised("changes", effective=2 * MAX_GAP)._replace(before=PENDING),
    "MAX_MESSAGE": revised("message", message=4097 * "x"),
    "MAX_BLOCK": run("max_block", max_block=MAX_BLOCK + 1),
    "USUAL_BLOCK": Asked(
        "GET", "/v1/runs/{id}/values", None, "count", {"generation": 1, "start": 0, "count": 4097}
    ),
    "MAX_GAP": Asked(
        "GET", "/v1/runs/{id}/values", None, "start", {"generation": 1, "start": 257, "count": 1}
    ),
    "MAX_STOPS": Asked("POST", "/v1/runs/{run}/pause", {}, "effective")._replace(before=MAX_STOPS),
    "MAX_OPEN_PROPOSALS": proposed("author", lr=2)._replace(before=MAX_OPEN_PROPOSALS),
    "MAX_PROPOSAL": proposed("body", lr={"kind": "table", "values": 131_072 * [0]}),
    "MAX_OUTCOME_DATA": outcome("data", data={"path": 4096 * "x"}),
    "MAX_TAG": checkpoint("tag", tag=129 * "x"),
    "MAX_URI": checkpoint("uri", uri=2049 * "x"),
    "MAX_SOURCE": outcome("source", source=129 * "x"),
    "MAX_NOTES": Asked("POST", "/v1/runs/{run}/notes", {"text": "NaN"}, "text", before=100),
    "MAX_CHANGES": revised("changes.lr", changes={"lr": (MAX_CHANGES + 1) * [1]}),
    "MAX_EXPANDED": Asked(
        "POST",
        "/v1/runs/{many}/revisions",
        {"changes": {"lr/*": {"kind": "table", "values": 100_000 * [1], "clock": "run"}}},
        "changes.lr/*",
    ),
    "MAX_PIECES": revised(
        "parameters.lr",
        changes={"lr": MAX_CHANGES * [{"edit": "hold", "steps": 1, "then": "shift"}]},
    )._replace(before=MAX_PIECES // MAX_CHANGES),
    "METRIC": simulated("controller.metric", metric="-x"),
    "MAX_REASON": simulated("controller.message", message=1025 * "x"),
    "MAX_WINDOW": simulated(
        "controller.window", kind="guard", above={"sigma": 6}, changes="stop", window=1001
    ),
    "MAX_SOURCES": simulated("controller.sources.expect", sources={"expect": 4097}),
    "MAX_SIMULATED": simulated("reports")._replace(
        body={
            "controller": {"kind": "plateau", "metric": "x"},
            "reports": [[step, 1] for step in range(100_001)],
        }
    ),
    "WORKER": beaten("workers[0].worker", worker="rank 0"),
    "MAX_BEATING": beaten(
        "workers", *({"worker": f"w{n}", "session": "a", "step": 0} for n in range(64))
    ),
    "MAX_WINDOWS": beaten("workers[0].applied", applied=windows(*(9 * [1]))),
    "MAX_STRETCHES": beaten("workers[0].applied[0].cells", applied=windows(33)),
    "MAX_APPLIED": beaten(
        "workers[0].applied[0].cells",
        applied=[{**windows(1)[0], "cells": [[0, 65_536, 1], [65_536, 1, 1]]}],
    ),
    "MAX_COMPARED": beaten("workers", applied=windows(*(5 * [1]), values=65_536)),
    "MAX_WRONG": beaten(
        "workers[0].wrong", wrong=33 * [{"step": 0, "parameter": "lr", "found": 2}]
    ),
    "MAX_LINGER": Asked("POST", "/v1/local/attached", {"linger": 604_801}, "linger"),
    "MAX_NESTING": evaluated(nested(MAX_NESTING)),
    "MAX_NODES": evaluated({"kind": "sum", "of": 1000 * [ONE]}),
    "MAX_POINTS": evaluated({"kind": "table", "values": 1_000_001 * [1]}),
    "MAX_TEXTS": evaluated(texts(10_001), total=1000),
    "MAX_TEXTS_IN_ALL": run(
        "parameters", total=1000, parameters={name: texts(9000) for name in "abcdef"}
    ),
    "MAX_CONFIG": Asked("POST", "/v1/convert", {"config": 262_145 * "#"}, "config"),
    "MAX_BINARY_VALUES": evaluated(LINE, "stop", "f64", step=None, stop=10_000_001),
    "MAX_TEXT_VALUES": evaluated(LINE, "stop", "csv", step=None, stop=1_000_001),
    "MAX_PANELS": Asked("GET", "/v1/runs/{many}/plan", None, "format", {"format": "png"}),
    "MAX_ITEMS": Asked("GET", "/v1/runs", None, "limit", {"limit": 1001}),
    "UNITS": evaluated({**LINE, "steps": "1X"}, "definition.steps"),
    "AMOUNT": evaluated({**LINE, "steps": "-1k"}, "definition.steps"),
}
BORNE = {
    "MAX_PICTURE_POINTS",
    "MAX_METRICS",
    "MAX_DECISIONS",
    "MAX_KEPT",
    "REPORTS_PER_SECOND",
    "MAX_WORKERS",
    "MAX_ALL_WORKERS",
    "BEATS_PER_SECOND",
    "LEAST_AGAIN",
    "MAX_MISMATCHES",
    "MAX_WORKER_MISMATCHES",
    "MAX_CHECKPOINTS",
    "MAX_SESSIONS",
    "SESSION_HOURS",
    "SIGN_INS_PER_SECOND",
    "MAX_WAITING",
    "MAX_DELIVERIES",
}
"""
Limits beyond which no field is wrong: what is over them is drawn with fewer points, left out or
put off, and the answer says so, or the oldest goes. Their tests are beside what they bound.
"""


MANY = {"MAX_OUTCOMES", "MAX_HELD_AGAINST", "MAX_HOOKS"}
"""Limits to which nothing comes within a test: those of their operations set them to be few."""


OF_TOKENS = {"MAX_LIMIT", "MAX_LIMITED", "MAX_NOTES_LIMITED", "MAX_PAUSES_LIMITED"}
"""Limits of what only admins make: their own tests go beyond them."""


@pytest.fixture(scope="module")
def limited(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """Yield a client of a server that lets few revisions wait, and else what all servers let."""
    running = RunningServer(tmp_path_factory.mktemp("limits"), {"max_pending": PENDING})
    with running.client() as http:
        yield http
    running.close()


@pytest.mark.parametrize("name", sorted(LIMITS.keys() - BORNE - MANY - OF_TOKENS))
def test_what_is_beyond_a_limit_is_refused(name: str, limited: httpx.Client) -> None:
    """P10: whatever goes one beyond a limit is refused, naming the field, the value, the bound."""
    assert name in BEYOND, f"give a request beyond {name} in BEYOND"
    asked = BEYOND[name]
    places = {"run": made(limited, name)} | dict.fromkeys(("id", "many", "said", "crowded"), "")
    if "{id}" in asked.path:
        places["id"] = limited.get(f"/v1/runs/{places['run']}").json()["id"]
    if "{many}" in asked.path:
        places["many"] = made(limited, f"{name}-many", PANELS)
    if "{said}" in asked.path:
        places["said"] = made(limited, f"{name}-said", signals=TAGGED)
    if "{crowded}" in asked.path:
        places["crowded"] = crowded(limited, name)
    path = asked.path.format(**places)
    body = asked.body
    for number in range(asked.before):
        limited.request(asked.method, path, json=body).raise_for_status()
        body = {**body, "effective": number + 1} if asked.apart else body

    answer = limited.request(
        asked.method, path, json=body, params=asked.params, headers=asked.headers
    )

    assert 400 <= answer.status_code < 500
    problem = answer.json()
    if name == "MAX_GAP":  # whether it is too far depends on what is settled: a refusal of its own
        assert problem["max_gap"] == MAX_GAP
        assert "begins at 257" in problem["detail"]
        return
    wrong = next(item for item in problem["errors"] if item["field"] == asked.field)
    assert wrong["message"]
    value = {
        "MAX_PENDING": PENDING - 1,
    }.get(name, getattr(limits, name))
    if isinstance(value, int):
        assert str(value) in wrong["bound"]


def made(http: httpx.Client, name: str, parameters: Iterable[str] = ("lr",), **more: Any) -> str:
    """Make a run for one limit, and return its name."""
    body = {"name": name.lower(), "parameters": dict.fromkeys(parameters, 1), **more}
    http.post("/v1/runs", json=body).raise_for_status()
    return name.lower()


def crowded(http: httpx.Client, name: str) -> str:
    """Make a run with as many controllers as it may have, and return its name."""
    run = made(http, f"{name}-crowded")
    for number in range(MAX_CONTROLLERS):
        body = {"kind": "stop", "metric": "loss"}
        http.put(f"/v1/runs/{run}/controllers/c{number}", json=body).raise_for_status()
    return run


@pytest.mark.parametrize(
    "name", [name for name in vars(limits) if name.isupper() and not name.startswith("_")]
)
def test_every_limit_is_in_the_manual(name: str) -> None:
    """A limit has a sentence, from which docs/limits.md is made, or is the rule of another one."""
    assert name in LIMITS or name in {"NAME_RULE", "LARGE_UNITS"}


@pytest.mark.parametrize("unit", UNITS)
@given(number=st.integers(0, MAX_STEP))
def test_units_multiply(unit: str, number: int) -> None:
    """A number with a unit is so many times as much, with a space between or without."""
    assert whole_number(f"{number}{unit}") == number * UNITS[unit]
    assert whole_number(f"{number} {unit}") == number * UNITS[unit]


@pytest.mark.parametrize(
    ("text", "number"),
    [("1G", 10**9), ("2.5k", 2500), (".5M", 500_000), ("1e6", 10**6), ("12", 12), ("1.50K", 1500)],
)
def test_numbers_are_read_exactly(text: str, number: int) -> None:
    """Decimals, exponents and units may stand together, as long as the number is whole."""
    assert whole_number(text) == number


@pytest.mark.parametrize(
    "text", ["", "k", ".", "-1", "1.5", "0.0001k", "1e-1", "nan", "1e999", "1kk", "1 G ", "٣"]
)
def test_what_is_no_whole_number_is_none(text: str) -> None:
    """Nothing is rounded, and nothing else is taken for a number."""
    assert whole_number(text) is None


def test_the_last_coordinate_is_written_once() -> None:
    """No other file of the package writes 2^53 out."""
    folder = Path(limits.__file__).parent
    written = [
        str(file.relative_to(folder))
        for file in folder.rglob("*.py")
        if re.search(r"2 ?\*\* ?53 - 1|9_?007_?199_?254", file.read_text())
    ]
    assert written == ["limits.py"]
