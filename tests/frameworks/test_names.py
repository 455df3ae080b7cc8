"""A run's bare name: one line on a laptop, where nobody serves, and on a cluster."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from rheostat import Client
from rheostat.adapters import Session
from rheostat.errors import Invalid
from rheostat.local_server import files

CREATE = {"parameters": {"lr": 0.5}, "total": "trainer"}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Work in an empty folder, with no service anywhere; a local server is ended afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    for name in ("RHEOSTAT_URL", "RHEOSTAT_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    yield tmp_path
    there = files.read_endpoint(tmp_path / "rheostat.db")
    if there is not None:
        with suppress(ProcessLookupError):
            os.kill(there.pid, signal.SIGTERM)


def test_without_a_service_it_is_the_local_server(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A name alone is a run of this folder's file, with the total that the trainer has."""
    session = Session("light", total=7, create=CREATE)
    found = session.run.total, session.at(3)
    session.close()
    assert found == (7, {"lr": 0.5})
    assert (folder / "rheostat.db").exists()
    assert capsys.readouterr().out.startswith("rheostat.db is served at http://127.0.0.1:")


def test_with_a_service_it_is_the_service(
    folder: Path, server: str, new_name: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where RHEOSTAT_URL is set the same line is a run there, and nothing is served here."""
    name = new_name()
    monkeypatch.setenv("RHEOSTAT_URL", server)
    session = Session(name, total=7, create=CREATE)
    session.close()
    with Client(server) as client:
        assert client.control(name).show()["total"] == 7
    assert not list(folder.iterdir())


def test_a_client_says_where_the_trainers_total_works(server: str) -> None:
    """A client knows no trainer: nothing is sent, and the error names what does know one."""
    with (
        Client(server) as client,
        pytest.raises(
            Invalid, match=r'"trainer" works where an adapter .* RheostatCallback\("gpt"'
        ),
    ):
        client.run("light", create=CREATE)
