"""What is sent and what comes back, as plain values: no sockets here."""

from __future__ import annotations

import json
import math
import operator
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import quote

import httpx

from rheostat import errors

JSON = "application/json"
F64 = "application/octet-stream"

Document = dict[str, Any]


class Broken(Exception):
    """An answer that says 200 and cannot be what the service sent: cut off, or a proxy's page."""


@dataclass(frozen=True, slots=True)
class Call:
    """One request, which may be sent several times."""

    method: str
    path: str
    params: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    content: bytes | None = None
    seconds: float = math.inf
    """How long an attempt may take, if that is less than the client's ``timeout``."""
    silence: float | None = None
    """How long the answer may pause, if it is one that is read as it comes."""

    @property
    def repeatable(self) -> bool:
        """
        Whether a second sending does nothing more than the first.

        Every POST carries an ``Idempotency-Key``. A DELETE that was carried out, but whose answer
        was lost, would be refused the second time.
        """
        return self.method != "DELETE"


def path(*segments: str | int) -> str:
    """Return the path of a resource; each segment is quoted as a whole."""
    return "/v1/" + "/".join(quote(str(segment), safe="") for segment in segments)


def get(where: str, *, accept: str = JSON, **params: Any) -> Call:
    """Return a read; parameters that are None are left out."""
    return Call("GET", where, _given(params), {"Accept": accept})


def post(where: str, body: Any, **params: Any) -> Call:
    """Return a POST under a key of its own, so that repeating it has one effect."""
    headers = {**_SENDS_JSON, "Idempotency-Key": os.urandom(16).hex()}
    return Call("POST", where, _given(params), headers, encode(body))


def put(where: str, body: Any) -> Call:
    """Return a PUT."""
    return Call("PUT", where, headers=_SENDS_JSON, content=encode(body))


def delete(where: str, **params: Any) -> Call:
    """Return a DELETE; parameters that are None are left out."""
    return Call("DELETE", where, _given(params), headers={"Accept": JSON})


def encode(body: Any) -> bytes:
    """Return the body as JSON; raise `Invalid` if JSON cannot say it (NaN, an array, a set)."""
    try:
        text = json.dumps(body, allow_nan=False, separators=(",", ":"), default=_plain)
        return text.encode()
    except (TypeError, ValueError) as error:
        wrong = errors.FieldError("body", str(error), bound="JSON, with finite numbers")
        raise errors.Invalid("the request cannot be written as JSON", errors=[wrong]) from error


def _plain(value: Any) -> int | float:
    """Return a number of another library, such as NumPy's, as Python has it."""
    return operator.index(value) if hasattr(value, "__index__") else float(value)


def document(response: httpx.Response) -> Document:
    """Return the JSON object of an answer; no content is an empty one."""
    if response.status_code == httpx.codes.NO_CONTENT:
        return {}
    found = _json_object(response)
    if found is None:
        raise Broken(f"expected a JSON object, got {_excerpt(response)}")
    return found


def refusal(response: httpx.Response) -> errors.Refused:
    """Return the error of an answer that is not a success, be it a problem document or not."""
    problem = _json_object(response) or {}
    if str(problem.get("type", "")).startswith(errors.PROBLEM_TYPE):
        listed = problem.get("errors")
        fields = [f for f in listed if isinstance(f, dict)] if isinstance(listed, list) else []
        return errors.from_problem({**problem, "errors": fields}, response.status_code)
    detail = f"an answer that is not Rheostat's: {_excerpt(response)}"
    return errors.from_problem({"detail": detail}, response.status_code)


def retry_after(response: httpx.Response) -> float:
    """Return the seconds to wait that the answer asks for, as a number or a date; else 0."""
    text = response.headers.get("Retry-After", "").strip()
    if text.isascii() and text.isdecimal():
        return float(text)
    try:
        until = parsedate_to_datetime(text).timestamp()
    except ValueError:
        return 0.0
    return max(0.0, until - time.time())


def _given(params: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in params.items() if value is not None}


def _json_object(response: httpx.Response) -> Document | None:
    try:
        found = json.loads(response.content)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _excerpt(response: httpx.Response) -> str:
    kind = response.headers.get("Content-Type", "no content type")
    return f"{response.status_code}, {kind}, {response.text[:200]!r}"


_SENDS_JSON = {"Accept": JSON, "Content-Type": JSON}
