"""NaN and infinities of a training that goes wrong, in both databases, bit for bit."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

import httpx
from tests.server.store.conftest import database

if TYPE_CHECKING:
    from tests.conftest import StartServer

__all__ = ["database"]

UNUSUAL: list[Any] = ["NaN", "Infinity", "-Infinity", -0.0, 5e-324, 1.7976931348623157e308]
CONTROLLERS: dict[str, Any] = {
    # what comes first is the best, NaN too
    "first": {"kind": "plateau", "metric": "loss", "reading": "paddle", "patience": 50},
    "most": {"kind": "plateau", "metric": "loss", "mode": "max", "patience": 50},
    "least": {"kind": "plateau", "metric": "loss", "patience": 50},
    "spike": {
        "kind": "guard",
        "metric": "loss",
        "above": {"value": 1e308},
        "for": 1,
        "action": "apply",
        "changes": {"lr": {"edit": "scale", "factor": 0.5}},
        "effective": {"after": 8},
    },
}


def bits(values: list[Any]) -> bytes:
    """Return the bits of float64 of what JSON says."""
    return struct.pack(f"<{len(values)}d", *map(float, values))


def test_they_are_kept_and_decided_on(start_server: StartServer, database: str) -> None:
    """P11: reports, states and decisions have the very numbers, after a crash too."""
    server = start_server(database=database)
    run = {"name": "gpt", "parameters": {"lr": 1.0}, "controllers": CONTROLLERS}
    with server.client() as http:
        path = f"/v1/runs/{http.post('/v1/runs', json=run).raise_for_status().json()['id']}"
        block = {"generation": 1, "start": 0, "count": 8}
        http.get(f"{path}/values", params=block).raise_for_status()
        reports = [
            {"step": step, "metrics": {"loss": value, "unwatched": value}}
            for step, value in enumerate(UNUSUAL, 1)
        ]
        body = {"generation": 1, "reports": reports}
        first = http.post(f"{path}/reports", json=body).raise_for_status().json()
        server.kill()
        server.restart()
        again = http.post(f"{path}/reports", json=body).raise_for_status().json()
        assert (first["kept"], again["repeated"], again["differs"]) == (12, 12, [])
        assert again["decisions"] == first["decisions"]
        decided = [(made["step"], made["value"], made["effective"]) for made in first["decisions"]]
        assert decided == [
            (1, "NaN", 9),
            (2, "Infinity", 10),
            (3, "-Infinity", 11),
            (6, UNUSUAL[5], 14),
        ]
        for metric in ("loss", "unwatched"):
            assert read(http, path, metric) == bits(UNUSUAL)
        best = {name: state(http, name)["best"] for name in ("first", "most", "least")}
    assert best == {"first": "NaN", "most": "Infinity", "least": "-Infinity"}


def read(http: httpx.Client, path: str, metric: str) -> bytes:
    """Return the bits of a metric, as JSON and as CSV say alike."""
    answer = http.get(f"{path}/reports", params={"metric": metric})
    table = http.get(f"{path}/reports", params={"metric": metric, "format": "csv"})
    found = bits(answer.raise_for_status().json()["values"])
    assert bits([row.split(",")[1] for row in table.text.splitlines()[1:]]) == found
    return found


def state(http: httpx.Client, name: str) -> dict[str, Any]:
    """Return the state of a controller."""
    answer = http.get(f"/v1/runs/gpt/controllers/{name}").raise_for_status().json()
    found: dict[str, Any] = answer["state"]
    return found
