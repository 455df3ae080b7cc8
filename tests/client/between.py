"""
A worker, a service, and between them a proxy that answers by itself for a while.

    python -m tests.client.between docs/reliability.md

trains at 10 steps a second against a real server while the proxy gives each of the `ANSWERS` for
five seconds, and writes a table of what the worker did.
"""

from __future__ import annotations

import contextlib
import re
import socket
import socketserver
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from tests.client.hostile import page
from tests.conftest import RunningServer

from rheostat import Client
from rheostat.errors import Redirected

ANSWERS = {
    "404 page not found": page("404 Not Found", "404 page not found"),
    "500": page("500 Internal Server Error", ""),
    "408": page("408 Request Timeout", ""),
    "421": page("421 Misdirected Request"),
    "522": page("522 Connection Timed Out"),
    "502": page("502 Bad Gateway"),
    "401 without a problem document": page("401 Unauthorized"),
    "200 with HTML": page("200 OK", "<html>welcome</html>"),
    "301": page("301 Moved Permanently", Location="https://elsewhere.example/v1"),
}
LINE = {"kind": "linear", "start": 1.0, "end": 0.0, "steps": 4096}


class Between(socketserver.ThreadingTCPServer):
    """A proxy that passes requests on, one for each connection, or answers by itself."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, url: str) -> None:
        super().__init__(("127.0.0.1", 0), _Passing)
        self.port = int(url.rpartition(":")[2])
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        self.answer: bytes | None = None
        self.answered = 0
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()


class _Passing(socketserver.BaseRequestHandler):
    server: Between

    def handle(self) -> None:
        """Answer one request."""
        with contextlib.suppress(OSError):
            request = self._request()
            if not request:
                return
            if self.server.answer is not None:
                self.server.answered += 1
                self.request.sendall(self.server.answer)
                return
            with socket.create_connection(("127.0.0.1", self.server.port)) as there:
                there.sendall(request)
                while piece := there.recv(65536):
                    self.request.sendall(piece)

    def _request(self) -> bytes:
        data = b""
        while b"\r\n\r\n" not in data:
            if not (piece := self.request.recv(65536)):
                return b""
            data += piece
        head, _, body = data.partition(b"\r\n\r\n")
        length = int((re.search(rb"(?i)content-length: *(\d+)", head) or [b"", b"0"])[1])
        while len(body) < length:
            body += self.request.recv(65536)
        head = re.sub(rb"(?i)\r\nconnection:[^\r]*", b"", head)
        return head + b"\r\nConnection: close\r\n\r\n" + body


class Pace(NamedTuple):
    """Seconds of a step, of the look-ahead, and before, of and after the trouble."""

    step: float
    lookahead: float
    before: float
    trouble: float
    after: float


LONG = Pace(step=0.1, lookahead=2.0, before=6.0, trouble=5.0, after=6.0)


@dataclass
class Seen:
    """What a worker did."""

    values: dict[int, float] = field(default_factory=dict)
    waited: float = 0.0
    """The longest wait of a step, in seconds."""
    raised: list[str] = field(default_factory=list)
    raised_after: float | None = None
    """Seconds of trouble after which the first error was raised."""
    answered: int = 0
    """How often the proxy answered by itself."""
    ledger: dict[int, float] = field(default_factory=dict)


def train(url: str, name: str, answer: bytes, pace: Pace) -> Seen:
    """Train through trouble; where an error is raised, as somebody does who starts it again."""
    seen, between = Seen(), Between(url)
    with Client(between.url, lookahead=pace.lookahead, deadline=60) as client:
        run = client.run(name, create={"parameters": {"lr": LINE}})
        began, step = time.monotonic(), 0
        trouble = began + pace.before
        while (now := time.monotonic()) < trouble + pace.trouble + pace.after:
            between.answer = answer if trouble <= now < trouble + pace.trouble else None
            timer = threading.Timer(max(0, trouble + pace.trouble - now), _calm, (between,))
            timer.start()
            try:
                seen.values[step] = run.value("lr", step)
            except Redirected as error:
                seen.raised.append(type(error).__name__)
                if seen.raised_after is None:
                    seen.raised_after = time.monotonic() - trouble
                step -= 1  # it is read again
            timer.cancel()
            seen.waited = max(seen.waited, time.monotonic() - now)
            step += 1
            time.sleep(max(0.0, now + pace.step - time.monotonic()))
    seen.answered = between.answered
    between.shutdown()
    between.server_close()
    with Client(url) as client:
        for segment in client.control(name).ledger():
            for index, value in enumerate(segment["values"]["lr"]):
                seen.ledger[segment["start"] + index] = value
    return seen


def _calm(between: Between) -> None:
    between.answer = None


def row(answer: str, seen: Seen) -> str:
    """Return a line of the table."""
    did = f"waited, the longest step {seen.waited:.1f} s, and went on"
    if seen.raised:
        did = (
            f"raised `{seen.raised[0]}` {seen.raised_after:.1f} s into it, naming the address; "
            "started again at that step, it went on"
        )
    equal = sum(seen.ledger.get(step) == value for step, value in seen.values.items())
    return f"| {answer} | {seen.answered} | {did} | {equal} of {len(seen.values)} |"


def main() -> None:
    """Run the long form, and write the table into the page."""
    with tempfile.TemporaryDirectory() as folder:
        server = RunningServer(Path(folder), {})
        with ThreadPoolExecutor(len(ANSWERS)) as pool:
            runs = enumerate(ANSWERS.values())
            found = [
                pool.submit(train, server.url, f"between-{at}", answer, LONG) for at, answer in runs
            ]
            rows = [row(name, seen.result()) for name, seen in zip(ANSWERS, found, strict=True)]
        server.close()
    head = [
        "| the proxy answers for 5 s | times | the worker | values equal to the ledger's |",
        "|---|---:|---|---:|",
    ]
    table = "\n".join([*head, *rows])
    print(table)  # noqa: T201
    for name in sys.argv[1:]:
        text = Path(name).read_text()
        before, mark, rest = text.partition("<!-- between -->\n")
        _, end, after = rest.partition("<!-- end of between -->")
        Path(name).write_text(f"{before}{mark}{table}\n{end}{after}")


if __name__ == "__main__":
    main()
