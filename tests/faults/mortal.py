"""
A service whose processes die at a word: between a report and its answer, where that hurts most.

All is imported once; for each life a process is forked, which opens the database anew, and dies by
SIGKILL as a request asks. Connections wait for the next life, on the same socket.
"""

from __future__ import annotations

import gc
import os
import signal
import socket
import sys
import threading
from typing import Any

from uvicorn import Config, Server

from rheostat import __version__
from rheostat.server.app import create_app
from rheostat.server.routes import reports as routes
from rheostat.server.settings import Settings
from rheostat.server.store.opening import open_store
from rheostat.server.store.operations import report as operations

PLACE = b"test-die"
PLACES = ("asked", "undone", "unanswered", "anywhere")
"""
Before anything is done; with all written, and nothing committed; with all committed, and nothing
answered; and after so many microseconds, wherever that is.
"""


def die() -> None:
    """Leave at once, as ``kill -9`` does."""
    os.kill(os.getpid(), signal.SIGKILL)


class Mortal:
    """An application that dies where a request says so."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Pass a request on, or die."""
        word = dict(scope.get("headers") or ()).get(PLACE, b"").decode()
        place, _, microseconds = word.partition(" ")
        if place == "asked":
            die()
        elif place == "undone":
            _die_before_the_commit()
        elif place == "anywhere":
            threading.Timer(int(microseconds) / 1e6, die).start()

        async def told(message: Any) -> None:
            if place:
                die()  # whatever it was to be, nobody hears of it
            await send(message)

        await self._app(scope, receive, told)


def _die_before_the_commit() -> None:
    report = operations.report

    def dying(*parts: Any) -> Any:
        report(*parts)
        die()

    routes.report.report = dying  # type: ignore[attr-defined]


def live() -> None:
    """Serve, in one process after the other, until the first of them is killed."""
    settings = Settings()
    open_store(settings).close()
    app = Mortal(create_app(settings))  # connects and starts threads in each life, not before
    gc.freeze()
    with socket.create_server((settings.host, settings.port), backlog=128) as listener:
        host, port = listener.getsockname()[:2]
        where = f"http://{host}:{port} from {settings.safe_database}"
        sys.stdout.write(f"Rheostat {__version__} serves {where}\n")
        sys.stdout.flush()
        while True:
            child = os.fork()
            if child == 0:
                _serve(app, listener)
                os._exit(0)
            os.waitpid(child, 0)


def _serve(app: Mortal, listener: socket.socket) -> None:
    config = Config(
        app,
        loop="uvloop",
        http="rheostat.server.http.protocol:connection",
        lifespan="on",
        access_log=False,
        log_level="warning",
    )
    Server(config).run(sockets=[listener])
