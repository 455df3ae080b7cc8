"""A server process that can be watched, and nginx in front of it, for the benchmarks."""

from __future__ import annotations

import os
import shutil
import socket
import string
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

TEMPLATE = Path(__file__).parents[1] / "deploy" / "nginx.conf.template"
MAIN = """
daemon off;
{user}
worker_processes 1;
worker_rlimit_nofile 20000;
pid {folder}/pid;
events {{ worker_connections 15000; }}
http {{
    access_log off;
    keepalive_requests 100000;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    scgi_temp_path {folder}/scgi;
    uwsgi_temp_path {folder}/uwsgi;
    include {folder}/rheostat.conf;
}}
"""


class Process:
    """What Linux says of a process."""

    def __init__(self, pid: int) -> None:
        self._folder = Path(f"/proc/{pid}")

    def memory(self) -> float:
        """Return the resident set in MiB."""
        pages = int((self._folder / "statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 2**20

    def seconds(self) -> float:
        """Return the processor time so far."""
        user, system = (self._folder / "stat").read_text().rpartition(")")[2].split()[11:13]
        return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


@contextmanager
def serve(folder: Path) -> Iterator[tuple[str, Process]]:
    """Run a server with one process and a fresh SQLite; yield its address and its process."""
    database = f"sqlite:///{folder / 'rheostat.db'}"
    command = [sys.executable, "-m", "rheostat.cli", "serve", "--port", "0", "--database", database]
    environment = {**os.environ, "RHEOSTAT_LOG_LEVEL": "warning"}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        try:
            line = process.stdout.readline() if process.stdout else ""
            yield line.split()[3], Process(process.pid)
        finally:
            process.terminate()


@contextmanager
def nginx(folder: Path, url: str) -> Iterator[str]:
    """Run nginx with the configuration of ``deploy/`` in front of a server; yield its address."""
    program = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if program is None:
        raise SystemExit("needs nginx: apt-get install nginx-light")
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    user = "user root;" if os.geteuid() == 0 else ""
    (folder / "nginx.conf").write_text(MAIN.format(folder=folder, user=user))
    values = {
        "RHEOSTAT_LISTEN": f"{address} backlog=4096",
        "RHEOSTAT_REPLICAS": f"server {url.removeprefix('http://')} max_fails=0;",
        "RHEOSTAT_CACHE": str(folder),
    }
    filled = string.Template(TEMPLATE.read_text()).safe_substitute(values)
    (folder / "rheostat.conf").write_text(filled)
    command = [program, "-p", str(folder), "-c", str(folder / "nginx.conf"), "-e", "stderr"]
    with subprocess.Popen(command) as process:
        try:
            _await(address)
            yield f"http://{address}"
        finally:
            process.terminate()


def _await(address: str) -> None:
    host, _, port = address.rpartition(":")
    for _ in range(100):
        try:
            socket.create_connection((host, int(port)), 1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise SystemExit(f"nothing listens at {address}")
