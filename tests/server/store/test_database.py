"""The database: what it refuses, how it is set up, and that its tables are what queries expect."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import text

from rheostat.errors import Invalid
from rheostat.server.store.database import Database
from rheostat.server.store.migrate import HEAD, SCRIPTS, migrate
from rheostat.server.store.tables import whole_schema


@pytest.mark.parametrize(
    "url",
    [
        *("", "rheostat.db", "mysql://h/d", "sqlite://", "sqlite:///:memory:", "http://h"),
        "sqlite:///x.db?mode=memory&uri=true",
    ],
)
def test_only_files_and_postgresql_are_databases(url: str) -> None:
    """P4, P10: nothing that forgets, and nothing that is not supported."""
    with pytest.raises(Invalid) as refusal:
        Database(url)
    assert refusal.value.errors[0].field == "database"


def test_postgresql_has_two_names() -> None:
    """As libpq takes them."""
    opened = Database("postgres://ann:secret@127.0.0.1:1/runs")
    assert not opened.is_sqlite
    assert opened.url.render_as_string() == "postgresql://ann:***@127.0.0.1:1/runs"
    opened.close()


def test_migrations_make_the_tables_that_queries_expect(database: str) -> None:
    """Alembic finds no difference between the migrated database and the code."""
    opened = Database(database)
    migrate(opened)
    with opened.write() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, whole_schema()) == []
    opened.close()


def test_migrating_again_changes_nothing(database: str) -> None:
    """Every start does it."""
    opened = Database(database)
    migrate(opened)
    migrate(opened)
    opened.close()


def test_the_newest_migration_is_the_one_that_a_start_looks_for() -> None:
    """A database that is said to be up to date has had every script."""
    assert ScriptDirectory(str(SCRIPTS)).get_current_head() == HEAD


def test_runs_of_before_have_the_total_that_they_were_created_with(database: str) -> None:
    """Totals that change came later: until then, the one of the creation was in force."""
    opened = Database(database)
    config = Config()
    config.set_main_option("script_location", str(SCRIPTS))
    run = (
        "INSERT INTO runs (id, name, spec, created_at, generation, revision, event)"
        " VALUES (:id, :id, :spec, '', 1, 1, 0)"
    )
    with opened.write() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0002")
        for name, spec in (("long", '{"total": 4503599627370496}'), ("open", '{"total": null}')):
            connection.execute(text(run), {"id": name, "spec": spec})
    migrate(opened)
    with opened.read() as connection:
        found = connection.execute(text("SELECT id, total FROM runs ORDER BY id")).all()
    assert [tuple(row) for row in found] == [("long", 2**52), ("open", None)]
    opened.close()


def test_sqlite_survives_power_loss(tmp_path: Path) -> None:
    """P4: every connection writes ahead, and flushes fully on commit."""
    opened = Database(f"sqlite:///{tmp_path / 'x.db'}")
    with opened.read() as connection:
        assert connection.execute(text("PRAGMA journal_mode")).scalar_one() == "wal"
        assert connection.execute(text("PRAGMA synchronous")).scalar_one() == 2  # FULL
        assert connection.execute(text("PRAGMA foreign_keys")).scalar_one() == 1
    opened.close()


GREEDY = """
import sys
from sqlalchemy import text
from rheostat.server.store.database import Database
database = Database(sys.argv[1])
print("ready", flush=True)
while True:
    with database.write() as connection:
        connection.execute(text("UPDATE counter SET n = n + 1"))
"""


def test_a_writer_without_pause_starves_nobody(tmp_path: Path) -> None:
    """P5: another process gets its turn after a few commits of the greedy one, every time."""
    url = f"sqlite:///{tmp_path / 'x.db'}"
    database = Database(url)
    with database.write() as connection:
        connection.execute(text("CREATE TABLE counter (n INTEGER)"))
        connection.execute(text("INSERT INTO counter VALUES (0)"))
    command = [sys.executable, "-c", GREEDY, url]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as greedy:
        assert greedy.stdout is not None
        assert greedy.stdout.readline() == "ready\n"
        waits = [_commits_while_waiting(database) for _ in range(50)]
        greedy.kill()
    database.close()
    # it may be in the middle of a commit, and win one race for the queue
    assert sorted(waits)[len(waits) * 9 // 10] <= 3, waits


def _commits_while_waiting(database: Database) -> int:
    """Return how often the other process committed while this one waited for its turn."""
    with database.read() as connection:
        before: int = connection.execute(text("SELECT n FROM counter")).scalar_one()
    with database.write() as connection:
        after: int = connection.execute(text("SELECT n FROM counter")).scalar_one()
    return after - before
