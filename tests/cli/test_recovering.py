"""`rheostat recover` on a database that a service has filled."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from tests.cli.conftest import Command

from rheostat import Client, scale
from rheostat.errors import UnknownRun, WentBack


def test_workers_of_before_stop_and_new_ones_start(
    rheostat: Command, start_server: Callable[..., Any], tmp_path: Path
) -> None:
    """P1, P9: what was settled after the backup is not handed out again under the same id."""
    path, backup = tmp_path / "x.db", tmp_path / "backup.db"
    database = f"sqlite:///{path}"
    server = start_server(database=database)
    with Client(server.url) as client:
        run = client.run("gpt", create={"parameters": {"lr": {"kind": "constant", "value": 1}}})
        server.stop()
        shutil.copy(path, backup)
        server.restart()
        assert run.value("lr", 0) == 1
        server.stop()
    shutil.copy(backup, path)

    ran = rheostat(f"recover --yes --database {database}")
    assert ran.code == 0
    assert run.id in ran.out
    (again,) = rheostat(f"recover --yes --database {database} --json").json
    assert (again["name"], again["old"] in ran.out, again["new"] in ran.out) == ("gpt", True, False)

    server.restart()
    with Client(server.url) as client:
        with pytest.raises(UnknownRun):
            client.run(run.id)
        assert client.run("gpt").value("lr", 0) == 1


def test_workers_notice_a_backup_that_nobody_recovered(
    start_server: Callable[..., Any], tmp_path: Path
) -> None:
    """
    P1, P9: a worker ends, and does not jump back to the rate of before a change that was lost.

    An automatic failover has nobody there to run `rheostat recover`.
    """
    path, backup = tmp_path / "x.db", tmp_path / "backup.db"
    server = start_server(database=f"sqlite:///{path}")
    with Client(server.url, deadline=60) as client:
        run = client.run("gpt", create={"parameters": {"lr": {"kind": "constant", "value": 1}}})
        used = [run.value("lr", step) for step in range(100)]
        with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(backup)) as copy:
            source.backup(copy)
        effective = run.change({"lr": scale(0.1)})["effective"]
        used += [run.value("lr", step) for step in range(100, effective + 50)]
        assert used[effective - 1 : effective + 1] == [1, 0.1]

        server.stop()
        for left in tmp_path.glob("x.db*"):
            left.unlink()
        shutil.copy(backup, path)
        server.restart()

        with pytest.raises(WentBack, match="rheostat recover"):
            used += [run.value("lr", step) for step in range(len(used), 5_000)]
        assert set(used[effective:]) == {0.1}


def test_a_database_without_runs_needs_nothing(rheostat: Command, tmp_path: Path) -> None:
    """It says so; and a script has to say that it means it."""
    database = f"sqlite:///{tmp_path / 'x.db'}"
    assert rheostat(f"recover --database {database}").code == 2
    assert rheostat(f"recover --yes --database {database}").out == "No runs: nothing to do.\n"
