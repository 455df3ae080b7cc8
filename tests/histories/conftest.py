"""Published trainings, lived again: workers go on, and operators do what they did."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from rheostat import Client
from rheostat.client import Run

RUNS = Path(__file__).parents[2] / "examples" / "runs"


class Replay:
    """One training: its run, its operators' handle, and its workers, who settle as they go."""

    def __init__(self, client: Client, http: httpx.Client, body: dict[str, Any]) -> None:
        self._http = http
        self.operator: Run = client.run(body["name"], create=body)
        self._id = self.operator.show()["id"]
        self.generation = 1
        self._cell: int = body.get("resolution", 1)

    def train(self, until: int, generation: int | None = None) -> httpx.Response:
        """Let the workers go on to ``until``, its first step that is open: one reads the last."""
        last = until - self._cell
        if generation is None and last > self.operator.show()["settled_until"]:
            path = f"/v1/runs/{self._id}/advance"
            self._http.post(path, json={"to": last}).raise_for_status()
        return self._read(last, generation or self.generation)

    def rewind(self, to: int, changes: Any = None, **rest: Any) -> dict[str, Any]:
        """Rewind, and have the workers start again."""
        done = self.operator.rewind(to, changes, **rest)
        self.generation = done["generation"]
        return dict(done)

    def served(self, step: int, generation: int | None = None) -> dict[str, float]:
        """Return what the workers have at a step that is settled."""
        cell = step - step % self._cell
        answer = self._read(cell, generation or self.generation).raise_for_status().json()
        return {name: values[0] for name, values in answer["parameters"].items()}

    def _read(self, start: int, generation: int) -> httpx.Response:
        query: dict[str, int | str] = {"generation": generation, "start": start, "count": 1}
        return self._http.get(f"/v1/runs/{self._id}/values", params=query)


Begin = Callable[..., Replay]


@pytest.fixture
def replay(server: str, http: httpx.Client, new_name: Callable[[], str]) -> Iterator[Begin]:
    """Return what begins a training: one of the gallery by its name, or a body; and its fields."""
    with Client(server) as client:

        def begin(what: dict[str, Any] | str, **fields: Any) -> Replay:
            body = (
                json.loads((RUNS / f"{what}.json").read_text()) if isinstance(what, str) else what
            )
            return Replay(client, http, {**body, **fields, "name": new_name()})

        yield begin


@pytest.fixture
def changes() -> Callable[[str], list[dict[str, Any]]]:
    """Return what reads the revisions of a training of the gallery."""
    return lambda name: json.loads((RUNS / f"{name}.changes.json").read_text())
