"""
The connections of one process: how many there may be, and which have to go.

Each has two moments by which something must have happened: ``due``, for what its peer has to send,
and ``taken_by``, for what its peer has to take. `Connections` looks at all of them once a second,
and ends those that are late; there is no timer for each. When there are as many as there may be,
those make room who have not sent a request, and then those that have been silent for longest.
"""

from __future__ import annotations

import asyncio
import errno
import heapq
import logging
import os
import resource
import sys
from collections import Counter
from enum import StrEnum
from typing import Protocol

from rheostat.errors import Unavailable
from rheostat.server.http.budgets import Budget, busy
from rheostat.server.http.metrics import Metrics
from rheostat.server.http.turns import OnePerTurn

LOOK_EVERY = 1.0
"""Seconds from one look at all connections to the next."""

REPORT = 10.0
"""Seconds after which what was ended meanwhile is said in the log, in one line."""

KEEP_ALIVE = 75.0
"""Seconds for which a connection stays between two requests."""

FIRST = HEAD = 10.0
"""Seconds for a connection to say something, and for a head from its first byte to its last."""

SLOWEST = 16 * 1024
"""Bytes a second that a peer has to send of a body, and to take of an answer, on average."""

GRACE = 10.0
"""Seconds that it has besides: for the first bytes, and for a line that hesitates."""

LINGER = 2.0
"""
Seconds for which a connection that was refused is still read from.

To close it at once would have the kernel throw away what was just sent, if the peer sends more.
"""

HEADS = 16 * 1024 * 1024
"""Bytes that all heads which have not come to their end may have together."""

UNSENT = 64 * 1024 * 1024
"""Bytes that all connections together may wait to send, as they are seen once a second."""

FILES = 256
"""Open files that are left to all else: the database, the log, figures, the sockets that listen."""

FEW_FILES = 1024
"""Where fewer may be open, a quarter is for connections."""

TURNED_AWAY = 64
"""Connections beyond the limit that are told so; any more are closed without a word."""

IDLE = 1.0
"""Seconds of silence after which a connection may have to make room."""

LOG = logging.getLogger("rheostat.connections")


class EndReason(StrEnum):
    """Why the service ended a connection by itself: a label of its metric, and in its log."""

    TOO_MANY = "too many connections"
    ROOM_WITHOUT_REQUEST = "made room without a request"
    ROOM_WHILE_IDLE = "made room while idle"
    NO_FILES = "no open files left"
    NOTHING_CAME = "nothing came"
    SLOW_HEAD = "a head came too slowly"
    HEADS = "too many heads"
    SLOW_BODY = "a body came too slowly"
    NO_ROOM = "no room for a body"
    SHORT_OF_BYTES = "cut off while bytes were short"
    NOT_TAKEN = "an answer was not taken"
    ANSWERS_NOT_TAKEN = "answers not taken"


class Connection(Protocol):
    """What is asked of a connection here."""

    due: float
    taken_by: float

    @property
    def idle(self) -> bool:
        """Whether it waits for a request."""

    @property
    def backlog(self) -> int:
        """Bytes that are held because its peer has yet to take them, counted nowhere else."""

    def expire(self, now: float) -> None:
        """End it, unless it is not the peer who is late."""

    def abort(self) -> None:
        """End it at once, whatever is under way; its unfinished head no longer counts."""


def connections_for(wanted: int) -> int:
    """Return how many connections there may be: as many as wanted, or as the open files allow."""
    files, room = _room()
    if room < wanted:
        LOG.warning(
            "this process may open %d files, so that it serves at most %d connections, and not %d:"
            " raise the limit of open files (ulimit -n, LimitNOFILE)",
            *(files, room, wanted),
        )
    return min(wanted, room)


def lacking_files(wanted: int) -> int:
    """Return how many more files would have to be allowed for as many connections as wanted."""
    files, room = _room()
    return 0 if room >= wanted else wanted + FILES + TURNED_AWAY - files


def _room() -> tuple[int, int]:
    """Return how many files may be open, and how many connections they are enough for."""
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if files == resource.RLIM_INFINITY:
        return sys.maxsize, sys.maxsize
    return files, files - FILES - TURNED_AWAY if files > FEW_FILES else files // 4


class Connections:
    """All connections of one process, at most ``limit`` of them; for the event loop alone."""

    def __init__(
        self, limit: int, receiving: Budget, small: Budget, sending: Budget, metrics: Metrics
    ) -> None:
        self.limit = limit
        self.receiving, self.small, self.sending = receiving, small, sending
        self.heads = 0
        self.parsing, self.starting = OnePerTurn(), OnePerTurn()
        self._metrics = metrics
        self._all: set[Connection] = set()
        self._without_request: dict[Connection, None] = {}
        self._turned_away: set[Connection] = set()
        self._ended: Counter[EndReason] = Counter()
        for reason in EndReason:  # the first one is a rise, too
            metrics.count_ended(reason, 0)

    def admit(self, connection: Connection) -> Unavailable | None:
        """Count a new connection, and return its refusal if it is one too many."""
        if len(self._all) - len(self._turned_away) >= self.limit and not self._make_room():
            self.count(EndReason.TOO_MANY)
            self._turned_away.add(connection)
            if len(self._turned_away) > TURNED_AWAY:
                connection.abort()
        self._all.add(connection)
        if connection not in self._turned_away:
            self._without_request[connection] = None
            return None
        return busy(f"this process has {self.limit} connections, and may have no more; try again")

    def leave(self, connection: Connection) -> None:
        """Forget a connection that has ended."""
        self._all.discard(connection)
        self._turned_away.discard(connection)
        self._without_request.pop(connection, None)

    def begin_head(self, connection: Connection, size: int) -> None:
        """Count bytes of a head that goes on; who has been at one for longest may have to go."""
        self._without_request.setdefault(connection)
        self.heads += size
        while self.heads > HEADS and self._without_request:
            self._end(next(iter(self._without_request)), EndReason.HEADS)

    def end_head(self, connection: Connection, size: int) -> None:
        """Count those bytes no more: the head is whole, or will never be."""
        self._without_request.pop(connection, None)
        self.heads -= size

    def count(self, reason: EndReason) -> None:
        """Count a connection that was ended for a reason, in the figures and for the log."""
        self._ended[reason] += 1
        self._metrics.count_ended(reason)

    async def keep_looking(self) -> None:
        """Look at all connections for ever."""
        loop = asyncio.get_running_loop()
        said = loop.time()
        while True:
            await asyncio.sleep(LOOK_EVERY)
            now = loop.time()
            try:
                self.look(now)
            except Exception:
                LOG.exception("could not look at the connections")
            if now - said >= REPORT:
                said = now
                self._report()

    def look(self, now: float) -> None:
        """End the connections that are late, and those that keep the most from being sent."""
        for late in [each for each in self._all if each.due < now or each.taken_by < now]:
            late.expire(now)
        self._bound_unsent()
        self._look_at_files()
        self._metrics.count_connections(len(self._all))

    def _report(self) -> None:
        if self._ended:
            ended = ", ".join(f"{reason}: {times}" for reason, times in self._ended.items())
            self._ended.clear()
            LOG.warning("connections that were ended in the last %.0f s: %s", REPORT, ended)

    def _bound_unsent(self) -> None:
        waiting = {each: each.backlog for each in self._all}
        total = sum(waiting.values())
        if total <= UNSENT:
            return
        for slowest in sorted(filter(waiting.get, waiting), key=_patience):
            self._end(slowest, EndReason.ANSWERS_NOT_TAKEN)
            total -= waiting[slowest]
            if total <= UNSENT:
                return

    def _look_at_files(self) -> None:
        # A socket that cannot be accepted for want of a descriptor is closed by libuv without a
        # word: so whether there is one left is tried.
        try:
            os.close(os.open(os.devnull, os.O_RDONLY))
        except OSError as error:
            if error.errno in {errno.EMFILE, errno.ENFILE}:
                self.count(EndReason.NO_FILES)
                self._make_room()

    def _make_room(self) -> bool:
        """End the connection that is missed least, or some; return whether there was any."""
        if self._without_request:
            self._end(next(iter(self._without_request)), EndReason.ROOM_WITHOUT_REQUEST)
            return True
        # To look through all of them takes long, so that it is done for many newcomers at once.
        some = heapq.nsmallest(self.limit // 100 + 1, self._idle(), key=_due)
        for silent in some:
            self._end(silent, EndReason.ROOM_WHILE_IDLE)
        return bool(some)

    def _idle(self) -> list[Connection]:
        now = asyncio.get_running_loop().time()
        return [each for each in self._all if each.idle and each.due < now + KEEP_ALIVE - IDLE]

    def _end(self, connection: Connection, reason: EndReason) -> None:
        self.count(reason)
        self.leave(connection)
        connection.abort()


def _due(connection: Connection) -> float:
    return connection.due


def _patience(connection: Connection) -> float:
    return min(connection.taken_by, connection.due)
