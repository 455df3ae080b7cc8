"""
What came back, and whose word it is: no sockets here.

Between a client and the service stand proxies, caches and balancers, which answer by themselves
while they are deployed, overloaded or misconfigured. What they say is never taken for the
service's word: a refusal counts only as a problem document of ours, and a value only if everything
about it is right.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any, NoReturn

import httpx

from rheostat import errors

Document = dict[str, Any]

DEEPEST = 64
"""How many levels of lists and objects a document may have: ours have about 20 at most."""
LONGEST_WAIT_FOR_OTHERS = 5.0
"""Seconds of the longest pause that anybody but the service may ask for."""
EXCERPT = 200
"""Characters of a body that an error shows."""
LONGEST_LIST = 1024 * 1024 * 1024
"""Bytes that all pages of a list may have together."""
EMPTY_PAGES = 100
"""Pages without an item, one after the other, after which a list is taken for endless."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer with its body, which ends where it became longer than it may be (``over``)."""

    status: int
    headers: httpx.Headers
    body: bytes = b""
    over: bool = False

    @property
    def kind(self) -> str:
        """The media type, without parameters."""
        kind: str = self.headers.get("Content-Type", "")
        return kind.partition(";")[0].strip().lower()

    @property
    def is_success(self) -> bool:
        """Whether the status says that the request was carried out."""
        return 200 <= self.status < 300

    def __str__(self) -> str:
        """Say what answered: status, type, the first characters, and who it says it is."""
        status = self.status
        named = f"{status} {HTTPStatus(status).phrase}" if status in _STATUSES else str(status)
        kind = self.headers.get("Content-Type", "no content type")[:EXCERPT]
        text = repr(self.body[: 4 * EXCERPT].decode(errors="replace")[:EXCERPT])
        server = self.headers.get("Server")
        return f"{named}, {kind!s}, {text}" + (f", from {server[:EXCERPT]!r}" if server else "")


_STATUSES = frozenset(HTTPStatus)


class Broken(Exception):
    """An answer that is not the service's word: another's, or cut off, changed or too long."""

    def __init__(self, reason: str, status: int = 200) -> None:
        super().__init__(reason)
        self.status = status


class Stripped(Broken):
    """A block whose headers somebody has left out, so that nothing proves whose it is."""


class RedirectedAnswer(Broken):
    """An answer that names another address, which is never followed."""

    def __init__(self, reason: str, status: int, location: str) -> None:
        super().__init__(reason, status)
        self.location = location


def document(answer: Answer) -> Document:
    """Return the JSON object of a success."""
    found = _object(answer)
    if found is None:
        raise Broken(f"expected a JSON object, got {answer}", answer.status)
    if answer.status == httpx.codes.ACCEPTED:
        raise _held(found)
    return found


def _held(found: Document) -> Exception:
    """Return what is raised where a protected run's proposal is all that was made."""
    number, run = found.get("proposal"), found.get("run")
    if type(number) is not int or not isinstance(run, str):
        return Broken(f"expected a proposal, got {str(found)[:EXCERPT]}", httpx.codes.ACCEPTED)
    message = f"the run {run} is protected: proposal {number} waits for another person to accept it"
    return errors.NeedsApproval(message, found)


def nothing(answer: Answer) -> Document:
    """Return an empty document for an answer without content, else the JSON object."""
    return {} if answer.status == httpx.codes.NO_CONTENT else document(answer)


class Pages:
    """The pages of one list so far."""

    def __init__(self, key: str) -> None:
        self.items: list[Any] = []
        self.head: Document = {}
        """What the first page says besides."""
        self.next: str | None = None
        self._key = key
        self._left = LONGEST_LIST
        self._empty = 0
        self._seen: set[str] = set()

    def take(self, answer: Answer) -> None:
        """Take in the next page; raise `Broken` if it can be none."""
        page = document(answer)
        items, following = page.get(self._key), page.get("next")
        if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
            raise Broken(f"expected a list of objects under {self._key!r}, got {answer}")
        if not isinstance(following, str | None) or following in self._seen:
            raise Broken("a list whose next page is no text, or one that has been read")
        if not self._seen:
            self.head = {
                name: told for name, told in page.items() if name not in (self._key, "next")
            }
        left, empty = self._left - len(answer.body), 0 if items else self._empty + 1
        if left < 0 or empty > EMPTY_PAGES:
            raise Broken("a list that does not end")
        self.items += items
        self.next = following or None
        self._left, self._empty = left, empty
        self._seen.add(following or "")


def values_of_step(answer: Answer) -> dict[str, float]:
    """Return the values at a step that was looked at; raise `Broken` if one cannot be any."""
    values = document(answer).get("parameters")
    if not isinstance(values, dict) or not values or not all(map(_is_float64, values.values())):
        raise Broken(f"expected the values of a step, got {answer}")
    return {name: float(value) for name, value in values.items()}


def _is_float64(value: Any) -> bool:
    """Whether a value is a float64; a large integer may be none."""
    if type(value) is int:
        return abs(value) < 2**1000
    return type(value) is float and math.isfinite(value)


def refusal(answer: Answer) -> errors.Refused | None:
    """Return the error of an answer that is no success, None if that is not the service's word."""
    problem = _object(answer) if answer.kind.endswith("json") else None
    if problem is None or not str(problem.get("type", "")).startswith(errors.PROBLEM_TYPE):
        return None
    if problem.get("status", answer.status) != answer.status:
        return None
    refused = errors.from_problem(problem, answer.status)
    refused.retry_after = retry_after(answer)
    return refused


def foreign(answer: Answer) -> Broken:
    """Return what to say of an answer that is no success and not the service's word."""
    said = f"an answer that is not Rheostat's: {answer}"
    location = answer.headers.get("Location", "")
    if answer.status not in _REDIRECTS and not (300 <= answer.status < 400 and location):
        return Broken(said, answer.status)
    where = public_address(location)
    hint = f"which points to {where or 'nowhere'}. Redirects are not followed: if that is where"
    return RedirectedAnswer(
        f"{said}, {hint} the service is, give the client that address", answer.status, where
    )


_REDIRECTS = frozenset({301, 302, 303, 307, 308})


def public_address(url: str) -> str:
    """Return a URL as it may be shown: without name, password, query and what cannot be seen."""
    before, separator, rest = url.partition("://")
    if not separator:
        before, rest = "", url
    authority, slash, path = rest.partition("/")
    if "@" in rest:  # a password may hold a slash
        authority, slash, path = rest.rpartition("@")[2].partition("/")
        authority = f"***@{authority}"
    shown = f"{before}{separator}{authority}{slash}{path}"
    cut = min((at for at in map(shown.find, "?#") if at >= 0), default=len(shown))
    return repr(shown[:cut][:EXCERPT])[1:-1]


def retry_after(answer: Answer) -> float:
    """Return the seconds to wait that the answer asks for, as a number or a date; else 0."""
    text = answer.headers.get("Retry-After", "").strip()[:100]
    if text.isascii() and text.isdecimal():
        return float(text)
    try:
        until = parsedate_to_datetime(text).timestamp()
    except (ValueError, OverflowError, TypeError, OSError):
        return 0.0
    return max(0.0, until - time.time())


@contextmanager
def understood(what: str) -> Iterator[None]:
    """Turn what goes wrong with the members of a document into an error of the tree."""
    try:
        yield
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
        raise errors.RheostatError(
            f"{what} cannot be read: {type(error).__name__}: {error}. It is not what this version "
            "of Rheostat answers"
        ) from error


def _object(answer: Answer) -> Document | None:
    if answer.over:
        return None
    try:
        found = json.loads(answer.body, parse_constant=_no_number)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) and _is_shallow(found) else None


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is not JSON")


def _is_shallow(found: Document) -> bool:
    """Whether a document is nested no deeper than whatever looks at it later can go."""
    level: list[Any] = [found]
    for _ in range(DEEPEST):
        level = [part for whole in level for part in _parts(whole) if type(part) in _NESTS]
        if not level:
            return True
    return False


def _parts(whole: Any) -> Iterable[Any]:
    return whole.values() if type(whole) is dict else whole


_NESTS = (dict, list)
