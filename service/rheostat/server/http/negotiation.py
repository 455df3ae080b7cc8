"""Which format a request wants, by ``?format=`` or ``Accept``, and how long its curve may be."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from fastapi import Depends, Query
from starlette.requests import Request

from rheostat.errors import FieldError, NotAcceptable, TooLarge
from rheostat.formats import FORMATS, Format
from rheostat.server.http.route import refuses
from rheostat.server.settings import Settings


class Range(NamedTuple):
    """One media range of an ``Accept`` header, and how much it is wanted, from 0 to 1."""

    media_type: str
    quality: float

    def specificity(self, media_type: str) -> int:
        """Say how precisely the range names a media type: 0 not at all, 3 exactly."""
        if self.media_type == media_type:
            return 3
        if self.media_type == media_type.partition("/")[0] + "/*":
            return 2
        return int(self.media_type == "*/*")


def ranges(accept: str) -> Iterator[Range]:
    """Yield the media ranges of an ``Accept`` header; an unreadable quality counts as 0."""
    for item in accept.lower().split(","):
        media_type, *parameters = (part.strip() for part in item.split(";"))
        quality = next((p[2:] for p in parameters if p.startswith("q=")), "1")
        try:
            yield Range(media_type, min(max(float(quality), 0.0), 1.0))
        except ValueError:
            yield Range(media_type, 0.0)


def wanted(accept: str | None, offered: tuple[Format, ...]) -> Format | None:
    """
    Return the format that an ``Accept`` header wants most, None if it wants none of them.

    The most specific range decides a format's quality (RFC 9110, 12.5.1); among equals the format
    that is offered first wins, and so does it when there is no header.
    """
    if not accept or not accept.strip():
        return offered[0]
    asked = list(ranges(accept))
    best = max(offered, key=lambda each: quality(asked, each.media_type))
    return best if quality(asked, best.media_type) > 0 else None


def quality(asked: Sequence[Range], media_type: str) -> float:
    """Return how much a media type is wanted: what the most specific range says of it."""
    matching = [(each.specificity(media_type), each.quality) for each in asked]
    specificity, best = max(matching)
    return best if specificity else 0.0


def offers(*offered: Format) -> Any:
    """Return the dependency that settles the answer's format; ``?format=`` wins over ``Accept``."""
    names = ", ".join(offered)
    query = Query(
        None,
        alias="format",
        description=f"Format of the answer, before `Accept`: one of {names}.",
        json_schema_extra={"enum": [str(item) for item in offered]},
    )

    @refuses(NotAcceptable)
    async def choose(request: Request, asked: str | None = query) -> Format:
        if asked is None:
            accept = ",".join(request.headers.getlist("accept"))
            chosen = wanted(accept, offered)
        else:
            chosen = FORMATS[asked] if asked in offered else None
        if chosen is None:
            raise _not_acceptable(asked, offered)
        return chosen

    return Depends(choose)


def _not_acceptable(asked: str | None, offered: tuple[Format, ...]) -> NotAcceptable:
    names = ", ".join(offered)
    detail = f"this answer comes as {names}"
    wrong = [] if asked is None else [FieldError("format", detail, asked, f"one of {names}")]
    available = {str(item): item.media_type for item in offered}
    return NotAcceptable(detail, errors=wrong, available=available)


def most_values(chosen: Format, settings: Settings) -> int:
    """Return how many values one answer may have in a format."""
    return settings.max_text_values if chosen.content == "text" else settings.max_binary_values


def check_size(chosen: Format, count: int, settings: Settings, field: str = "stop") -> None:
    """Raise `TooLarge` if a curve of ``count`` values is over the limit of its format."""
    limit = most_values(chosen, settings)
    if count <= limit:
        return
    detail = f"{count} values are more than the {limit} that one answer in {chosen} may have"
    wrong = [FieldError(field, detail, count, f"≤ {limit} values")]
    raise TooLarge(detail, errors=wrong, limit=limit)
