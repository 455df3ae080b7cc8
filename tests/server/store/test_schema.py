"""What a database must look like before anything is served from it, and what its rows may have."""

from __future__ import annotations

import hashlib
import runpy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from sqlalchemy import text

from rheostat.errors import Unavailable
from rheostat.server.store import migrate as migrations
from rheostat.server.store.database import Database
from rheostat.server.store.migrate import HEAD, WrongSchema, differences, migrate
from rheostat.server.store.operations import join, recover, show
from rheostat.server.store.tables import metadata


@pytest.fixture
def opened(database: str) -> Iterator[Database]:
    """Return a database that was brought up to date."""
    opened = Database(database)
    migrate(opened)
    yield opened
    opened.close()


def run(database: Database, *statements: str) -> None:
    with database.write() as connection:
        for statement in statements:
            connection.execute(text(statement))


def lacking(database: Database) -> set[str]:
    with database.read() as connection:
        return set(differences(connection))


def test_whatever_is_missing_is_named(opened: Database) -> None:
    """
    P4, P10: a database whose migrations were edited after it was made is refused at the start.

    It would otherwise be found by the first request that needs it, as if the disk failed.
    """
    for table in metadata.tables.values():
        run(opened, f'ALTER TABLE "{table.name}" RENAME TO of_old')
        assert f"there is no table {table.name}" in lacking(opened)
        run(opened, f'ALTER TABLE of_old RENAME TO "{table.name}"')
        away = f'ALTER TABLE "{table.name}" RENAME COLUMN "%s" TO "%s_of_old"'
        back = f'ALTER TABLE "{table.name}" RENAME COLUMN "%s_of_old" TO "%s"'
        names = [column.name for column in table.columns]
        run(opened, *(away % (name, name) for name in names))
        assert {f"there is no column {table.name}.{name}" for name in names} <= lacking(opened)
        run(opened, *(back % (name, name) for name in names))
    assert not lacking(opened)
    run(opened, "ALTER TABLE ledger RENAME TO of_old")
    with pytest.raises(WrongSchema, match="there is no table ledger"):
        migrate(opened)


def test_a_column_of_another_type_is_named(opened: Database) -> None:
    """A number that is kept as text sorts otherwise."""
    run(
        opened,
        "ALTER TABLE ledger DROP COLUMN packed",
        "ALTER TABLE ledger ADD COLUMN packed TEXT NOT NULL DEFAULT ''",
    )
    with pytest.raises(WrongSchema, match=r"ledger\.packed is TEXT"):
        migrate(opened)


def test_keys_that_do_not_follow_their_run_are_named(opened: Database) -> None:
    """`recover` gives runs new ids, and everything of them has to follow: else it fails then."""
    run(
        opened,
        "DROP TABLE labels",
        "CREATE TABLE labels (run_id VARCHAR(32) NOT NULL REFERENCES runs (id),"
        " key VARCHAR(128) NOT NULL, value TEXT NOT NULL, PRIMARY KEY (run_id, key))",
    )
    with pytest.raises(WrongSchema, match="labels does not follow runs"):
        migrate(opened)


def test_what_is_there_besides_does_no_harm(opened: Database) -> None:
    """The next release's columns, or an operator's own table."""
    run(opened, "CREATE TABLE notes (text TEXT)", "ALTER TABLE runs ADD COLUMN of_later TEXT")
    migrate(opened)


@pytest.mark.parametrize(
    ("version", "words"),
    [
        ("9999", f"a newer release of Rheostat made it: its schema is 9999.*up to {HEAD}"),
        ("b59c2f5d3f8a", "another program's: its schema is 'b59c2f5d3f8a'"),
        ("12345", "another program's"),
    ],
)
def test_a_database_of_somebody_else_is_told_so(opened: Database, version: str, words: str) -> None:
    """P1: nothing is served from tables that this release does not know, and it says whose."""
    with opened.write() as connection:
        of_theirs = {"version": version}
        connection.execute(text("UPDATE alembic_version SET version_num = :version"), of_theirs)
        connection.execute(text("UPDATE incarnation SET least = :version"), of_theirs)
    with pytest.raises(WrongSchema, match=words):
        migrate(opened)


def test_a_newer_database_that_says_so_is_served(opened: Database) -> None:
    """P9: a fleet is rolled back, where the newer release says that this one runs on with it."""
    run(
        opened,
        "ALTER TABLE runs ADD COLUMN of_later TEXT",
        "UPDATE alembic_version SET version_num = '9999'",
        "UPDATE incarnation SET least = '0001'",
    )
    migrate(opened)
    run(opened, "ALTER TABLE incarnation DROP COLUMN least")
    with pytest.raises(WrongSchema, match="a newer release of Rheostat made it"):
        migrate(opened)


SCRIPTS = sorted((Path(migrations.__file__).parent / "migrations" / "versions").glob("0*.py"))
FROZEN = Path(__file__).with_name("migrations.sha256")


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_a_migration_is_frozen(script: Path) -> None:
    """
    P4, P9: what a database was made by is not edited: two of one number would be two schemas.

    To freeze a new one, from `store/migrations/versions`: ``sha256sum 0*.py``, into the file.
    """
    pairs = (line.split("  ") for line in FROZEN.read_text().splitlines())
    frozen = {name: digest for digest, name in pairs}
    digest = hashlib.sha256(script.read_bytes()).hexdigest()
    assert frozen.keys() == {each.name for each in SCRIPTS}
    assert frozen[script.name] == digest, f"{script.name} was edited after it was frozen"


def test_each_migration_says_which_release_runs_on() -> None:
    """P9: which one may be left over while a fleet is upgraded, and rolled back to; see LEAST."""
    said = [runpy.run_path(str(script))["LEAST"] for script in SCRIPTS]
    numbers = [script.name[:4] for script in SCRIPTS]
    assert numbers == [f"{number:04}" for number in range(1, len(numbers) + 1)]
    assert numbers[-1] == HEAD
    assert said == sorted(said)
    assert all(least <= number for least, number in zip(said, numbers, strict=True))
    manual = (Path(__file__).parents[3] / "docs" / "backup.md").read_text()
    assert all(
        f"| {number} | {least} |" in manual for number, least in zip(numbers, said, strict=True)
    )


def test_the_database_keeps_which_release_runs_on(opened: Database) -> None:
    """P9: the newest migration's word is the one that counts."""
    with opened.read() as connection:
        kept = connection.scalar(text("SELECT least FROM incarnation"))
    assert kept == runpy.run_path(str(SCRIPTS[-1]))["LEAST"]


def test_tables_of_another_program_are_left_alone(database: str) -> None:
    """A database with a table ``runs`` that is not ours is not migrated."""
    opened = Database(database)
    run(opened, "CREATE TABLE runs (experiment TEXT)")
    with pytest.raises(WrongSchema, match=r"tables of another program \(runs\)"):
        migrate(opened)
    run(opened, "INSERT INTO runs VALUES ('theirs')")
    opened.close()


FIELDS = {"of_later": 1, "guards": {"lr": {"min": 0, "max_gradient": 3}}}


def test_a_run_of_a_newer_release_is_read(desk: Any) -> None:
    """Fields that a newer replica stored beside ours do not take the run from an older one."""
    run_id = desk.create()
    _store(desk, FIELDS)
    assert desk.settle(run_id, 0, 4)[0] == [100, 99, 98, 97]
    assert desk.read(show.show, "gpt")["guards"]["lr"]["min"] == 0


@pytest.mark.parametrize(
    ("fields", "words"), [({"axis": "calories"}, "axis"), ({"resolution": "16k"}, "resolution")]
)
def test_a_run_that_cannot_be_understood_is_refused(desk: Any, fields: Any, words: str) -> None:
    """P1: what a release does not understand it does not serve, and says so."""
    run_id = desk.create()
    _store(desk, fields)
    with pytest.raises(Unavailable, match=words) as refusal:
        desk.settle(run_id, 0, 4)
    assert refusal.value.members["reason"] == "schema"


def test_a_kind_of_a_newer_release_is_refused(desk: Any) -> None:
    """P1: a definition with a kind or a field that is not known here has other values."""
    run_id = desk.create()
    _execute(desk, "UPDATE timelines SET pieces = replace(pieces, 'linear', 'spline')")
    with pytest.raises(Unavailable) as refusal:
        desk.settle(run_id, 0, 4)
    assert refusal.value.members["reason"] == "schema"


def test_a_revision_of_a_newer_release_is_refused(desk: Any) -> None:
    """P2: a kind of revision that is not known here may forbid to settle."""
    desk.create()
    _execute(desk, "UPDATE revisions SET kind = 'sabbatical'")
    with pytest.raises(Unavailable, match="sabbatical"):
        desk.revise({"lr": {"edit": "scale", "factor": 0.5}})


def test_a_change_of_a_newer_release_is_shown_and_not_folded(desk: Any) -> None:
    """P1: what a pending edit that is not known here makes of a curve cannot be said."""
    desk.create()
    desk.revise({"lr": {"edit": "scale", "factor": 0.5}}, 8)
    _execute(desk, "UPDATE revisions SET changes = replace(changes, 'scale', 'wobble')")
    (pending,) = desk.read(show.show, "gpt")["pending"]
    assert pending["changes"] == {"lr": [{"edit": "wobble", "factor": 0.5}]}
    with pytest.raises(Unavailable, match="newer release") as refusal:
        desk.revise({"wd": 1}, 4)
    assert refusal.value.members["reason"] == "schema"


def test_recovering_begins_a_new_incarnation(desk: Any) -> None:
    """P1: clients can tell a restored database from the one that they knew."""
    desk.create()
    before = desk.read(join.join, "gpt", join.Arrival())["incarnation"]
    desk.write(recover.recover)
    desk.restart()
    assert before != desk.read(join.join, "gpt", join.Arrival())["incarnation"]


def _store(desk: Any, fields: dict[str, Any]) -> None:
    """Have the run's specification as a newer release would have stored it."""

    def change(records: Any) -> None:
        (spec,) = records.connection.execute(text("SELECT spec FROM runs")).scalars()
        new = orjson.dumps({**orjson.loads(spec), **fields}).decode()
        records.connection.execute(text("UPDATE runs SET spec = :new"), {"new": new})

    desk.write(change)
    desk.restart()


def _execute(desk: Any, statement: str) -> None:
    desk.write(lambda records: records.connection.execute(text(statement)))
    desk.restart()
