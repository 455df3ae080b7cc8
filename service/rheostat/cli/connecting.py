"""The client of the command line, which waits for a service that is being restarted."""

from __future__ import annotations

from typing import Any

import httpx

from rheostat.cli.views.screen import Screen
from rheostat.cli.whereabouts import Whereabouts, not_served, whereabouts
from rheostat.client import Client
from rheostat.client._sync.network import Network
from rheostat.client.calls import Call
from rheostat.client.retry import Outcome
from rheostat.client.settings import Settings
from rheostat.errors import Unreachable

TIMEOUT, RETRIES = 30.0, 2
"""Seconds that a command waits for an answer, and how often it asks again where that is safe."""
PAUSE, PAUSES, QUIET = 0.25, 20, 4
"""Seconds between two calls that are refused a connection, how many there are, and how many of
them nothing is said about: five seconds in all, the first of them in silence."""


def connect(
    server: str | None,
    token: str | None,
    author: str | None = None,
    *,
    timeout: float = TIMEOUT,
    retries: int = RETRIES,
) -> Client:
    """Return a client that is as patient as people are, or so many seconds and repetitions."""
    return _Client(whereabouts(server, token), author, timeout, retries)


class _Network(Network):
    def __init__(self, settings: Settings, there: Whereabouts) -> None:
        super().__init__(settings)
        self._there, self._pauses, self._answered = there, 0, False

    def send(self, call: Call) -> Outcome:
        """Send a call, again and again while nobody listens: it never reached the service."""
        while _refused(answer := super().send(call)) and self._pauses < PAUSES:
            if self._there.file and not self._there.is_served and not self._answered:
                raise Unreachable(not_served(self._there.file))
            self._pauses += 1
            if self._pauses == QUIET + 1:
                Screen(error=True).line(f"waiting for {self.settings.address} …")
            self.sleep(PAUSE)
        if not _refused(answer):
            self._pauses, self._answered = 0, True
        elif call.silence is None:  # a watch that was cut off waits for longer
            raise Unreachable(self._told(answer))
        return answer

    def _told(self, answer: Outcome) -> str:
        if self._there.file and self._there.is_served:
            return not_served(self._there.file)
        through = "" if self.settings.way is None else f" through {self.settings.way}"
        return (
            f"no answer from {self.settings.address}{through}: {answer}\n"
            "Does the service run, and there?"
        )


class _Client(Client):
    def __init__(
        self, there: Whereabouts, author: str | None, timeout: float, retries: int
    ) -> None:
        self._there = there
        super().__init__(
            there.url, token=there.token, author=author, timeout=timeout, retries=retries
        )

    def _open(self, settings: Settings) -> Network:
        return _Network(settings, self._there)


def _refused(answer: Any) -> bool:
    """Say whether a connection was refused, which httpx tells by the cause of its error."""
    if not isinstance(answer, httpx.ConnectError):
        return False
    cause: BaseException | None = answer
    while cause is not None and not isinstance(cause, ConnectionRefusedError):
        cause = cause.__cause__ or cause.__context__
    return cause is not None
