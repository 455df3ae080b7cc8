"""
The client of a local server: it says that it is there, and starts the server again where it ended.

Whoever finds nobody at the address that was known looks where the server is now, and starts it if
it is nowhere, whether a training reads or somebody asks. What only tells, as beats do, starts none.
"""

from __future__ import annotations

import contextlib
import json
import threading
import weakref
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx

from rheostat.client import Client
from rheostat.client._sync.network import Network, Stream
from rheostat.client.answers import Answer
from rheostat.client.calls import JSON, Call
from rheostat.client.retry import NEVER_SENT, Outcome
from rheostat.client.settings import Settings
from rheostat.errors import RheostatError
from rheostat.local_server import files
from rheostat.local_server.finding import LocalServer


class LocalNetwork(Network):
    """
    What sends to a local server: where that has gone, to the one that is started in its place.

    Without a ``server``, to the one that another machine started, which it cannot start again.
    """

    def __init__(self, settings: Settings, server: LocalServer | None, linger: float) -> None:
        self._server = server
        self._linger = linger
        super().__init__(settings)

    def _renew(self) -> None:
        super()._renew()
        self._looking = threading.Lock()
        """Kept by the one who looks where the server is."""
        self._attaching: threading.Thread | None = None
        self._finds = 0

    def send(self, call: Call) -> Outcome:
        """Return the answer, or the error that there was instead."""
        finds = self._finds
        outcome = super().send(call)
        if not _tells(call) and self._lost(outcome):
            return self._look(finds) or super().send(call)
        return outcome

    def stream(self) -> Stream:
        """Return what reads answers piece by piece."""
        return _LocalStream(self)

    def found(self, outcome: Outcome, finds: int) -> bool:
        """Say whether to ask again: nobody was there, and now there is a server."""
        return self._lost(outcome) and self._look(finds) is None

    @property
    def finds(self) -> int:
        """How often a server was looked for."""
        return self._finds

    def attach(self) -> None:
        """Say in the background that this client is there, until it is closed or let go."""
        with self._opening:
            if self._attaching is None and not self._closed.is_set():
                self._attaching = threading.Thread(
                    target=_keep_attached,
                    args=(weakref.ref(self), self._closed),
                    name="rheostat attached",
                    daemon=True,
                )
                with contextlib.suppress(RuntimeError):  # the interpreter ends
                    self._attaching.start()

    def say_attached(self) -> None:
        """Say once that this client is there; nobody minds if it is not heard."""
        body = json.dumps({"linger": self._linger}).encode()
        headers = {"Accept": JSON, "Content-Type": JSON}
        super().send(Call("POST", files.ATTACHED, headers=headers, content=body))

    def take(self) -> Any:
        """Return a connection that nobody uses; whoever uses one is attached."""
        if self._attaching is None:  # of a forked process, whose parent's thread is not its own
            self.attach()
        return super().take()

    def _lost(self, outcome: Outcome) -> bool:
        """Whether nobody was there, or somebody else, and it is known how to find the server."""
        if self._server is None or self._closed.is_set():
            return False
        unknown = isinstance(outcome, Answer) and outcome.status == httpx.codes.UNAUTHORIZED
        return unknown or isinstance(outcome, NEVER_SENT)

    def _look(self, finds: int) -> RheostatError | None:
        """Look where the server is, and start it if it is nowhere; return why that failed."""
        assert self._server is not None  # noqa: S101 - `_lost` has asked
        with self._looking:
            if self._finds != finds:
                return None  # somebody else has looked meanwhile
            try:
                there = self._server.found()
            except RheostatError as error:
                return error
            self._finds += 1
            self.settings = replace(self.settings, base_url=there.url, token=there.token)
            with self._opening:
                idle = [*self._idle]
                self._idle.clear()
                self._connections.difference_update(idle)
        for connection in idle:
            connection.abandon()
        return None


class _LocalStream(Stream):
    """The answer that is read piece by piece, from wherever the server is."""

    _network: LocalNetwork

    def open(self, call: Call) -> Outcome:
        """Ask for a stream, in place of the one before; return its head, or a whole refusal."""
        finds = self._network.finds
        outcome = super().open(call)
        return super().open(call) if self._network.found(outcome, finds) else outcome


class LocalClient(Client):
    """
    A client of a local server: of one that `rheostat.local` started, or found.

    A pickled copy finds that of the same file, or starts it, when it is first used.
    """

    __module__ = "rheostat.local_server.client"

    def __init__(
        self,
        server: LocalServer | None,
        url: str,
        token: str,
        linger: float,
        options: Mapping[str, Any],
    ) -> None:
        self._server, self._linger = server, linger
        super().__init__(url, token=token, trust_env=False, **options)
        self._attach()

    @property
    def url(self) -> str:
        """Where the server is."""
        return self.session.network.settings.address

    @property
    def database(self) -> Path | None:
        """The file that the server keeps runs in; None on another machine than its own."""
        return None if self._server is None else self._server.database

    def _open(self, settings: Settings) -> Network:
        return LocalNetwork(settings, self._server, self._linger)

    def _attach(self) -> None:
        network = self.session.network
        if isinstance(network, LocalNetwork):
            network.attach()

    def __getstate__(self) -> Any:
        return self._server, self._linger, self.session.network.settings

    def __setstate__(self, state: Any) -> None:
        if isinstance(state, tuple):
            self._server, self._linger, state = state
        super().__setstate__(state)


def _keep_attached(network: weakref.ref[LocalNetwork], closed: threading.Event) -> None:
    """Say every few seconds that a client is there, until it is closed or let go."""
    while not closed.wait(files.EVERY):
        there = network()
        if there is None:
            return
        with contextlib.suppress(Exception):
            there.say_attached()
        del there


def _tells(call: Call) -> bool:
    """Whether nothing depends on a call, so that it starts no server."""
    return call.path.endswith("/beats")
