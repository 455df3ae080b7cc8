"""Servers whose database goes away, is frozen or is another one: what their callers are told."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.faults.fleet import Database, Workers
from tests.faults.silent_proxy import SilentProxy

from rheostat.server.store.write_lock import WriteLock

BODY = {"parameters": {"lr": {"kind": "constant", "value": 1}}}
SHRINK = {"changes": {"lr": {"edit": "scale", "factor": 0.99}}}
SECONDS = 30
"""Longer than anybody waits for an answer, on the slowest machine."""


@pytest.fixture
def away() -> Iterator[Database]:
    """Return a PostgreSQL of the test's own, with a proxy to it."""
    # as root, it runs as a user of its own, who may not enter pytest's folders
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        database = Database(Path(folder))
        with database.proxy():
            yield database
        database.stop()


class Crowd:
    """Callers that ask at once, each from a thread, and what they were answered."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.answers: list[httpx.Response] = []
        self.longest = 0.0
        self._threads: list[threading.Thread] = []

    def ask(self, method: str, path: str, *, timeout: float = SECONDS, **parts: Any) -> None:
        """Ask; who has no answer in time leaves."""
        began = time.monotonic()

        def work() -> None:
            try:
                answer = httpx.request(method, self.url + path, timeout=timeout, **parts)
            except httpx.TimeoutException:
                return
            self.answers.append(answer)
            self.longest = max(self.longest, time.monotonic() - began)

        self._threads.append(threading.Thread(target=work))
        self._threads[-1].start()

    def wait(self) -> list[httpx.Response]:
        """Return all answers."""
        for thread in self._threads:
            thread.join(2 * SECONDS)
        return self.answers


def until_ready(url: str) -> None:
    """Return when the server says that it is ready."""
    until = time.monotonic() + 60
    while httpx.get(f"{url}/readyz", timeout=SECONDS).status_code != 200:
        assert time.monotonic() < until
        time.sleep(0.1)


@pytest.mark.parametrize("fault", [SilentProxy.silence, SilentProxy.vanish])
def test_a_failover_without_a_word(
    away: Database, start_server: Any, fault: Callable[[SilentProxy], None]
) -> None:
    """P5, P9: nobody hangs, readiness says why, a standby is used, and nothing is applied late."""
    (proxy,) = away.proxies
    running = start_server(database=f"postgresql://postgres@127.0.0.1:{proxy.port}/postgres")
    httpx.put(f"{running.url}/v1/runs/gpt", json=BODY).raise_for_status()
    run = f"{running.url}/v1/runs/gpt"
    before = httpx.get(run).json()["revision"]
    fault(proxy)
    crowd = Crowd(running.url)
    for _ in range(7):
        crowd.ask("POST", "/v1/runs/gpt/revisions", json=SHRINK)
    crowd.ask("POST", "/v1/runs/gpt/revisions", json=SHRINK, timeout=1)
    for _ in range(30):
        crowd.ask("GET", "/v1/runs/gpt")
    crowd.ask("GET", "/readyz")
    crowd.ask("GET", "/livez")
    answers = crowd.wait()
    assert len(answers) == 7 + 30 + 2
    assert sorted({answer.status_code for answer in answers}) == [200, 503]
    refusals = [answer.json() for answer in answers if answer.status_code == 503]
    assert len(refusals) == 7 + 30 + 1
    reasons = {refusal["reason"] for refusal in refusals}
    assert reasons <= {"database-away", "writer-stuck", "busy"}
    proxy.replace()
    until_ready(running.url)
    proxy.resume()
    time.sleep(1)
    assert httpx.get(run).json()["revision"] == before
    assert httpx.post(f"{run}/revisions", json=SHRINK).json()["revision"] == before + 1
    for line in running.log.splitlines():
        assert "sqlalche.me" not in line
        assert not line.startswith(("[SQL", "Traceback"))


def test_a_process_that_stands_still_in_its_turn(tmp_path: Path, start_server: Any) -> None:
    """P9: others are refused in seconds; who has left by then, and who was refused, get nothing."""
    path = tmp_path / "rheostat.db"
    running = start_server(database=f"sqlite:///{path}")
    run = f"{running.url}/v1/runs/gpt"
    httpx.put(run, json=BODY).raise_for_status()
    turn, crowd = WriteLock(path), Crowd(running.url)
    with turn.held():
        time.sleep(0.5)  # a commit that has just worked is believed for a moment
        crowd.ask("POST", "/v1/runs/gpt/revisions", json=SHRINK)
        crowd.ask("GET", "/readyz")
        answers = crowd.wait()
        with pytest.raises(httpx.TimeoutException):
            httpx.post(f"{run}/revisions", json=SHRINK, timeout=1)
        time.sleep(1)  # until the server has seen that this caller left
    turn.close()
    assert [answer.status_code for answer in answers] == [503, 503]
    assert {answer.json()["reason"] for answer in answers} == {"writer-stuck"}
    changed = httpx.post(f"{run}/revisions", json=SHRINK, timeout=SECONDS).raise_for_status()
    assert changed.json()["revision"] == 2  # the first: it stood in the queue behind the others


def delete_all(path: Path) -> None:
    """Delete everything that begins with the file's name."""
    for each in path.parent.glob(path.name + "*"):
        each.unlink()


def delete(path: Path) -> None:
    """Delete the file alone."""
    path.unlink()


def delete_folder(path: Path) -> None:
    """Delete the folder."""
    shutil.rmtree(path.parent)


def copy_over(path: Path) -> None:
    """Copy something over it."""
    path.write_bytes(path.read_bytes())


@pytest.mark.parametrize("harm", [delete_all, delete, delete_folder, copy_over])
def test_processes_of_one_server_agree_about_its_file(
    tmp_path: Path, start_server: Any, harm: Callable[[Path], None]
) -> None:
    """P1, P4: neither goes on, nor does one that is started in the place of another one."""
    path = tmp_path / "data" / "rheostat.db"
    path.parent.mkdir()
    running = start_server(database=f"sqlite:///{path}", workers=2)
    httpx.put(f"{running.url}/v1/runs/gpt", json=BODY).raise_for_status()
    harm(path)
    time.sleep(0.5)  # a commit that has just worked is believed for a moment
    assert asked(running.url, 12) == {503}
    processes = Workers(running)._processes()
    os.kill(processes[-1], signal.SIGKILL)
    until = time.monotonic() + SECONDS
    while processes[-1] in (now := Workers(running)._processes()) or len(now) < 2:
        assert time.monotonic() < until
        time.sleep(0.1)
    time.sleep(2)
    assert asked(running.url, 12) == {503}
    assert running.process.poll() is None


def asked(url: str, times: int) -> set[int]:
    """Ask on connections of their own, which either process may take; return the statuses."""
    found = set()
    for number in range(times):
        changed = httpx.post(f"{url}/v1/runs/gpt/revisions", json=SHRINK, timeout=SECONDS)
        made = httpx.put(f"{url}/v1/runs/other-{number}", json=BODY, timeout=SECONDS)
        ready = httpx.get(f"{url}/readyz", timeout=SECONDS)
        assert ready.json()["reasons"] == ["file-replaced"], ready.text
        assert changed.json()["reason"] == made.json()["reason"] == "file-replaced"
        found |= {changed.status_code, made.status_code, ready.status_code}
    return found
