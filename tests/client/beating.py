"""The service in memory that takes beats, and holds what was applied against what it served."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

import httpx
from tests.client.listening import ListeningService

from rheostat.digests import applied_digest
from rheostat.errors import StaleGeneration, WentBack


def float32(value: float) -> float:
    """Return a number as a float32 holds it."""
    [rounded] = struct.unpack("f", struct.pack("f", value))
    return float(rounded)


ROUNDED: dict[str, Callable[[float], float]] = {"f64": float, "f32": float32}
NUMBERS = {"NaN": float("nan"), "Infinity": float("inf"), "-Infinity": float("-inf")}


class BeatingService(ListeningService):
    """
    The same run, whose join says when the first beat is due.

    What was right, and what was not, is told by the digests, from the ledger as it is.
    """

    def __init__(self) -> None:
        super().__init__()
        self.again: float | None = 0.05
        self.pacing = 0.05
        """What beats are answered."""
        self.beats: list[dict[str, Any]] = []
        self.right: list[dict[str, Any]] = []
        """Windows whose digest was that of the ledger."""
        self.found: list[tuple[str, int, float, float]] = []
        """Parameter, step, expected and found, of windows that were compared."""
        self.wrong: list[dict[str, Any]] = []
        self.left: dict[int, tuple[int, dict[int, float]]] = {}
        """Where generations that were left are settled until, in cells, and their ledgers."""

    def rewind(self, to: int, ended: int | None = None) -> None:
        """Begin a new generation at a cell; the old one has ended at another one."""
        ended = self.settled if ended is None else ended
        self.left[self.generation] = ended, dict(self.ledger)
        self.generation += 1
        self.settled = to
        self.ledger = {cell: value for cell, value in self.ledger.items() if cell < to}

    def _answer(self, request: httpx.Request) -> httpx.Response:
        match unquote(request.url.path).split("/")[2:]:
            case ["runs", "run-1", "beats"]:
                return self._beat(json.loads(request.content))
            case ["runs", "gpt" | "run-1", "join"]:
                joined = json.loads(super()._answer(request).content)
                return httpx.Response(200, json={**joined, "again": self.again})
        return super()._answer(request)

    def _beat(self, body: dict[str, Any]) -> httpx.Response:
        settled, ledger = self.left.get(body["generation"], (self.settled, self.ledger))
        compare = []
        for said in body["workers"]:
            for window in said["applied"]:
                cells = self.cells(window)
                if cells[-1] >= settled:
                    if body["generation"] != self.generation:
                        raise StaleGeneration("a rewind", generation=self.generation)
                    raise WentBack("the service has gone back")
                if self.is_right(window, self.expected(window, cells, ledger)):
                    self.right.append(window)
                elif "values" in window:
                    self._compare(window, self.expected(window, cells, ledger))
                else:
                    compare.append({"worker": said["worker"], "start": window["cells"][0][0]})
            self.wrong += said["wrong"]
        self.beats.append(body)
        return httpx.Response(200, json={"again": self.pacing, "compare": compare})

    def cells(self, window: dict[str, Any]) -> list[int]:
        """Return the cells of a window, which rise."""
        found = [
            first // self.resolution + place * stride
            for first, count, stride in window["cells"]
            for place in range(count)
        ]
        assert found == sorted(set(found))
        assert len(window["cells"]) <= 32
        return found

    def is_right(self, window: dict[str, Any], columns: dict[str, list[float]]) -> bool:
        """Return whether the digest of a window is that of these values."""
        steps = [cell * self.resolution for cell in self.cells(window)]
        digest: str = window["digest"]
        return digest == applied_digest(steps, [columns[name] for name in sorted(columns)])

    def expected(
        self, window: dict[str, Any], cells: list[int], ledger: dict[int, float]
    ) -> dict[str, list[float]]:
        """Return what each parameter's slot is to hold."""
        sign = {"lr": 1.0, "weight_decay": -1.0}
        return {
            name: [ROUNDED[kind](sign[name] * ledger[cell]) for cell in cells]
            for name, kind in window["parameters"].items()
        }

    def _compare(self, window: dict[str, Any], columns: dict[str, list[float]]) -> None:
        for name, found in window["values"].items():
            for cell, must, value in zip(self.cells(window), columns[name], found, strict=True):
                number = NUMBERS.get(value, value)
                if must != number:
                    self.found.append((name, cell * self.resolution, must, number))
                    break

    def steps(self) -> list[int]:
        """Return the first coordinates of all cells that were listed and right."""
        return [cell * self.resolution for window in self.right for cell in self.cells(window)]
