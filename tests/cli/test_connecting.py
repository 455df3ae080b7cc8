"""A command waits for a service that is being restarted, and not for ever."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from rheostat.cli.connecting import PAUSE, PAUSES, QUIET, connect
from rheostat.cli.whereabouts import Whereabouts
from rheostat.client._sync.network import Network
from rheostat.errors import Unreachable

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.conftest import StartServer

Sleeps = list[float]


@pytest.fixture
def during(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Sleeps]:
    """Return what has something done in the pause of a number, in place of sleeping."""

    def act(pause: int = 0, what: Callable[[], None] = lambda: None) -> Sleeps:
        slept: Sleeps = []

        def sleep(_network: Network, seconds: float) -> None:
            slept.append(seconds)
            if len(slept) == pause:
                what()

        monkeypatch.setattr(Network, "sleep", sleep)
        return slept

    return act


def test_a_restart_is_waited_for(operator: Any, start_server: StartServer, during: Any) -> None:
    """Once the service is back the command goes on, and has said on what it waits."""
    running = start_server()
    running.kill()
    slept = during(QUIET + 1, running.restart)
    ran = operator("run create gpt lr=0.1 --json", RHEOSTAT_URL=running.url)
    assert (ran.code, ran.json["name"]) == (0, "gpt")
    assert ran.err == f"waiting for {running.url} …\n"
    assert slept == [PAUSE] * (QUIET + 1)


def test_a_short_absence_is_not_worth_a_word(
    operator: Any, start_server: StartServer, during: Any
) -> None:
    """What is back within a second is not spoken of."""
    running = start_server()
    running.kill()
    during(QUIET, running.restart)
    ran = operator("run list", RHEOSTAT_URL=running.url)
    assert (ran.code, ran.err) == (0, "")


def test_waiting_has_an_end(operator: Any, during: Any) -> None:
    """After five seconds of pauses it is over, with exit code 3 (P9)."""
    slept = during()
    ran = operator("run list", RHEOSTAT_URL="http://127.0.0.1:1")
    assert ran.code == 3
    assert ran.err.startswith(
        "waiting for http://127.0.0.1:1 …\nError: no answer from http://127.0.0.1:1: "
    )
    assert slept == [PAUSE] * PAUSES
    assert PAUSE * PAUSES == 5


def test_only_a_refused_connection_is_waited_for(operator: Any, server: str, during: Any) -> None:
    """What fails otherwise, as a handshake with a service that knows none, is no restart."""
    slept = during()
    ran = operator("run list", RHEOSTAT_URL=server.replace("http:", "https:"))
    assert (ran.code, slept.count(PAUSE)) == (3, 0)
    assert "waiting" not in ran.err


def test_a_file_that_nobody_serves_is_told_at_once(
    rheostat: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, during: Any
) -> None:
    """Beside a ./rheostat.db whose server has ended, how to serve it is said, without waiting."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("rheostat.cli.whereabouts.DEFAULT_URL", "http://127.0.0.1:1")
    (tmp_path / "rheostat.db").touch()
    slept = during()
    ran = rheostat("run history gpt", RHEOSTAT_URL="")
    assert (ran.code, slept) == (3, [])
    assert ran.err.startswith("Error: rheostat.db is not served now: ")
    assert "`rheostat serve` in this folder, or rheostat.local() in Python" in ran.err
    assert "127.0.0.1" not in ran.err


def test_a_service_beside_a_file_is_waited_for(
    start_server: StartServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, during: Any
) -> None:
    """Once somebody has answered at the usual address, a restart is one, whatever file is there."""
    monkeypatch.chdir(tmp_path)
    running = start_server()
    monkeypatch.setattr("rheostat.cli.whereabouts.DEFAULT_URL", running.url)
    (tmp_path / "rheostat.db").touch()
    with connect(None, None) as client:
        assert client.runs() == []
        running.kill()
        slept = during(1, running.restart)
        assert client.runs() == []
    assert slept == [PAUSE]


def test_another_file_is_served_by_its_name(
    rheostat: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a file that is named as the server, the command that serves it is said, to be pasted."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a b.db").touch()
    ran = rheostat("run list --server 'a b.db'")
    assert ran.code == 3
    assert "`rheostat serve --database 'sqlite:///a b.db'`, or rheostat.local('a b.db')" in ran.err


def test_a_local_server_that_ends_meanwhile_is_named_by_its_file(
    monkeypatch: pytest.MonkeyPatch, during: Any
) -> None:
    """A training may start it again, so it is waited for; then the file is said, not a port."""
    there = Whereabouts("http://127.0.0.1:1", None, "rheostat.db", is_served=True)
    monkeypatch.setattr("rheostat.cli.connecting.whereabouts", lambda *_: there)
    slept = during()
    with connect(None, None) as client, pytest.raises(Unreachable, match=r"^rheostat.db is not s"):
        client.runs()
    assert slept == [PAUSE] * PAUSES
