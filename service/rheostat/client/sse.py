"""Server-sent events, from bytes that arrive in pieces: no sockets here."""

from __future__ import annotations

import re
from dataclasses import dataclass

END_OF_LINE = re.compile(rb"\r\n|\n|\r(?!\Z)")
r"""No other character ends a line, whatever Unicode says; a last ``\r`` may be half a ``\r\n``."""


@dataclass(frozen=True, slots=True)
class Message:
    """One event of a stream."""

    kind: str
    data: str


class Parser:
    """
    Reads a stream of events as the HTML standard has it, but for ``id`` and ``retry``.

    An event ends with an empty line; one that was cut off is dropped.
    """

    def __init__(self) -> None:
        self._rest = b""
        self._kind = ""
        self._data: list[str] = []

    def feed(self, piece: bytes) -> list[Message]:
        """Return the events that this piece completes."""
        *lines, self._rest = END_OF_LINE.split(self._rest + piece)
        read = (self._read(line.decode(errors="replace")) for line in lines)
        return [message for message in read if message is not None]

    def _read(self, line: str) -> Message | None:
        if not line:
            return self._completed()
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if field == "event":
            self._kind = value
        elif field == "data":
            self._data.append(value)
        return None

    def _completed(self) -> Message | None:
        kind, data = self._kind, self._data
        self._kind, self._data = "", []
        return Message(kind, "\n".join(data)) if data else None
