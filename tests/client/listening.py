"""The service in memory with what makes a run listen: stops, pauses, gates, signals, reports."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import unquote

import httpx
from tests.client.conftest import FakeService

from rheostat.errors import AwaitingReport, Paused, StaleGeneration, Stopped


class ListeningService(FakeService):
    """
    The same run, which can be stopped, paused and gated, tells signals, and takes reports.

    A request that may wait does so until `opened` is set, or at most `patience` seconds.
    """

    def __init__(self) -> None:
        super().__init__()
        self.stop: int | None = None
        self.told = False
        self.pause: int | None = None
        self.every: int | None = None
        self.newest = 0
        self.words: dict[int, tuple[int, str, dict[str, Any]]] = {}
        """By revision: the step, the word, and its arguments."""
        self.gates_ends = False
        """Whether the stop or the pause lies at a gate, open or not."""
        self.at_end: list[dict[str, Any]] = []
        self.reported: list[dict[str, Any]] = []
        self.letters: list[tuple[str, dict[str, Any]]] = []
        self.watched: list[str] = []
        self.answer: dict[str, Any] = {}
        self.patience = 5.0
        self.opened = threading.Event()
        self.kept = 0
        """How many requests were kept."""

    def resume(self) -> None:
        """Take the pause back, and let those go on that wait."""
        self.pause = None
        self.opened.set()

    def listing(self, revision: int) -> dict[str, Any]:
        """Return a signal as refusals and blocks list it."""
        at, word, arguments = self.words[revision]
        return {"at": at, "signal": word, "arguments": arguments, "revision": revision}

    def _answer(self, request: httpx.Request) -> httpx.Response:
        match unquote(request.url.path).split("/")[2:]:
            case ["runs", "run-1", "reports"]:
                return self._take(json.loads(request.content))
            case ["runs", "run-1", "notes" | "outcomes" | "checkpoints" as where]:
                self.letters.append((where, json.loads(request.content)))
                return httpx.Response(201, json={"revision": 9})
            case ["runs", "run-1", "revisions", number]:
                at, word, arguments = self.words[int(number)]
                data = {"signal": word, "arguments": arguments}
                told = {"revision": int(number), "kind": "signal", "effective": at, "data": data}
                return httpx.Response(200, json=told)
            case ["runs", "run-1", "values"]:
                return self._values(request)
            case ["runs", "gpt" | "run-1", "join"]:
                joined = json.loads(super()._answer(request).content)
                return httpx.Response(200, json={**joined, "stop": self.stop})
        return super()._answer(request)

    def _values(self, request: httpx.Request) -> httpx.Response:
        params = request.url.params
        start, count = int(params["start"]) // self.resolution, int(params["count"])
        if "wait=" in request.headers.get("Prefer", ""):
            self.kept += 1
            with self._resting():
                self.opened.wait(self.patience)
            self.opened.clear()
        self._require_way(start, start + count)
        if params.get("format") == "json":
            listed = [self.listing(n) for n in self._among(start + count)]
            return httpx.Response(200, json={"signals": listed})
        answer = self._read(params)
        told = ",".join(f"{self.words[n][0]}#{n}" for n in self._among(start + count))
        if told:
            answer.headers["Rheostat-Signals"] = told if len(told) <= 1024 else "*"
        return answer

    def _require_way(self, start: int, stop: int) -> None:
        if stop <= self.settled:
            return
        limits = [end for end in (self.stop, self.pause, self.gate) if end is not None]
        met = min(limits, default=None)
        if met is None or stop <= met:
            return
        told: dict[str, Any] = {"end": met * self.resolution, "revision": 7, "author": "ann"}
        if self.gates_ends:
            told["at_gate"] = True
        if self.at_end:
            told["signals"] = self.at_end
        if met == self.stop:
            self.told |= start >= met
            raise Stopped("the run was stopped", **told, message="enough")
        if met == self.pause:
            raise Paused("the run is paused", **told)
        raise AwaitingReport("the run waits", gate=met * self.resolution, metric="loss")

    @property
    def gate(self) -> int | None:
        """The first gate above the newest report, in cells."""
        return None if self.every is None else (self.newest // self.every + 1) * self.every

    def _among(self, stop: int) -> Iterator[int]:
        """Yield the signals that a block up to a cell tells: here, all before its end."""
        end = stop * self.resolution
        yield from (n for n, (at, _, _) in sorted(self.words.items()) if at < end)

    def _take(self, body: dict[str, Any]) -> httpx.Response:
        if body["generation"] != self.generation:
            raise StaleGeneration("a rewind", generation=self.generation)
        self.reported.append(body)
        steps = [report["step"] for report in body["reports"]]
        if self.every is not None:
            self.newest = max(self.newest, *steps)
            self.opened.set()
        told = {"kept": len(steps), "repeated": 0, "late": 0, "differs": [], "decisions": []}
        return httpx.Response(200, json={**told, "watched": self.watched, **self.answer})

    @contextmanager
    def _resting(self) -> Iterator[None]:
        """Let others be answered meanwhile."""
        self._turn.release()
        try:
            yield
        finally:
            self._turn.acquire()
