"""
Finding the local server of a database, or starting it: of all who ask at once, one starts it.

It is a process of its own, and outlives the one that started it: a thread would share the
interpreter's lock with the training, and would end with it.
"""

from __future__ import annotations

import os
import select
import subprocess
import sys
import time
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import IO

from rheostat.errors import NotServed
from rheostat.local_server import files
from rheostat.local_server.disks import require_local_disk
from rheostat.local_server.files import Endpoint
from rheostat.saying import log

LOOPBACK = "127.0.0.1"
PATIENCE = 30.0
"""Seconds that a server has to answer which has said that it is ready."""
STARTING = 300.0
"""Seconds that one has to become ready, on a machine that has much else to do."""
PAUSE = 0.05
"""Seconds between two looks at what another process starts."""
ANSWER = 5.0
"""Seconds that a server has to answer whether it is the one."""
NEEDED = ("fastapi", "uvicorn", "sqlalchemy", "alembic", "typer", "numpy", "pydantic")
"""Some packages of the extra `server`."""
OWN = ("HOST", "PORT", "DATABASE", "DATABASE_FILE", "WORKERS", "AUTH", "NO_AUTH", "URL", "TOKEN")
"""Settings that the environment has for another server."""
TAIL = 4096
"""Bytes at the end of a log that are looked through for why a server ended."""


_started: set[int] = set()
"""The processes that were started here and may be alive: what has ended is to be waited for."""


@dataclass(frozen=True, slots=True)
class LocalServer:
    """
    The server of a database file, which `found` finds or starts.

    ``linger`` is how many seconds it stays once nobody is attached any more, and ``host`` the
    address of this machine at which it listens.
    """

    database: Path
    linger: float
    host: str = LOOPBACK

    def found(self) -> Endpoint:
        """
        Return where the server is, once it answers there; start it if there is none.

        Raises:
            Invalid: The database is on a file system that SQLite cannot use.
            NotServed: It cannot be started, or the one that holds the lock does not answer.

        """
        self._prepare()
        began, logged, told = time.monotonic(), None, False
        while True:
            lock = self._lock()
            if lock is not None and logged is not None:
                files.let_go(lock)
                raise self._ended(logged)
            if lock is not None:
                logged = self._start(lock)
            endpoint = files.read_endpoint(self.database)
            if endpoint is not None and answers(endpoint, self.linger):
                return endpoint
            waited, holder = time.monotonic() - began, files.holder(self.database)
            if waited > (STARTING if endpoint is None or endpoint.pid != holder else PATIENCE):
                raise self._silent(endpoint, waited)
            if waited > PATIENCE and not told:
                told = True
                log.warning("waiting for the server of %s, which starts slowly", self.database)
            time.sleep(PAUSE)

    def _prepare(self) -> None:
        _wait_for_ended()
        folder = self.database.parent
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise NotServed(f"cannot make the folder {folder}: {error.strerror}") from error
        require_local_disk(self.database)

    def _lock(self) -> int | None:
        try:
            return files.take_lock(self.database)
        except OSError as error:
            where = files.lock_file(self.database)
            raise NotServed(f"cannot lock {where}: {error.strerror}") from error

    def _start(self, lock: int) -> int:
        """Start a server, which inherits the lock, and wait until it is ready, or has ended."""
        try:
            _require_extra()
            with files.opened_log(self.database) as written:
                began = written.tell()
                ready = self._spawned(lock, written)
        except OSError as error:
            raise NotServed(f"cannot start a server of {self.database}: {error}") from error
        finally:
            files.let_go(lock)
        select.select([ready], [], [], PATIENCE)
        os.close(ready)
        return began

    def _spawned(self, lock: int, written: IO[bytes]) -> int:
        """Return the descriptor that can be read when the server is ready, or has ended."""
        ready, told = os.pipe()
        words = ["-P", "-m", "rheostat", "serve", "--host", self.host, "--port", "0"]
        words += ["--database", f"sqlite:///{self.database}", "--ready-fd", str(told)]
        words += ["--linger", f"{self.linger:g}"]
        try:
            process = subprocess.Popen(  # noqa: S603 - our own command
                [sys.executable, *words],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=written,
                pass_fds=(told, lock),
                start_new_session=True,  # Ctrl-C here, or a kernel's end, is not its own
                env=_environment(),
            )
        except BaseException:
            os.close(ready)
            raise
        finally:
            os.close(told)
        process.returncode = 0  # it outlives this object, and is waited for by its number
        _started.add(process.pid)
        files.name_holder(lock, process.pid)
        return ready

    def _ended(self, logged: int) -> NotServed:
        said = files.last_words(self.database, logged, TAIL)
        return NotServed(f"{self.database} cannot be served: {said}")

    def _silent(self, endpoint: Endpoint | None, waited: float) -> NotServed:
        where = "anywhere" if endpoint is None else f"at {endpoint.url}"
        return NotServed(
            f"process {files.holder(self.database) or 'unknown'} serves {self.database}, for it"
            f" holds {files.lock_file(self.database)}, but did not answer {where} for"
            f" {waited:.0f} s: see {files.log_file(self.database)}, or end it by `rheostat local"
            f" stop {self.database}`"
        )


def answers(endpoint: Endpoint, linger: float) -> bool:
    """Say whether a server answers there, and takes the token; it is told that somebody is here."""
    import httpx  # noqa: PLC0415 - who never runs locally need not load it

    body = {"linger": linger}
    headers = {"Authorization": f"Bearer {endpoint.token}"}
    way = httpx.HTTPTransport(verify=False, trust_env=False)  # to load certificates takes longer
    try:
        with httpx.Client(base_url=endpoint.url, timeout=ANSWER, transport=way) as http:
            alive = http.get("/livez")  # without the token, which is nobody else's business
            if alive.status_code != 200 or alive.json() != {"status": "alive"}:
                return False
            return http.post(files.ATTACHED, json=body, headers=headers).status_code == 200
    except (httpx.HTTPError, httpx.InvalidURL, ValueError):
        return False


def _require_extra() -> None:
    lacks = next((name for name in NEEDED if find_spec(name) is None), None)
    if lacks is not None:
        raise NotServed(
            f"rheostat.local() starts a server, which needs {lacks}: pip install"
            ' "rheostat[server]", or set RHEOSTAT_URL to a service that runs'
        )


def _environment() -> dict[str, str]:
    """Return the environment of a server: settings of another one are not its own."""
    left_out = {f"RHEOSTAT_{name}" for name in OWN}
    kept = {name: value for name, value in os.environ.items() if name not in left_out}
    return {"RHEOSTAT_LOG_LEVEL": "warning", **kept}


def _wait_for_ended() -> None:
    for pid in [*_started]:
        try:
            ended, _ = os.waitpid(pid, os.WNOHANG)
        except ChildProcessError:
            ended = pid
        if ended:
            _started.discard(pid)


def _forget_started() -> None:
    _started.clear()  # they are no children of a forked one


os.register_at_fork(after_in_child=_forget_started)
