"""A fleet is upgraded from the release before, and rolled back, while workers train."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import psycopg
import pytest
from tests.conftest import READY
from tests.fleet.conftest import Fleet, new_database, program
from tests.fleet.test_kills import WORKER, go_on, ledger

from rheostat import Client, scale
from rheostat.server.store.migrate import HEAD

if TYPE_CHECKING:
    from tests.fleet.conftest import StartNginx

ROOT = Path(__file__).parents[2]
PREVIOUS = "e07a3e8d"
"""The release before: its tag, once there is one. It ended schema 0008."""

PREVIOUS_SCHEMA = "0008"
SOURCES = ROOT / "service"
NEXT = f"{int(HEAD) + 1:04}"
MIGRATION = f"""
import sqlalchemy as sa
from alembic import op
revision, down_revision = "{NEXT}", "{HEAD}"
LEAST = "{HEAD}"
def upgrade():
    op.add_column("runs", sa.Column("of_next", sa.Text(), nullable=True))
"""
PATIENT = WORKER.replace("import json", "import logging, json", 1).replace(
    "seen = []", "logging.basicConfig(level='WARNING')\nseen = []", 1
)
"""The same, and says whenever it waits."""


def started(command: list[str]) -> subprocess.Popen[str]:
    """Start a worker whose output and complaints are kept."""
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def exported(folder: Path) -> Path:
    """
    Return a folder with the package of the release before, from the repository's history.

    A clone without it (``git clone --depth``) cannot run this: what no command here can install is
    expected to fail, and said, in CI as well.
    """
    git = shutil.which("git")
    known = git and subprocess.run(
        [git, "-C", ROOT, "cat-file", "-e", f"{PREVIOUS}^{{commit}}"],
        check=False,
        capture_output=True,
    )
    if not known or known.returncode:
        pytest.xfail(f"the release before, {PREVIOUS}, is not in this clone: git fetch --unshallow")
    archive = folder / "release.tar"
    command = [str(git), "-C", str(ROOT), "archive", "-o", str(archive), PREVIOUS, "service"]
    subprocess.run(command, check=True)
    with tarfile.open(archive) as opened:
        opened.extractall(folder, filter="data")
    archive.unlink()
    return folder / "service"


@pytest.fixture(scope="module")
def previous(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return where the release before can be imported from."""
    return exported(tmp_path_factory.mktemp("previous"))


@pytest.fixture(scope="module")
def following(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return where a next release can be imported from: this one, with what a release brings."""
    folder = tmp_path_factory.mktemp("following")
    ignored = shutil.ignore_patterns("__pycache__", "swagger")
    shutil.copytree(SOURCES, folder / "service", ignore=ignored)
    server = folder / "service" / "rheostat" / "server"
    (server / "web" / "swagger").mkdir()
    (server / "store" / "migrations" / "versions" / f"{NEXT}_next.py").write_text(MIGRATION)
    for name, before, after in (
        ("store/migrate.py", f'HEAD = "{HEAD}"', f'HEAD = "{NEXT}"'),
        ("runs/revision.py", "FIXED = ", f'SINCE[RevisionKind.NOTE] = "{NEXT}"\n\nFIXED = '),
    ):
        text = (server / name).read_text()
        assert before in text
        (server / name).write_text(text.replace(before, after, 1))
    return folder / "service"


class Replica:
    """A server of a release, which another one can take the place of, on the same port."""

    def __init__(self, folder: Path, database: str, sources: Path) -> None:
        self.folder, self.database, self.port = folder, database, 0
        self.url = ""
        self._process: subprocess.Popen[str] | None = None
        self.start(sources)

    def start(self, sources: Path) -> None:
        """Start the release whose package is there."""
        environment = os.environ | {
            "PYTHONPATH": str(sources),
            "RHEOSTAT_DATABASE": self.database,
            "RHEOSTAT_PORT": str(self.port),
            "RHEOSTAT_LOG_LEVEL": "warning",
        }
        command = [sys.executable, "-m", "rheostat", "serve"]
        with (self.folder / "log.txt").open("a") as log:
            self._process = subprocess.Popen(
                command, env=environment, cwd=self.folder, stdout=subprocess.PIPE, stderr=log,
                text=True,
            )  # fmt: skip
        assert self._process.stdout is not None
        ready = READY.fullmatch(self._process.stdout.readline())
        assert ready, (self.folder / "log.txt").read_text()
        self.url = ready["url"]
        self.port = int(self.url.rpartition(":")[2])

    def stop(self) -> None:
        """Ask it to stop, and wait until it has."""
        assert self._process is not None
        self._process.terminate()
        self._process.communicate(timeout=60)
        assert self._process.returncode == 0

    def close(self) -> None:
        """Make sure that it is gone."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            self._process.communicate()


def schema(fleet: Upgrading) -> str:
    """Return which migrations the database has had."""
    with psycopg.connect(fleet.fleet.database) as connection:
        [version] = connection.execute("SELECT version_num FROM alembic_version").fetchone() or ()
    return str(version)


class Upgrading:
    """Two replicas behind nginx on one database, and eight workers that train."""

    def __init__(self, fleet: Fleet, replicas: list[Replica], workers: list[Any]) -> None:
        self.fleet, self.replicas, self.workers = fleet, replicas, workers
        self.client = Client(fleet.url, retries=20)
        self.run = self.client.run("gpt")
        go_on(self.client)

    def replace(self, replica: Replica, sources: Path) -> None:
        """Stop a replica, and start a release in its place, while the training is changed."""
        replica.stop()
        self.run.change({"lr": scale(0.5)}, message="while a replica is away")
        go_on(self.client, 20)
        replica.start(sources)
        self.run.change({"lr": scale(2.0)}, message="while the other one serves, too")
        go_on(self.client, 20)

    def require_unnoticed(self) -> None:
        """Finish the run: all workers have all of its values, and none had to wait."""
        self.run.finish()
        said = [worker.communicate(timeout=180) for worker in self.workers]
        assert [worker.returncode for worker in self.workers] == [0] * 8
        kept = ledger(self.fleet)
        for out, complaints in said:
            seen = json.loads(out)
            assert {step: kept[step] for step, _ in seen} == dict(seen)
            assert len(seen) == len(kept)
            assert "waiting" not in complaints  # which it says after two seconds


@pytest.fixture
def upgrading(
    postgres: str,
    tmp_path_factory: pytest.TempPathFactory,
    start_nginx: StartNginx,
) -> Iterator[Callable[[Path], Upgrading]]:
    """Return what runs a training on two replicas of a release."""
    program()
    with ExitStack() as stack:

        def start(sources: Path) -> Upgrading:
            database = new_database(postgres)
            folders = [tmp_path_factory.mktemp("replica") for _ in range(2)]
            replicas = []
            for folder in folders:
                replicas.append(Replica(folder, database, sources))
                stack.callback(replicas[-1].close)
            addresses = [replica.url.removeprefix("http://") for replica in replicas]
            fleet = Fleet(start_nginx(*addresses), (), database, {})
            fleet.create("gpt")
            workers = [started([sys.executable, "-c", PATIENT, fleet.url]) for _ in range(8)]
            for worker in workers:
                stack.callback(worker.kill)
            return Upgrading(fleet, replicas, workers)

        yield start


@pytest.mark.long
def test_an_upgrade_from_the_release_before_is_not_noticed(
    previous: Path, upgrading: Callable[[Path], Upgrading]
) -> None:
    """P1, P4, P5: no worker waits for longer than a retry, or holds a value that others lack."""
    fleet = upgrading(previous)
    assert schema(fleet) == PREVIOUS_SCHEMA
    for replica in fleet.replicas:
        fleet.replace(replica, SOURCES)
        assert schema(fleet) == HEAD
    fleet.require_unnoticed()


@pytest.mark.long
def test_an_upgrade_to_a_next_release_is_rolled_back(
    following: Path, upgrading: Callable[[Path], Upgrading]
) -> None:
    """
    P1, P4, P5, P9: nobody notices, and no older replica is confronted with what it does not know.

    The next release has another migration, and brings a kind of revision.
    """
    fleet = upgrading(SOURCES)
    one, two = fleet.replicas
    other = fleet.fleet.create("other")
    first = f"/v1/runs/{other}/values?generation=1&count=4&start="
    httpx.get(f"{one.url}{first}0").raise_for_status()

    fleet.replace(one, following)
    assert schema(fleet) > HEAD
    refused = httpx.post(f"{one.url}/v1/runs/other/notes", json={"text": "of the next release"})
    assert (refused.status_code, refused.json()["reason"]) == (503, "schema")
    assert "still serves from this database, and knows no note" in refused.json()["detail"]
    fleet.replace(two, following)
    done = httpx.post(f"{one.url}/v1/runs/other/notes", json={"text": "of the next release"})
    assert done.status_code == 201

    for replica in fleet.replicas:
        fleet.replace(replica, SOURCES)
        assert httpx.get(f"{replica.url}{first}0").status_code == 200
        for late in (
            httpx.get(f"{replica.url}{first}4"),
            httpx.get(f"{replica.url}/v1/runs/other"),
            httpx.post(f"{replica.url}/v1/runs/other/stop", json={}),
        ):
            assert (late.status_code, late.json()["reason"]) == (503, "schema")
    fleet.require_unnoticed()
