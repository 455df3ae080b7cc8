"""nginx in front of a server, for the benchmarks."""

from __future__ import annotations

import os
import shutil
import socket
import string
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

TEMPLATE = Path(__file__).parents[1] / "deploy" / "nginx" / "rheostat.conf.template"
MAIN = """
daemon off;
{user}
worker_processes 1;
worker_rlimit_nofile 20000;
pid {folder}/pid;
events {{ worker_connections 19000; }}
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
