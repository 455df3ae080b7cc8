"""A transport that records every read and join of those who use the service."""

from __future__ import annotations

import json
import re
import time
from typing import Any

import httpx
import numpy as np
from tests.faults.observations import InForce, Join, Log, Read, Signals, Values

from rheostat.errors import PROBLEM_TYPE

RUN = re.compile(r"/v1/runs/(?P<run>run_[0-9a-f]+)(?:/(?P<what>\w+))?")
EXPECTED = {200, 201, 409, 422, 503}
"""The statuses that a sound service answers, whatever befalls it."""


class RecordingTransport(httpx.BaseTransport):
    """
    A transport that writes down each settling read and each join.

    ``more`` are statuses that whoever asks has to expect besides.
    """

    def __init__(self, log: Log, *more: int) -> None:
        self._log = log
        self._expected = EXPECTED | {*more}
        self._transport = httpx.HTTPTransport()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request, and record it with its answer, or without one."""
        sent = time.monotonic()
        response = None
        try:
            response = self._transport.handle_request(request)
            response.read()
        except httpx.TransportError:
            if response is not None:
                response.close()
            self._record(request, sent, None)
            raise
        self._record(request, sent, response)
        return response

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()

    def _record(self, request: httpx.Request, sent: float, answer: httpx.Response | None) -> None:
        answered = time.monotonic()
        if answer is not None and answer.status_code not in self._expected:
            asked = f"{request.method} {request.url}"
            self._log.strange.append(f"{asked} was answered {answer.status_code} {answer.text}")
        found = RUN.match(request.url.path)
        if found is None:
            return
        if found["what"] == "values" and "generation" in request.url.params:
            try:
                read = _read(found["run"], request.url.params, sent, answered, answer)
            except (ValueError, KeyError) as error:
                self._log.strange.append(f"{request.url} was answered by no block: {error!r}")
            else:
                self._log.reads.append(read)
        elif found["what"] == "join" and answer is not None and answer.status_code in {200, 409}:
            self._log.joins.append(_join(found["run"], request, sent, answered, answer))


def code(answer: httpx.Response) -> str:
    """Return the code of a problem."""
    return str(answer.json()["type"]).removeprefix(PROBLEM_TYPE)


def _read(
    run: str, asked: httpx.QueryParams, sent: float, answered: float, answer: httpx.Response | None
) -> Read:
    facts: dict[str, Any] = {
        "run": run,
        "generation": int(asked["generation"]),
        "start": int(asked["start"]),
        "count": int(asked["count"]),
        "sent": sent,
    }
    if answer is None or answer.status_code == 503:
        return Read(**facts)
    if answer.status_code != 200:
        told = answer.json()
        facts |= {"current": told.get("generation"), "signals": _said(told.get("signals", []))}
        facts |= {"end": told.get("end"), "by": told.get("revision")}
        return Read(**facts, answered=answered, refusal=code(answer))
    values, in_force, signals = _block(answer, facts["count"])
    return Read(**facts, answered=answered, values=values, in_force=in_force, signals=signals)


def _block(answer: httpx.Response, count: int) -> tuple[Values, InForce, Signals]:
    """Return what a settled block says, in either of its formats."""
    if answer.headers["Content-Type"] == "application/octet-stream":
        values = np.frombuffer(answer.content, dtype="<f8").reshape(-1, count)
        pairs = [pair.split("@") for pair in answer.headers["Rheostat-Revisions"].split(",")]
        in_force = tuple((int(step), int(revision)) for revision, step in pairs)
        return values, in_force, _header(answer.headers.get("Rheostat-Signals", ""))
    block = answer.json()
    columns = [block["parameters"][name] for name in sorted(block["parameters"])]
    in_force = tuple((item["from"], item["revision"]) for item in block["revisions"])
    return np.array(columns), in_force, _said(block.get("signals", []))


def _said(signals: list[dict[str, Any]]) -> Signals:
    """Return signals as JSON tells them."""
    return tuple(
        (each["at"], each["revision"], saying(each["signal"], each["arguments"]))
        for each in signals
    )


def _header(text: str) -> Signals:
    """Return signals as a header tells them; they are too few here for one that says `*`."""
    pairs = (each.split("#") for each in text.split(",") if each)
    return tuple((int(step), int(revision), None) for step, revision in pairs)


def saying(word: str, arguments: Any) -> str:
    """Return what a signal says, as one text."""
    return json.dumps([word, arguments], sort_keys=True)


def _join(
    run: str, request: httpx.Request, sent: float, answered: float, answer: httpx.Response
) -> Join:
    body = json.loads(request.content)
    return Join(
        run=run,
        checkpoint=(body["generation"], body["step"]) if body else None,
        sent=sent,
        answered=answered,
        generation=answer.json()["generation"],
        accepted=answer.status_code == 200,
    )
