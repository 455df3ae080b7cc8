"""Server-sent events, from bytes that arrive in pieces: no sockets here."""

from __future__ import annotations

import re
from dataclasses import dataclass

from rheostat.client.answers import Broken

END_OF_LINE = re.compile(rb"\r\n|\n|\r(?!\Z)")
r"""No other character ends a line, whatever Unicode says; a last ``\r`` may be half a ``\r\n``."""

LONGEST = 16 * 1024 * 1024
"""Bytes of the longest event, twice the longest request."""
OF_A_LINE = 64
"""Bytes that a line takes besides its own: there may be many empty ones."""


@dataclass(frozen=True, slots=True)
class ServerSentEvent:
    """One event of a stream."""

    kind: str
    data: str


class Parser:
    """
    Reads a stream of events as the HTML standard has it, but for ``id`` and ``retry``.

    An event ends with an empty line; one that was cut off is dropped. Pieces of a line are put
    together once, when it ends, so that the work is linear in the bytes however they are cut.
    """

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._kind = ""
        self._data: list[str] = []
        self._size = 0  # of the line that has begun
        self._held = 0  # of the event that has
        self.lines = 0
        """How many lines have come whole."""

    def feed(self, piece: bytes) -> list[ServerSentEvent]:
        """Return the events that this piece completes; raise `Broken` past the longest."""
        self._size += len(piece)
        ended = self._pieces and self._pieces[-1].endswith(b"\r")
        if not ended and b"\n" not in piece and b"\r" not in piece:
            self._pieces.append(piece)
            self._require_short()
            return []
        *lines, rest = END_OF_LINE.split(b"".join(self._pieces) + piece)
        self._pieces = [rest] if rest else []
        self.lines += len(lines)
        read = [self._read(line.decode(errors="replace")) for line in lines]
        self._size = len(rest)
        self._require_short()
        return [message for message in read if message is not None]

    def _require_short(self) -> None:
        if self._size + self._held > LONGEST or len(self._pieces) > LONGEST // 64:
            raise Broken(f"an event that is longer than {LONGEST} bytes")

    def _read(self, line: str) -> ServerSentEvent | None:
        if not line:
            return self._completed()
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if field == "event":
            self._kind = value
        elif field == "data":
            self._data.append(value)
            self._held += len(value) + OF_A_LINE
        return None

    def _completed(self) -> ServerSentEvent | None:
        kind, data = self._kind, self._data
        self._kind, self._data, self._held = "", [], 0
        return ServerSentEvent(kind, "\n".join(data)) if data else None
