"""Somebody else's nginx, with the buffers that it comes with."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from tests.conftest import RunningServer
from tests.fleet.conftest import program

from rheostat import Client

PLAIN = """
daemon off; {user} pid {folder}/pid;
events {{ worker_connections 256; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/f; scgi_temp_path {folder}/s; uwsgi_temp_path {folder}/u;
    server {{
        listen 127.0.0.1:{port};
        location / {{ proxy_pass {url}; proxy_set_header Host $http_host; }}
    }}
}}
"""
NAMES = [f"lr/{f'p{at:03}':x<57}" for at in range(255)]


@pytest.fixture
def plain_nginx(shared_server: RunningServer, tmp_path: Path) -> Iterator[str]:
    """Start an nginx that only passes on, with all its defaults."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:
        listener.setblocking(False)
        port = listener.getsockname()[1]
        user = "user root;" if os.geteuid() == 0 else ""
        text = PLAIN.format(folder=tmp_path, user=user, port=port, url=shared_server.url)
        (tmp_path / "nginx.conf").write_text(text)
        process = subprocess.Popen(
            [program(), "-p", tmp_path, "-c", tmp_path / "nginx.conf", "-e", "stderr"],
            env={**os.environ, "NGINX": f"{listener.fileno()};"},
            pass_fds=[listener.fileno()],
        )
    yield f"http://127.0.0.1:{port}"
    process.send_signal(signal.SIGTERM)
    process.wait(30)


def test_many_long_names_pass(plain_nginx: str, new_name: Callable[[], str]) -> None:
    """256 parameters with names of 60 characters are read through default buffers."""
    parameters = {name: {"kind": "constant", "value": at} for at, name in enumerate(NAMES)}
    parameters["lr"] = {"kind": "constant", "value": 0.5}
    assert {len(name) for name in NAMES} == {60}
    with Client(plain_nginx, deadline=20) as client:
        run = client.run(new_name(), create={"parameters": parameters})
        row = run.values(0)
        assert len(row) == 256
        assert row == {"lr": 0.5, **{name: float(at) for at, name in enumerate(NAMES)}}

    body = {"definition": {"kind": "constant", "value": 1}, "steps": [0]}
    head = httpx.post(f"{plain_nginx}/v1/evaluate?format=f64", json=body).headers
    assert sum(len(name) + len(text) for name, text in head.items()) < 2048


def test_head_does_not_grow_with_names(http: httpx.Client, new_name: Callable[[], str]) -> None:
    """The head of a block of 256 parameters is as long as that of one."""
    sizes = []
    for names in (["lr"], ["lr", *NAMES]):
        spec = {"parameters": {each: {"kind": "constant", "value": 1} for each in names}}
        joined = http.put(f"/v1/runs/{new_name()}", json=spec).raise_for_status().json()
        asked: dict[str, str | int] = {"generation": 1, "start": 0, "count": 1, "format": "f64"}
        head = http.get(f"/v1/runs/{joined['id']}/values", params=asked).raise_for_status().headers
        sizes.append(sum(len(each) + len(text) for each, text in head.items()))

    assert abs(sizes[0] - sizes[1]) < 10
