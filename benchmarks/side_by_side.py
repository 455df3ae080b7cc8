"""What the benchmarks over HTTP share: a real service, and the barest application beside it."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson
import uvicorn

COMMAND = [sys.executable, "-m", "rheostat.cli"]
TICKS = os.sysconf("SC_CLK_TCK")


class Process:
    """A server in a process of its own."""

    def __init__(self, command: list[str], settings: dict[str, str] | None = None) -> None:
        environment = {**os.environ, **(settings or {})}
        self._process = subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        assert self._process.stdout is not None
        found = re.search(r"http://\S+", self._process.stdout.readline())
        assert found, "it did not start"
        self.url = found[0]

    def cpu(self) -> float:
        """Return the seconds that it has computed."""
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def memory(self, name: str) -> float:
        """Return MiB of memory: VmRSS is what it has now, VmHWM the most that it had."""
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        found = re.search(rf"{name}:\s+(\d+) kB", status)
        assert found
        return int(found[1]) / 1024

    def stop(self) -> None:
        """Stop it."""
        self._process.terminate()
        self._process.wait()


@contextmanager
def service(folder: str, *, auth: bool = False) -> Iterator[Process]:
    """Start the service as a user does, with its default settings."""
    settings = {"RHEOSTAT_DATABASE": database(folder), "RHEOSTAT_PORT": "0"}
    process = Process([*COMMAND, "serve", *(["--auth"] if auth else [])], settings)
    yield process
    process.stop()


def database(folder: str) -> str:
    """Return the address of the database in a folder."""
    return f"sqlite:///{folder}/rheostat.db"


def new_token(folder: str) -> str:
    """Return the secret of a new token."""
    create = [*COMMAND, "token", "create", "ann", "--role", "operator"]
    command = [*create, "--database", database(folder)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found = re.search(r"rheo_[0-9a-f]{40}", done.stdout)
    assert found
    return found[0]


@contextmanager
def bare(headers: list[tuple[str, str]], body: bytes, *, write: bool = False) -> Iterator[Process]:
    """
    Start the barest application: it sends these headers and this body, whatever it is asked.

    With ``write`` it has read the body, and writes it anew for each request, by orjson.
    """
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "headers").write_text(json.dumps(headers))
        Path(folder, "body").write_bytes(body)
        process = Process([sys.executable, __file__, folder, "write" if write else "send"])
        yield process
        process.stop()


def _serve(folder: str, way: str) -> None:
    pairs = json.loads(Path(folder, "headers").read_text())
    headers = [(name.encode(), value.encode()) for name, value in pairs]
    body = Path(folder, "body").read_bytes()
    document = orjson.loads(body) if way == "write" else None

    async def application(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        sent = orjson.dumps(document) if way == "write" else body
        await send({"type": "http.response.body", "body": sent})

    config = uvicorn.Config(
        application,
        loop="uvloop",
        http="httptools",
        lifespan="off",
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
    )
    with socket.create_server(("127.0.0.1", 0), backlog=2048) as listener:
        print(f"http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
        uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    _serve(*sys.argv[1:])
