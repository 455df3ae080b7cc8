"""
Strict reading of bodies: JSON without doubt about its meaning.

FastAPI goes on validating a body against the route's model; what it gets has been read here.
"""

from __future__ import annotations

import gc
import re
from collections.abc import Callable, Coroutine, Iterator
from itertools import islice
from typing import Any, NoReturn, TypeVar

import anyio.to_thread
import orjson
from starlette.requests import Request
from starlette.responses import Response

from rheostat.errors import FieldError, Invalid, Malformed, TooLarge, UnsupportedMediaType
from rheostat.server.http.problems import MOST

DEEPEST = 64
"""Levels of nesting that a body may have; a definition itself may have 16."""

MOST_MEMBERS = 2_000
"""Members of one object: enough for a configuration file, and for 256 parameters."""

MOST_OF = {
    b"{": (20_000, "objects"),
    b":": (100_000, "members of objects"),
    b'"': (2_000_000, "quotation marks"),
    b"[": (1_050_000, "lists"),
}
"""
How often a body may have a character, and what it stands for; in strings it counts as well.

A byte of each costs a hundred times as much as a byte of a number, in time and in memory. A million
points fit, so do 16,384 changes; they are counted before anything is made of them.
"""

LARGE = 4 * 1024
"""Bodies over this size, in bytes, are worked on in a thread."""

READ_AT_ONCE = 1
"""Large bodies that one process works on at a time: more would only share one interpreter."""

TOKEN = re.compile(rb'["{}]')
"""The start of a string, and the start or end of an object."""

STRING = re.compile(rb'"(?:[^"\\]++|\\.)*+"')
COLON = re.compile(rb"\s*+:")

JSON_TYPE = re.compile(r"application/([^;]+\+)?json")

T = TypeVar("T")
Handler = Callable[[Request], Coroutine[Any, Any, Response]]


def loads(body: bytes) -> Any:
    """
    Read JSON strictly, in time in proportion to its length.

    Raises `TooLarge` for more objects, lists or strings than any request needs. Raises `Malformed`
    for what is not JSON (NaN and Infinity included), not UTF-8, or has lone surrogates; for a
    number beyond float64; for a key that appears twice in one object, and nesting beyond
    `DEEPEST`. Raises `Invalid` for an object of more than `MOST_MEMBERS`, and for NUL in strings,
    keys among them.
    """
    _check_counts(body)
    value = _parsed(body)
    if body.count(b":") != _count_keys(value):
        _refuse_twins(body)
    if b"\\u0000" in body:
        _refuse_nul(value)
    return value


def _check_counts(body: bytes) -> None:
    for character, (most, what) in MOST_OF.items():
        count = body.count(character)
        if count > most:
            detail = f"the body has {count} {what}, and at most {most} are read"
            wrong = [FieldError("body", detail, count, f"≤ {most} {what}")]
            raise TooLarge(detail, errors=wrong, limit=most)


def _parsed(body: bytes) -> Any:
    collects = len(body) > LARGE and gc.isenabled()
    if collects:  # to look for garbage among a million new lists takes longer than to make them
        gc.disable()
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise Malformed(f"the body is not JSON: {error}") from None
    finally:
        if collects:
            gc.enable()


def _count_keys(value: Any) -> int:
    """Return how many members all objects have; refuse an object that has too many."""
    keys, level = 0, [value] if isinstance(value, (dict, list)) else []
    for _ in range(DEEPEST):
        objects = [item for item in level if isinstance(item, dict)]
        if any(len(item) > MOST_MEMBERS for item in objects):
            _refuse_long(value)
        keys += sum(map(len, objects))
        level = [inner for item in level for inner in _containers(item)]
        if not level:
            return keys
    raise Malformed(f"the body nests deeper than {DEEPEST} levels")


def _refuse_long(value: Any) -> NoReturn:
    """Refuse the first object, from the outside in, that has too many members."""
    level = [("", value)]
    while True:
        for field, item in level:
            if isinstance(item, dict) and len(item) > MOST_MEMBERS:
                place, bound = field.removeprefix(".") or "body", f"≤ {MOST_MEMBERS} members"
                message = f"has {len(item)} members"
                wrong = [FieldError(place, message, f"an object of {len(item)}", bound)]
                raise Invalid(f"{place} {message}", errors=wrong)
        level = [inner for field, item in level for inner in _fields(field, item)]


def _fields(field: str, item: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(item, dict):
        named = ((f"{field}.{key[:100]}", value) for key, value in item.items())
    else:
        named = ((f"{field}[{index}]", value) for index, value in enumerate(item))
    return ((name, value) for name, value in named if isinstance(value, (dict, list)))


def _containers(item: Any) -> list[Any]:
    values = item.values() if isinstance(item, dict) else item
    if {dict, list}.isdisjoint(map(type, values)):
        return []
    return [value for value in values if isinstance(value, (dict, list))]


def _refuse_twins(body: bytes) -> None:
    """Refuse a key that appears twice in one object; the body is JSON."""
    objects: list[set[str]] = []
    place = 0
    while token := TOKEN.search(body, place):
        place = token.end()
        if token[0] == b"{":
            objects.append(set())
        elif token[0] == b"}":
            objects.pop()
        elif string := STRING.match(body, token.start()):
            place = string.end()
            if COLON.match(body, place):
                key = orjson.loads(string[0])
                if key in objects[-1]:
                    detail = f"the key {key[:100]!r} appears twice in one object of the body"
                    raise Malformed(detail)
                objects[-1].add(key)


def _refuse_nul(value: Any) -> None:
    having = ((field, text) for field, text in _strings(value, "") if "\0" in text)
    wrong = [
        FieldError(field.removeprefix(".") or "body", "has a NUL character", text, "no NUL")
        for field, text in islice(having, MOST)
    ]
    if wrong:
        raise Invalid("the body has NUL characters in strings", errors=wrong)


def _strings(value: Any, field: str) -> Iterator[tuple[str, str]]:
    """Yield the strings of a body, keys among them, each with the path of its field."""
    if isinstance(value, str):
        yield field, value
    elif isinstance(value, dict):
        for key, item in value.items():
            path = f"{field}.{key[:100]}"
            yield path, key
            yield from _strings(item, path)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _strings(item, f"{field}[{index}]")


async def off_loop(request: Request, work: Callable[[], T], *, large: bool = False) -> T:
    """Do work on a request's body: at once if it is small, else in a thread, one at a time."""
    if not large and len(await request.body()) <= LARGE:
        return work()
    limiter = request.app.state.reading_limiter
    return await anyio.to_thread.run_sync(work, limiter=limiter)


class JsonRequest(Request):
    """A request whose JSON body has been read strictly."""

    content: Any = None

    async def read(self, *, required: bool) -> None:
        """Read the body; raise `UnsupportedMediaType` or `Malformed`."""
        body = await self.body()
        if not body and not required:
            return
        media_type = self.headers.get("content-type", "").partition(";")[0].strip().lower()
        if not JSON_TYPE.fullmatch(media_type):
            sent = f"is {media_type[:100]}" if media_type else "is missing"
            raise UnsupportedMediaType(f"Content-Type must be application/json, and {sent}")
        self.content = await off_loop(self, lambda: loads(body))

    async def json(self) -> Any:
        """Return what was read."""
        return self.content
