"""The usual way without Rheostat: an endpoint with the latest values, which every rank polls."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any


class Latest(BaseHTTPRequestHandler):
    """``GET`` answers the values of this moment, ``PUT`` sets them; all at once, as JSON."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1  # headers and body leave in one packet
    latest = b""

    def do_GET(self) -> None:
        """Answer with the latest values."""
        self._answer(type(self).latest)

    def do_PUT(self) -> None:
        """Make the body the latest values."""
        type(self).latest = self.rfile.read(int(self.headers["Content-Length"]))
        self._answer(b"")

    def _answer(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Stay silent: there is a request for every step of every rank."""


@contextmanager
def latest_values(values: Mapping[str, float]) -> Iterator[str]:
    """Serve on a free port of the loopback interface, and yield host and port."""
    Latest.latest = json.dumps(values).encode()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Latest)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


class PolledValues:
    """A scheduler that sets the latest values: at first, and after every step."""

    def __init__(self, optimizer: Any, address: str) -> None:
        self.optimizer = optimizer
        self.connection = HTTPConnection(address)
        self.step()

    def step(self) -> None:
        """Poll the endpoint, and set what it says."""
        self.connection.request("GET", "/")
        self.optimizer.param_groups[0].update(json.loads(self.connection.getresponse().read()))


def put(address: str, values: Mapping[str, float]) -> None:
    """Make these the latest values."""
    connection = HTTPConnection(address)
    connection.request("PUT", "/", json.dumps(values))
    connection.getresponse().read()
    connection.close()
