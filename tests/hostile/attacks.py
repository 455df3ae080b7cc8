"""
Attacks by what is in a request, within all limits, each by its name.

A script runs them one after another against a live server, while a second client asks for
``/livez`` and for a settled block, to see how long others wait. The tests of this folder send the
same bodies in short.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

import httpx

Send = Callable[[str, str | None], None]
"""Does the attack once, with the base URL and a token or None; it ends within some seconds."""

PATIENCE: Final = 10.0
"""Seconds that a sender waits for its answer."""

LAST: Final = 2**53 - 1
ONE: Final = {"kind": "constant", "value": 1}
SHARE: Final = "0.000000000000111111111111%"
PLATEAU: Final = {"kind": "plateau", "metric": "loss", "patience": 50_000}
GUARD: Final = {
    "kind": "guard",
    "metric": "loss",
    "above": {"mad": 8},
    "window": 1_000,
    "changes": "stop",
}
LARGE: Final = {
    "kind": "change",
    "body": {"changes": {"lr": {"kind": "table", "values": [0.125] * 900_000}}},
}


@dataclass(frozen=True)
class Attack:
    """Something that a hostile caller sends, and how."""

    name: str
    send: Send


def ask(method: str, path: str, make: Callable[[], bytes | None], **headers: str) -> Send:
    """Return a sender of one request, whose body is made when it is sent."""

    def send(base: str, token: str | None) -> None:
        bearer = {} if token is None else {"Authorization": f"Bearer {token}"}
        where = path.replace("NEW", uuid.uuid4().hex)
        with httpx.Client(base_url=base, timeout=PATIENCE, headers=bearer) as client:
            sent = {"Content-Type": "application/json", **headers}
            with suppress(httpx.TransportError):  # that it hung up is for the measurement to see
                client.request(method, where, content=make(), headers=sent)

    return send


def post(path: str, document: Callable[[], Any]) -> Send:
    """Return a sender of a JSON document."""
    return ask("POST", path, lambda: compact(document()))


def compact(document: Any) -> bytes:
    """Return JSON without spaces."""
    return json.dumps(document, separators=(",", ":")).encode()


def keys(count: int, suffix: str = "") -> bytes:
    """Return an object with many members that nobody knows."""
    return b"{" + b",".join(b'"%06d%b":0' % (i, suffix.encode()) for i in range(count)) + b"}"


def rests(shares: int, rest: int) -> dict[str, Any]:
    """Return a sequence with what is left of it, over and over, before many shares."""
    parts = [{"schedule": ONE, "steps": "rest"}] * rest
    return {"kind": "sequence", "parts": parts + [{"schedule": ONE, "steps": SHARE}] * shares}


def wide(nodes: int) -> dict[str, Any]:
    """Return a definition of many definitions side by side."""
    return {"kind": "sum", "of": [{"kind": "linear", "start": 1, "end": 0, "steps": 9}] * nodes}


def evaluate(definition: Any, **more: Any) -> dict[str, Any]:
    """Return the body that asks for one value of a definition."""
    return {"definition": definition, "step": 1, "total": LAST, **more}


def conversion(**fields: Any) -> dict[str, Any]:
    """Return the body that converts a scheduler."""
    return {"library": "torch", "name": "StepLR", "params": {"step_size": 1}, **fields}


def run(**parameters: Any) -> dict[str, Any]:
    """Return the body that creates a run."""
    return {"parameters": parameters, "total": LAST}


def _points(step: Callable[[int], Any], value: Any, count: int) -> dict[str, Any]:
    return {"kind": "piecewise", "points": [[step(i), value] for i in range(count)]}


def _milestones(step: Any, count: int) -> dict[str, Any]:
    return {"kind": "multistep", "start": 1, "factor": 0.5, "milestones": [step] * count}


BODIES: Final[dict[str, tuple[str, str, Callable[[], bytes]]]] = {
    name: (method, path, make)
    for name, method, path, make in (
        (
            "a pattern on 8 MB",
            "POST",
            "/v1/convert",
            lambda: compact(
                conversion(
                    library="fastai",
                    name="combine_scheds",
                    params={"pcts": [0.5, 0.5], "scheds": "a" * 8_000_000},
                )
            ),
        ),
        (
            "a chain of jumps",
            "POST",
            "/v1/convert",
            lambda: compact(
                conversion(
                    library="ignite",
                    name="PiecewiseLinear",
                    params={"milestones_values": [[i // 2, i] for i in range(49_000)]},
                )
            ),
        ),
        (
            "unknown fields beside a converter",
            "POST",
            "/v1/convert",
            lambda: compact({**conversion(), **{f"step_siz{i}": i for i in range(200_000)}}),
        ),
        (
            "unknown parameters of a converter",
            "POST",
            "/v1/convert",
            lambda: compact(conversion(params={f"step_siz{i}": i for i in range(1_900)})),
        ),
        (
            "long lists for a converter",
            "POST",
            "/v1/convert",
            lambda: compact(conversion(name="MultiStepLR", params={"milestones": ["x"] * 99_000})),
        ),
        ("shares after a rest", "POST", "/v1/evaluate", lambda: compact(evaluate(rests(490, 1)))),
        ("rests and shares", "POST", "/v1/evaluate", lambda: compact(evaluate(rests(350, 500)))),
        ("many rests", "POST", "/v1/evaluate", lambda: compact(evaluate(rests(0, 990)))),
        ("750,000 keys", "POST", "/v1/evaluate", lambda: keys(750_000)),
        ("400,000 keys with colons", "POST", "/v1/evaluate", lambda: keys(400_000, ":::::")),
        ("100,000 keys", "POST", "/v1/evaluate", lambda: keys(100_000)),
        ("keys up to the limit", "POST", "/v1/evaluate", lambda: keys(2_000)),
        (
            "objects of many keys",
            "POST",
            "/v1/evaluate",
            lambda: b'{"definition":[' + b",".join([keys(1_900)] * 50) + b"]}",
        ),
        ("lists in lists", "POST", "/v1/evaluate", lambda: b"[" + b"[]," * 2_700_000 + b"0]"),
        ("objects in lists", "POST", "/v1/evaluate", lambda: b"[" + b"{}," * 2_700_000 + b"0]"),
        (
            "a key twice behind a million lists",
            "POST",
            "/v1/evaluate",
            lambda: b'{"a":[' + b"[7,1]," * 1_000_000 + b'0],"a":0}',
        ),
        (
            "quotation marks and backslashes",
            "POST",
            "/v1/evaluate",
            lambda: b'{"a":"' + rb"\"\\" * 900_000 + b':"}',
        ),
        (
            "NUL after NUL",
            "POST",
            "/v1/evaluate",
            lambda: b"[" + rb'"\u0000",' * 800_000 + b"0]",
        ),
        (
            "a table of texts",
            "POST",
            "/v1/evaluate",
            lambda: compact(evaluate({"kind": "table", "values": ["x"] * 800_000})),
        ),
        (
            "a table of lists",
            "POST",
            "/v1/evaluate",
            lambda: compact(evaluate({"kind": "table", "values": [[]] * 1_000_000})),
        ),
        (
            "a table of nulls",
            "POST",
            "/v1/evaluate",
            lambda: compact(evaluate({"kind": "table", "values": [None] * 1_000_000})),
        ),
        (
            "a table of a million",
            "POST",
            "/v1/evaluate",
            lambda: compact(evaluate({"kind": "table", "values": [0.125] * 1_000_000})),
        ),
        (
            "points of a million",
            "POST",
            "/v1/evaluate",
            lambda: compact(evaluate(_points(lambda i: i, 1, 600_000))),
        ),
        (
            "points in shares",
            "POST",
            "/v1/evaluate",
            lambda: compact(evaluate(_points(lambda i: f"0.{i:06d}%", 1, 400_000))),
        ),
        (
            "points of wrong values",
            "POST",
            "/v1/evaluate",
            lambda: compact(evaluate(_points(lambda i: i, None, 400_000))),
        ),
        (
            "milestones in shares",
            "POST",
            "/v1/evaluate",
            lambda: compact(evaluate(_milestones(SHARE, 250_000))),
        ),
        (
            "milestones below zero",
            "POST",
            "/v1/evaluate",
            lambda: compact(evaluate(_milestones(-1, 999_000))),
        ),
        (
            "150,000 definitions in a list",
            "POST",
            "/v1/evaluate",
            lambda: compact(evaluate([ONE] * 150_000)),
        ),
        ("as wide as can be", "POST", "/v1/evaluate", lambda: compact(evaluate(wide(999)))),
        (
            "four million steps",
            "POST",
            "/v1/evaluate?format=f64",
            lambda: compact({"definition": ONE, "steps": [1] * 4_000_000}),
        ),
        (
            "noise of ten million steps as a picture",
            "POST",
            "/v1/evaluate?format=png",
            lambda: compact(
                {
                    "definition": {"kind": "noise", "of": ONE, "seed": 1, "amplitude": 0.5},
                    "stop": 10_000_000,
                }
            ),
        ),
        (
            "a million values as text",
            "POST",
            "/v1/evaluate",
            lambda: compact(
                {
                    "definition": {"kind": "noise", "of": ONE, "seed": 1, "amplitude": 0.5},
                    "stop": 1_000_000,
                }
            ),
        ),
        (
            "a run of many rests",
            "PUT",
            "/v1/runs/NEW",
            lambda: compact(run(**{f"p{i}": rests(490, 1) for i in range(20)})),
        ),
        (
            "a run of rests and shares",
            "PUT",
            "/v1/runs/NEW",
            lambda: compact(run(**{f"p{i}": rests(350, 500) for i in range(6)})),
        ),
        (
            "a run of many shares",
            "PUT",
            "/v1/runs/NEW",
            lambda: compact(run(**{f"p{i}": _milestones(SHARE, 9_000) for i in range(25)})),
        ),
        (
            "a run of wide definitions",
            "PUT",
            "/v1/runs/NEW",
            lambda: compact(run(**{f"p{i}": wide(998) for i in range(20)})),
        ),
        (
            "a run of large tables",
            "PUT",
            "/v1/runs/NEW",
            lambda: compact(
                run(**{f"p{i}": {"kind": "table", "values": [0.125] * 50_000} for i in range(26)})
            ),
        ),
        (
            "a run with many wrong guards",
            "PUT",
            "/v1/runs/NEW",
            lambda: compact(
                {**run(lr=ONE), "guards": {f"p{i}": dict.fromkeys(range(300)) for i in range(250)}}
            ),
        ),
        (
            "a run with many wrong names",
            "PUT",
            "/v1/runs/NEW",
            lambda: compact(run(**{f"P{i}": ONE for i in range(1_900)})),
        ),
        ("a join with many keys", "POST", "/v1/runs/victim/join", lambda: keys(200_000)),
        ("a change with many keys", "POST", "/v1/runs/victim/revisions", lambda: keys(200_000)),
        ("a rewind with many keys", "POST", "/v1/runs/victim/rewind", lambda: keys(200_000)),
        ("a finish with many keys", "POST", "/v1/runs/victim/finish", lambda: keys(200_000)),
        ("a schedule with many keys", "PUT", "/v1/schedules/x", lambda: keys(200_000)),
        *(
            (f"{what} with many keys", method, f"/v1/runs/victim/{path}", lambda: keys(200_000))
            for what, method, path in (
                ("reports", "POST", "reports"),
                ("a controller", "PUT", "controllers/x"),
                ("a reset", "POST", "controllers/x/reset"),
                ("a stop", "POST", "stop"),
                ("a pause", "POST", "pause"),
                ("a resumption", "POST", "resume"),
                ("a signal", "POST", "signals"),
                ("an outcome", "POST", "outcomes"),
                ("a note", "POST", "notes"),
                ("a proposal", "POST", "proposals"),
                ("an acceptance", "POST", "proposals/1/accept"),
            )
        ),
        (
            "a proposal of a large table",
            "POST",
            "/v1/runs/victim/proposals",
            lambda: compact(LARGE),
        ),
        (
            "a simulation of many reports",
            "POST",
            "/v1/control/simulate",
            lambda: compact({"controller": PLATEAU, "reports": [[i, 1] for i in range(100_000)]}),
        ),
        (
            "a simulation of a long window",
            "POST",
            "/v1/control/simulate",
            lambda: compact({"controller": GUARD, "reports": [[i, i % 7] for i in range(5_000)]}),
        ),
    )
}
"""Method, path and body of each attack by a body; ``NEW`` stands for a name of its own."""


def beats(workers: int, **fields: Any) -> bytes:
    """Return a beat of workers with the longest names, who say the same."""
    one = {"session": "s" * 128, "host": "h" * 128, "job": "j" * 128, "step": LAST, **fields}
    names = (f"{number}:".ljust(128, "x") for number in range(workers))
    said = [{"worker": name, "pace": 1e18, "waited": 1e9, **one} for name in names]
    return compact({"generation": 1, "workers": said})


def windows(many: int, **fields: Any) -> dict[str, Any]:
    """Return the windows of a worker, which are alike."""
    one = {"cells": [[0, 1, 1]], "parameters": {"lr": "f64"}, "digest": "0" * 32, **fields}
    return {"applied": [one] * many}


BEATS: Final[dict[str, Callable[[], bytes]]] = {
    "a beat of the longest names": lambda: beats(64),
    "a beat of far stretches": lambda: beats(
        64, **windows(8, cells=[[i * 10**6, 2_048, 1] for i in range(32)])
    ),
    "a beat of all values": lambda: beats(
        1, **windows(4, cells=[[0, 65_536, 1]], values={"lr": [0.1] * 65_536})
    ),
    "a beat of too many values": lambda: beats(
        4, **windows(8, cells=[[0, 65_536, 1]], values={"lr": [1] * 65_536})
    ),
    "a beat of NaN": lambda: beats(
        1, **windows(4, cells=[[0, 65_536, 1]], values={"lr": ["NaN"] * 65_536})
    ),
    "a beat of unknown parameters": lambda: beats(
        64, **windows(8, parameters={f"p{i:04d}": "f64" for i in range(180)})
    ),
    "a beat of parameters that cannot be": lambda: beats(
        64, **windows(8, parameters={f"P{i:04d}": "f65" for i in range(180)})
    ),
    "a beat of cells that cannot be": lambda: beats(64, **windows(8, cells=[["x"] * 3] * 32)),
    "a beat of a million cells": lambda: beats(1, **windows(1, cells=[[]] * 1_000_000)),
    "a beat of wrong values": lambda: beats(
        64, wrong=[{"step": i, "parameter": "lr", "found": 1.5} for i in range(32)]
    ),
    "a beat of many objects": lambda: compact(
        {"generation": 1, "workers": [dict.fromkeys("abcd")] * 19_000}
    ),
    "a beat with many keys": lambda: keys(200_000),
}
"""Bodies of beats, by name."""


def _beating(make: Callable[[], bytes]) -> Send:
    """Return a sender of a beat, which names the run by its id."""

    def send(base: str, token: str | None) -> None:
        bearer = {} if token is None else {"Authorization": f"Bearer {token}"}
        run = httpx.get(f"{base}/v1/runs/victim", headers=bearer, timeout=PATIENCE).json()["id"]
        ask("POST", f"/v1/runs/{run}/beats", make)(base, token)

    return send


LONG: Final = 60_000
QUERIES: Final[dict[str, tuple[str, dict[str, str]]]] = {
    "a query of unknown names": ("/v1/runs?" + "a&" * (LONG // 2), {}),
    "a query of labels": ("/v1/runs?selector=" + "a%3D1," * (LONG // 6), {}),
    "a query of one label": ("/v1/runs?selector=" + "a" * LONG, {}),
    "a query of signs": ("/v1/runs?selector=" + "=" * LONG, {}),
    "a long cursor": ("/v1/runs?cursor=" + "a" * LONG, {}),
    "a long number": ("/v1/runs?limit=" + "1" * LONG, {}),
    "a long step": ("/v1/schedules/x/values/" + "1" * LONG, {}),
    "a long name": ("/v1/runs/" + "a" * LONG, {}),
    "a long path": ("/v1" + "/x" * (LONG // 2), {}),
    "many ranges of formats": ("/v1/schedules/x/values", {"Accept": "a/b;q=0.5," * (LONG // 10)}),
    "parameters of a format": ("/v1/schedules/x/values", {"Accept": "a/b" + ";q=" * (LONG // 3)}),
    "many tags": ("/v1/runs", {"If-None-Match": '"a",' * (LONG // 4)}),
    "a long token": ("/v1/runs", {"Authorization": "Bearer" + " " * LONG + "x"}),
    "a long author": ("/v1/runs", {"Rheostat-Author": "a" * LONG}),
    "a long id": ("/v1/runs", {"X-Request-Id": "a" * LONG}),
    "a long key": ("/v1/runs", {"Idempotency-Key": "a" * LONG}),
    "a plan of all points": ("/v1/runs/victim/plan?points=10000000&format=f64", {}),
}
"""Path and headers of each attack by what is in the head."""

ATTACKS: Final[list[Attack]] = [
    *(Attack(name, ask(*request)) for name, request in BODIES.items()),
    *(Attack(name, _beating(make)) for name, make in BEATS.items()),
    *(
        Attack(name, ask("GET", path, lambda: None, **headers))
        for name, (path, headers) in QUERIES.items()
    ),
]
"""Every attack by a body, a query or a header."""
