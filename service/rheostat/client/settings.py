"""What a client is told once."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from numbers import Real
from typing import Any

import httpx

from rheostat import __version__
from rheostat.client.retry import Patience
from rheostat.client.wire import Call
from rheostat.errors import FieldError, Invalid


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The arguments of `Client` and `AsyncClient`; raises `Invalid` where one is out of bounds."""

    base_url: str
    token: str | None = field(default=None, repr=False)
    timeout: float = 10.0
    deadline: float = 600.0
    retries: int = 4
    lookahead: float = 2.0
    pace: float | None = None
    author: str | None = None
    transport: Any = None

    def __post_init__(self) -> None:
        given: dict[str, Any] = {name: getattr(self, name) for name in ("retries", "author")}
        for name in ("timeout", "deadline", "lookahead"):
            value = getattr(self, name)
            _check(name, value, _is_positive(value), "above 0 seconds")
        pace = self.pace
        _check("pace", pace, pace is None or _is_positive(pace), "above 0 steps a second, or None")
        retries, author = given["retries"], given["author"]
        whole = isinstance(retries, int) and retries >= 0
        _check("retries", retries, whole, "an integer, at least 0")
        _check("base_url", self.base_url, _is_http(self.base_url), "http://… or https://…")
        one_line = author is None or (isinstance(author, str) and author.isprintable())
        _check("author", author, one_line, "printable characters on one line")

    def __getstate__(self) -> dict[str, Any]:
        # A pickle may end up in a checkpoint, where a token must not be.
        return {name: getattr(self, name) for name in self.__slots__ if name != "token"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        for name, value in {**state, "token": None}.items():
            object.__setattr__(self, name, value)

    def headers(self) -> dict[str, str | bytes]:
        """Return what every request says; a name beyond ASCII goes as UTF-8."""
        headers: dict[str, str | bytes] = {"User-Agent": f"rheostat/{__version__}"}
        token = self.token or os.environ.get("RHEOSTAT_TOKEN")
        if token:
            _check_token(token)
            headers["Authorization"] = f"Bearer {token}"
        if self.author:
            headers["Rheostat-Author"] = self.author.encode()
        return headers

    def operator(self, call: Call) -> Patience:
        """Return the patience of a call that somebody sits and waits for."""
        return Patience(self._about(call), retries=self.retries)

    def worker(self, call: Call, since: float | None = None) -> Patience:
        """Return the patience of a call that a training cannot go on without, and waits for."""
        return Patience(self._about(call), deadline=self.deadline, since=since)

    def _about(self, call: Call) -> str:
        url = httpx.URL(self.base_url.rstrip("/") + call.path, params=call.params)
        return f"{call.method} {url}"


def _is_positive(value: Any) -> bool:
    return isinstance(value, Real) and float(value) > 0


def _is_http(url: Any) -> bool:
    try:
        parsed = httpx.URL(url)
    except (httpx.InvalidURL, TypeError):
        return False
    return parsed.scheme in {"http", "https"} and bool(parsed.host)


def _check(field: str, value: Any, holds: bool, bound: str) -> None:  # noqa: FBT001
    if not holds:
        raise invalid(field, value, bound)


def _check_token(token: str) -> None:
    if not (token.isascii() and token.isprintable()):
        bound = "printable ASCII characters on one line"
        wrong = FieldError("token", f"must be {bound}", bound=bound)  # without the secret
        raise Invalid(f"the token must be {bound}", errors=[wrong])


def invalid(field: str, value: Any, bound: str) -> Invalid:
    """Return the error of an argument that is out of bounds."""
    wrong = FieldError(field, f"must be {bound}", value, bound)
    return Invalid(f"{field} is {value!r}, and must be {bound}", errors=[wrong])
