"""How a worker or an operator of the fault test asks: of any replica, until there is an answer."""

from __future__ import annotations

import math
import time
import uuid
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from random import Random
from typing import Any, Self

import httpx
from tests.faults.applying import Applied
from tests.faults.observations import Beat, Kind, Log, Outcome, Point, Report, Save, Write
from tests.faults.recording import RecordingTransport, code

TIMEOUT = 10.0
"""Seconds after which another replica is asked."""
PAUSE = 0.3
"""Seconds of the longest pause after a failure."""
PATIENCE = 300.0
"""Seconds after which a service that does not answer is given up: no fault lasts as long."""


class Hopeless(Exception):
    """The service does not come back."""


@dataclass(frozen=True, slots=True)
class Answered:
    """A final answer, and how it was come by."""

    response: httpx.Response
    sent: float
    answered: float
    attempts: int

    def recorded(self) -> dict[str, Any]:
        """Return what every record of something that was sent says of its answer."""
        good = self.response.is_success
        return {
            "sent": self.sent,
            "answered": self.answered,
            "attempts": self.attempts,
            "answer": self.response.json() if good else None,
            "refusal": None if good else code(self.response),
        }


class Caller:
    """
    Asks the replicas at ``urls`` in an order of chance, with a token.

    One that ``is_limited`` is forbidden what is not its own.
    """

    def __init__(
        self, urls: Sequence[str], log: Log, seed: str, secret: str, *, is_limited: bool = False
    ) -> None:
        self.log = log
        self.chance = Random(seed)
        self._links: list[httpx.Client] = []
        self._stack = ExitStack()
        headers = {"Authorization": f"Bearer {secret}"}
        more = (403,) if is_limited else ()
        for url in urls:
            transport = RecordingTransport(log, *more)
            link = httpx.Client(base_url=url, timeout=TIMEOUT, headers=headers, transport=transport)
            self._links.append(self._stack.enter_context(link))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def ask(self, method: str, path: str, **parts: Any) -> Answered:
        """Repeat a request, each time at any replica, until one gives a final answer."""
        sent, attempts = time.monotonic(), 0
        while time.monotonic() < sent + PATIENCE:
            attempts += 1
            try:
                response = self.chance.choice(self._links).request(method, path, **parts)
            except httpx.TransportError:
                response = None
            if response is not None and response.status_code != 503:
                return Answered(response, sent, time.monotonic(), attempts)
            time.sleep(self.chance.uniform(0.0, PAUSE))
        raise Hopeless(f"no answer to {method} {path} in {PATIENCE} s, tried {attempts}×")

    def state(self, run: str) -> dict[str, Any]:
        """Return where a run is."""
        document: dict[str, Any] = self.ask("GET", f"/v1/runs/{run}").response.json()
        return document

    def write(self, run: str, kind: Kind, request: Mapping[str, Any]) -> Write:
        """Change a run, with one key for all attempts, and record what came of it."""
        message = uuid.UUID(int=self.chance.getrandbits(128), version=4).hex
        method, path, parts = _request(run, kind, request, message)
        done = self.ask(method, path, headers={"Idempotency-Key": message}, **parts)
        write = Write(
            run=run,
            kind=kind,
            message=message,
            request=request,
            **done.recorded(),
        )
        self.log.writes.append(write)
        return write

    def report(self, run: str, generation: int, source: str, points: Sequence[Point]) -> Report:
        """Report metrics, until there is an answer, and record it."""
        reports: dict[int, dict[str, Any]] = {}
        for step, metric, value in points:
            reports.setdefault(step, {})[metric] = as_json(value)
        body = {
            "generation": generation,
            "source": source,
            "reports": [{"step": step, "metrics": each} for step, each in reports.items()],
        }
        done = self.ask("POST", f"/v1/runs/{run}/reports", json=body)
        report = Report(
            run=run,
            generation=generation,
            source=source,
            points=tuple(points),
            **done.recorded(),
        )
        self.log.reports.append(report)
        return report

    def tell(self, run: str, request: Mapping[str, Any]) -> None:
        """Say what became of a signal, until there is an answer, and record it."""
        done = self.ask("POST", f"/v1/runs/{run}/outcomes", json=request)
        outcome = Outcome(
            run=run,
            request=request,
            **done.recorded(),
        )
        self.log.outcomes.append(outcome)

    def beat(self, run: str, generation: int, worker: str, block: Applied) -> Beat:
        """Say what was applied, with the values once they are asked for, and record it."""
        window = block.window()
        said = {"worker": worker, "session": worker, "step": block.stop, "applied": [window]}
        body = {"generation": generation, "workers": [said]}
        done = self.ask("POST", f"/v1/runs/{run}/beats", json=body)
        if done.response.is_success and done.response.json()["compare"]:
            window["values"] = block.columns()
            done = self.ask("POST", f"/v1/runs/{run}/beats", json=body)
        beat = Beat(
            run=run,
            generation=generation,
            worker=worker,
            start=block.start,
            values=block.values,
            other=block.other,
            **done.recorded(),
        )
        self.log.beats.append(beat)
        return beat

    def save(self, run: str, request: Mapping[str, Any]) -> None:
        """Say what was saved, until there is an answer, and record it."""
        done = self.ask("POST", f"/v1/runs/{run}/checkpoints", json=request)
        self.log.saves.append(Save(run=run, request=request, **done.recorded()))


def as_json(value: float) -> float | str:
    """Return a metric's value as it is sent."""
    if math.isnan(value):
        return "NaN"
    return value if math.isfinite(value) else "Infinity" if value > 0 else "-Infinity"


PATHS: Mapping[Kind, str] = {
    "change": "revisions",
    "signal": "signals",
    "propose": "proposals",
    **{kind: kind for kind in ("rewind", "advance", "stop", "pause", "resume")},
}


def _request(
    run: str, kind: Kind, request: Mapping[str, Any], message: str
) -> tuple[str, str, dict[str, Any]]:
    """Return method, path and parts of what an operator asks for, with a message of its own."""
    body, path = dict(request), f"/v1/runs/{run}"
    if kind == "cancel":
        path = f"{path}/revisions/{body['revision']}"
        return "DELETE", path, {"params": {"message": message}}
    if kind in {"accept", "decline"}:
        path = f"{path}/proposals/{body.pop('proposal')}/{kind}"
        return "POST", path, {"json": {**body, "message": message}}
    if kind == "propose":
        body = {"kind": body["kind"], "body": {**body["body"], "message": message}}
    else:
        body["message"] = message
    return "POST", f"{path}/{PATHS[kind]}", {"json": body}
