"""A fleet as operators run it: PostgreSQL, several servers on it, and nginx in front of them."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import socketserver
import ssl
import string
import subprocess
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import httpx
import psycopg
import pytest
from tests.certificates import Certificate
from tests.conftest import RunningServer, open_tokens
from tests.server.conftest import problem
from tests.server.store.conftest import postgres

__all__ = ["postgres", "problem"]

TEMPLATES = Path(__file__).parents[2] / "deploy" / "nginx"
PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin"
REPLICA = "server {} max_fails=0;"
WAIT = "proxy_cache_lock_timeout 50ms;"
MAIN = """
daemon off;
{user}
worker_processes 2;
pid {folder}/pid;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    scgi_temp_path {folder}/scgi;
    uwsgi_temp_path {folder}/uwsgi;
    include {folder}/conf.d/*.conf;
}}
"""
NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""Saves each client the reading of all the world's certificates."""
LINE = {"kind": "linear", "start": 100, "end": -28, "steps": 128}
"""100 - step, exact in binary."""


def program() -> str:
    """Return where nginx is; skip the test if it is nowhere, unless CI has to have it."""
    found = shutil.which("nginx", path=PATH)
    if found is None:
        give_up = pytest.fail if os.environ.get("CI") else pytest.skip
        give_up("needs nginx: apt-get install nginx")
    return found


class Nginx:
    """
    A real nginx with the configuration of ``deploy/``, in front of these addresses.

    With ``wait``, who waits for a block that somebody else has asked for waits that long. With a
    certificate and its key it speaks TLS, and plain HTTP at ``plain_url`` beside it.
    """

    def __init__(
        self,
        folder: Path,
        upstreams: Sequence[str],
        wait: str = WAIT,
        certificate: Certificate | None = None,
    ) -> None:
        self.folder = folder
        # It takes over sockets that listen already, as one nginx does from another when it is
        # upgraded: so the ports are free ones for certain.
        with _listening() as listener, _listening() as plain:
            addresses = [f"127.0.0.1:{each.getsockname()[1]}" for each in (listener, plain)]
            self._write(upstreams, wait, addresses, certificate)
            passed = [listener.fileno(), plain.fileno()][: 2 if certificate else 1]
            with (folder / "log.txt").open("w") as log:
                self.process = subprocess.Popen(
                    [program(), "-p", folder, "-c", folder / "nginx.conf", "-e", "stderr"],
                    env={**os.environ, "NGINX": "".join(f"{number};" for number in passed)},
                    pass_fds=passed,
                    stderr=log,
                )
        self.port = int(addresses[0].rpartition(":")[2])
        self.url = f"http{'s' if certificate else ''}://{addresses[0]}"
        self.plain_url = f"http://{addresses[1]}" if certificate else self.url

    @property
    def log(self) -> str:
        """What it has complained about so far."""
        return (self.folder / "log.txt").read_text()

    def client(self, secret: str | None = None) -> httpx.Client:
        """Return an HTTP client for it, with a token."""
        headers = {} if secret is None else {"Authorization": f"Bearer {secret}"}
        return httpx.Client(base_url=self.url, timeout=60, headers=headers, verify=NO_TLS)

    def close(self) -> None:
        """Stop it."""
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(30)

    def _write(
        self,
        upstreams: Sequence[str],
        wait: str,
        addresses: Sequence[str],
        certificate: Certificate | None,
    ) -> None:
        user = "user root;" if os.geteuid() == 0 else ""
        (self.folder / "nginx.conf").write_text(MAIN.format(folder=self.folder, user=user))
        values = {
            "RHEOSTAT_LISTEN": addresses[0] + (" ssl" if certificate else ""),
            "RHEOSTAT_REPLICAS": " ".join(REPLICA.format(address) for address in upstreams),
            "RHEOSTAT_CACHE": str(self.folder),
        }
        names = ["rheostat.conf"]
        if certificate:
            names += ["rheostat.tls", "plain.conf"]
            values["RHEOSTAT_LISTEN_PLAIN"] = addresses[1]
            values["RHEOSTAT_CERTIFICATE"] = str(certificate.certificate)
            values["RHEOSTAT_CERTIFICATE_KEY"] = str(certificate.key)
        (self.folder / "conf.d").mkdir()
        for name in names:
            text = (TEMPLATES / f"{name}.template").read_text()
            filled = string.Template(text).safe_substitute(values)
            assert (WAIT in filled) == (name == "rheostat.conf")
            (self.folder / "conf.d" / name).write_text(filled.replace(WAIT, wait))


def _listening() -> socket.socket:
    listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
    listener.setblocking(False)  # or its processes would block each other in accept
    return listener


StartNginx = Callable[..., Nginx]


@pytest.fixture
def start_nginx(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StartNginx]:
    """Return what starts nginx in front of addresses."""
    with ExitStack() as stack:

        def start(*upstreams: str, wait: str = WAIT) -> Nginx:
            nginx = Nginx(tmp_path_factory.mktemp("nginx"), upstreams, wait)
            stack.callback(nginx.close)
            return nginx

        yield start


def new_database(server: str) -> str:
    """Return the address of an empty database of a PostgreSQL server."""
    name = f"fleet_{uuid.uuid4().hex}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
    return server.replace("/postgres?", f"/{name}?")


def start_replicas(
    make_folder: Callable[[str], Path], database: str, number: int, settings: dict[str, object]
) -> list[RunningServer]:
    """Start servers on one database, all at the same instant."""
    folders = [make_folder("replica") for _ in range(number)]
    settings = {"database": database, "log_level": "warning", **settings}
    with ThreadPoolExecutor(number) as pool:
        return list(pool.map(lambda folder: RunningServer(folder, settings), folders))


def address(server: RunningServer) -> str:
    """Return host and port of a server."""
    return server.url.removeprefix("http://")


@dataclass(frozen=True)
class Fleet:
    """Servers on one database, and nginx in front of them; tokens, where they are required."""

    nginx: Nginx
    replicas: Sequence[RunningServer]
    database: str
    secrets: Mapping[str, str]

    @property
    def url(self) -> str:
        """The address of the whole."""
        return self.nginx.url

    @property
    def addresses(self) -> list[str]:
        """Host and port of each replica."""
        return [address(replica) for replica in self.replicas]

    def client(self, role: str = "operator") -> httpx.Client:
        """Return an HTTP client of the whole, with the token of a role if tokens are required."""
        return self.nginx.client(self.secrets.get(role))

    def create(self, name: str, **fields: Any) -> str:
        """Create a run with lr = 100 - step and wd = 0.5, and return its id."""
        parameters = {"lr": LINE, "wd": {"kind": "constant", "value": 0.5}}
        guards = {"lr": {"min": None}}  # it becomes negative in the end
        body = {"name": name, "parameters": parameters, "guards": guards, **fields}
        with self.client() as http:
            answer = http.post("/v1/runs", json=body)
        return str(answer.raise_for_status().json()["id"])

    def served(self, route: str) -> int:
        """Return how many requests of a route the service has answered, whatever with."""
        return sum(self._served(replica, route) for replica in self.replicas)

    def _served(self, replica: RunningServer, route: str) -> int:
        secret = self.secrets.get("viewer")
        headers = {} if secret is None else {"Authorization": f"Bearer {secret}"}
        answer = httpx.get(f"{replica.url}/metrics", headers=headers, verify=NO_TLS)
        text = answer.raise_for_status().text
        found = re.findall(
            rf'seconds_count\{{[^}}]*route="{re.escape(route)}"[^}}]*\}} (\S+)', text
        )
        return round(sum(map(float, found)))


class StartFleet(Protocol):
    """Starts a fleet of a number of replicas with these settings."""

    def __call__(self, number: int, **settings: object) -> Fleet:
        """Return it when all of it is ready."""


@pytest.fixture
def start_fleet(
    postgres: str, tmp_path_factory: pytest.TempPathFactory, start_nginx: StartNginx
) -> Iterator[StartFleet]:
    """Start fleets of the test's own, each with a fresh database, without tokens."""
    with ExitStack() as stack:

        def start(number: int, **settings: object) -> Fleet:
            program()
            database = new_database(postgres)
            replicas = start_replicas(tmp_path_factory.mktemp, database, number, settings)
            for replica in replicas:
                stack.callback(replica.close)
            return Fleet(start_nginx(*map(address, replicas)), replicas, database, {})

        yield start


@pytest.fixture(scope="session")
def fleet(postgres: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """Return a fleet that requires tokens, for all tests that leave its own tokens as they are."""
    program()
    database = new_database(postgres)
    with open_tokens(database) as tokens:
        roles = ("viewer", "proposer", "worker", "operator", "admin")
        secrets = {role: tokens.create(role, role)["token"] for role in roles}
    replicas = start_replicas(tmp_path_factory.mktemp, database, 2, {"auth": "true"})
    nginx = Nginx(tmp_path_factory.mktemp("nginx"), [*map(address, replicas)])
    yield Fleet(nginx, replicas, database, secrets)
    nginx.close()
    for replica in replicas:
        replica.close()


class Cutter(socketserver.ThreadingTCPServer):
    """A way to a server that cuts its first settled block off in the middle of the body."""

    daemon_threads = True

    def __init__(self, server: str) -> None:
        super().__init__(("127.0.0.1", 0), _Cut)
        host, _, port = server.rpartition(":")
        self.server = host, int(port)
        self.address = f"127.0.0.1:{self.server_address[1]}"
        self.cuts = 0


class _Cut(socketserver.BaseRequestHandler):
    """One connection of a `Cutter`."""

    server: Cutter

    def handle(self) -> None:
        """Pass everything on, but for the end of the first block."""
        with socket.create_connection(self.server.server) as there:
            threading.Thread(target=self._forward, args=(there,), daemon=True).start()
            while data := there.recv(65536):
                head, end, body = data.partition(b"\r\n\r\n")
                if b"immutable" in head and not self.server.cuts:
                    self.server.cuts = 1
                    body = body or there.recv(65536)
                    self.request.sendall(head + end + body[: len(body) // 2])
                    break
                self.request.sendall(data)
            self.request.shutdown(socket.SHUT_RDWR)

    def _forward(self, there: socket.socket) -> None:
        with suppress(OSError):
            while data := self.request.recv(65536):
                there.sendall(data)
            there.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def cutter(fleet: Fleet) -> Iterator[Cutter]:
    """Return a way to a replica of the fleet that cuts off one block."""
    with Cutter(address(fleet.replicas[0])) as cutter:
        thread = threading.Thread(target=cutter.serve_forever)
        thread.start()
        yield cutter
        cutter.shutdown()
        thread.join()
