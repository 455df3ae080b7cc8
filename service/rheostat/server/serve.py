"""
The server's processes: one worker in this process, or several under a supervisor.

`serve` binds the address, brings the database up to date, starts the workers, and says in one line
on standard output that it serves, when it does. Logs go to standard error.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import resource
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, NoReturn

from uvicorn import Config, Server
from uvicorn.config import STARTUP_FAILURE

from rheostat import __version__
from rheostat.errors import Refused, RheostatError
from rheostat.server.environment import remarks
from rheostat.server.http.figures import SharedFigures, share_figures
from rheostat.server.http.restarts import Restarts
from rheostat.server.local import LocalService
from rheostat.server.logs import configuration
from rheostat.server.settings import Settings
from rheostat.server.store.opening import keeping_open, open_store, require_usable
from rheostat.server.store.operations import tokens
from rheostat.server.supervisor import ALIVE, READY, STOPS, Supervisor, stop_with_supervisor
from rheostat.server.systemd import tell_ready

if TYPE_CHECKING:
    from fastapi import FastAPI

LOG = logging.getLogger("rheostat.serve")

FAILED, MISUSED = 1, 2
"""Exit codes: the address or the database is not to be had; the settings make no sense."""

BACKLOG = 65_535
"""Connections that may wait to be accepted; the system's own limit may be lower."""

ACCEPTED = 16
"""
Connections that are accepted in one turn of the event loop.

libuv accepts one connection a turn for each socket that listens, so that many descriptors of one
socket listen. Under load a turn takes long, and with one of them a fleet that starts would wait for
minutes.
"""

SWITCH = 0.0005
"""Seconds that a thread which computes a curve may keep the interpreter from the event loop."""

NEW_OBJECTS = 20_000
"""
By how many objects a process grows before Python looks for garbage among the newest.

Every connection keeps what its last request was made of. With Python's 700, what ten thousand of
them keep is looked through so often that it takes a fifth of the time, 50 to 200 ms at once.
"""

GRACE, HEALTH = 10, 30
"""Seconds: open answers may take at a stop, a worker may be silent."""

PATIENCE = GRACE + 5
"""Seconds after which a worker that was told to stop is killed."""

BEAT = 10
"""Ticks of uvicorn's, of 0.1 s, from one sign of life of a worker to the next."""

MAPPED = ("PROMETHEUS_MULTIPROC_DIR", "prometheus_multiproc_dir")
"""Variables that make prometheus-client map files, which kills the process on a full disk."""

STALLED = 60
"""Seconds after which a peer that takes nothing of what it is sent is cut off."""


def serve(settings: Settings, service: LocalService | None = None) -> None:
    """
    Serve until SIGTERM or SIGINT, and return; as a local server, also until nobody is left.

    Raises:
        SystemExit: with code 2 if the settings make no sense together, and with code 1 if the
            address or the database is not to be had; both after one sentence on standard error.

    """
    for name in MAPPED:
        os.environ.pop(name, None)
    config = _config(settings, service=service)
    for remark in remarks(Settings.model_fields):
        LOG.warning(remark)
    _raise_open_files()
    with _stopping_quietly(), _bound(settings) as listeners:
        _open(settings, requires_tokens=settings.tokens_required and service is None)
        ready = partial(_announce, settings, listeners[0].getsockname(), service)
        if settings.workers == 1:
            _Worker(config, ready, service=service).run(sockets=listeners)
        else:
            gc.enable()  # a supervisor makes little, for long
            _supervise(settings, listeners, ready)


def _supervise(
    settings: Settings, listeners: list[socket.socket], ready: Callable[[], None]
) -> None:
    figures = share_figures(settings.workers + 1)
    if figures is None:
        LOG.warning("no memory to share: each worker's /metrics has its own figures alone")
    work = partial(_work, settings, figures)
    restarts = Restarts(figures, settings.workers)
    supervisor = Supervisor(
        *(work, listeners, settings.workers, ready, restarts.count),
        health=HEALTH,
        grace=PATIENCE,
        hopeless=STARTUP_FAILURE,
    )
    with keeping_open(settings):  # workers come and go, and shall all find the same file
        stopped = supervisor.run()
    if not stopped:
        sys.exit(FAILED)


def _give_up(code: int, sentence: str) -> NoReturn:
    sys.stderr.write(f"rheostat: {sentence}\n")
    sys.exit(code)


@contextmanager
def _stopping_quietly() -> Iterator[None]:
    # Told to stop while it still starts, a process ends at once, as if it were killed: an exception
    # would be lost, and told of, where it meets a callback of the garbage collector.
    before = {number: signal.signal(number, lambda *_: os._exit(0)) for number in STOPS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _bound(settings: Settings) -> Iterator[list[socket.socket]]:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    with socket.socket(family) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if hasattr(socket, "TCP_USER_TIMEOUT"):  # connections inherit it
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, STALLED * 1000)
        try:
            # A worker listens when it is ready: until then connections are refused, and not kept
            # waiting, so that whoever distributes requests sends them to another replica.
            listener.bind((settings.host, settings.port))
        except OSError as error:
            where = f"{settings.host}:{settings.port}"
            _give_up(FAILED, f"cannot listen on {where}: {error.strerror or error}")
        with ExitStack() as stack:
            listeners = [stack.enter_context(listener.dup()) for _ in range(ACCEPTED)]
            for each in listeners:
                each.set_inheritable(True)
            yield listeners


def _open(settings: Settings, *, requires_tokens: bool) -> None:
    try:
        store = open_store(settings)
        try:
            require_usable(store, settings)
            lack = asyncio.run(store.read(tokens.lack)) if requires_tokens else None
        finally:
            store.close()
    except Refused as error:
        _give_up(MISUSED, str(error.errors[0].message if error.errors else error.detail))
    except RheostatError as error:
        _give_up(FAILED, str(error))
    if lack:
        _give_up(
            MISUSED,
            f"a server at {settings.host} requires tokens, and {lack}: make one"
            f" with `rheostat token create NAME --role admin --database {settings.safe_database}`,"
            f" or {_without_tokens(settings)}",
        )


def _without_tokens(settings: Settings) -> str:
    """Say how a server that requires tokens would be started without."""
    if settings.auth and settings.loopback:
        return "leave --auth out"
    instead = "give --no-auth in place of --auth" if settings.auth else "add --no-auth"
    return f"{instead} to serve everybody who can reach it"


def _announce(
    settings: Settings, address: tuple[str, int], service: LocalService | None = None
) -> None:
    host, port = address[:2]
    url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    if service is not None:
        service.announce(url)
    where = f"{url} from {settings.safe_database}"
    with suppress(OSError):  # nobody need read it
        sys.stdout.write(f"Rheostat {__version__} serves {where}\n")
        sys.stdout.flush()
    if service is None:
        tell_ready()


def _raise_open_files() -> None:
    """Let this process, and those that it starts, open as many files as the system allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        except (OSError, ValueError) as error:  # macOS has a lower limit of its own
            LOG.warning("the limit of %d open files could not be raised: %s", soft, error)


def _config(
    settings: Settings,
    figures: SharedFigures | None = None,
    place: int = 0,
    service: LocalService | None = None,
) -> Config:
    return Config(
        partial(_application, settings, figures, place, service),
        factory=True,
        loop="uvloop",
        http="rheostat.server.http.protocol:connection",
        ws="none",
        lifespan="on",
        backlog=BACKLOG,
        log_config=configuration(settings.log_level, settings.log_format),
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=GRACE,
    )


def _application(
    settings: Settings,
    figures: SharedFigures | None = None,
    place: int = 0,
    service: LocalService | None = None,
) -> FastAPI:
    from rheostat.server.app import create_app  # noqa: PLC0415 - a supervisor needs no application

    sys.setswitchinterval(SWITCH)
    app = create_app(settings, service=service)
    if figures is not None:
        app.state.metrics.share(figures, place)
    # What is loaded by now stays: to look through it for garbage again and again costs latency.
    gc.freeze()
    gc.set_threshold(NEW_OBJECTS)
    gc.enable()
    return app


class _Worker(Server):
    """uvicorn's server, which says when it accepts connections, and each second that it lives."""

    def __init__(
        self,
        config: Config,
        ready: Callable[[], object],
        alive: Callable[[], object] | None = None,
        service: LocalService | None = None,
    ) -> None:
        super().__init__(config)
        self._ready, self._alive, self._service = ready, alive, service

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        # uvicorn would raise the signal that stopped it again, for the handlers of before
        for number in STOPS:
            signal.signal(number, self.handle_exit)
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._ready()

    async def on_tick(self, counter: int) -> bool:
        if self._alive is not None and counter % BEAT == 0:
            self._alive()
        if self._service is not None and not self._service.left:
            return True
        return await super().on_tick(counter)


def _work(
    settings: Settings,
    figures: SharedFigures | None,
    place: int,
    listeners: list[socket.socket],
    news: socket.socket,
) -> None:
    """Serve as one of several workers."""
    gc.disable()
    with _stopping_quietly():
        watch = threading.Thread(target=stop_with_supervisor, args=(news, PATIENCE), daemon=True)
        watch.start()
        config = _config(settings, figures, place)
        _Worker(config, partial(_tell, news, READY), partial(_tell, news, ALIVE)).run(listeners)


def _tell(news: socket.socket, what: bytes) -> None:
    with suppress(OSError):  # a supervisor that is frozen or gone keeps no worker from its work
        news.send(what, socket.MSG_DONTWAIT)
