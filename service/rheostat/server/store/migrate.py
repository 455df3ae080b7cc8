"""
Migrations: bring the tables of a database up to date before anything is served from it.

The number of a migration does not prove what the tables look like, so they are compared with what
queries are written against. A database of another program, or one that was changed by hand, is
refused at the start, and not at the first request that stumbles over it.

Each migration says, by ``LEAST``, the oldest schema whose release runs on with the tables as it
leaves them, and the database keeps that of its newest one. So a release knows whether it may serve
from a database that a newer one has migrated: while a fleet is upgraded, and when it is rolled
back.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Inspector, Table, inspect, select, text, update

from rheostat.errors import RheostatError
from rheostat.server.store import tables
from rheostat.server.store.database import Database

HEAD = "0010"
"""The newest of the migrations."""

SCRIPTS = Path(__file__).with_name("migrations")

ADVISORY_LOCK = 0x52686F73
"""Names the PostgreSQL lock that makes replicas that start together migrate one by one."""


MIGRATING = "30min"
"""How long a replica waits at its start for another one that migrates."""


class WrongSchema(RheostatError):
    """The database is not one that this release can serve from."""


def migrate(database: Database) -> None:
    """
    Run the migrations that the database lacks, in one transaction, and check what is there.

    Raises:
        WrongSchema: A newer release made the database, another program did, or its tables are not
            those of its migrations.

    """
    with database.read() as connection:
        version = version_of(connection)
        _require_known(connection, version)
    if version is None or version < HEAD:
        _upgrade(database)
    with database.read() as connection:
        lacking = list(differences(connection))
    if lacking:
        raise WrongSchema(
            f"its tables are not those of schema {HEAD}: {'; '.join(lacking[:5])}. It was made by"
            " a release of before the first, or changed by hand: restore a backup, or begin with"
            " another database"
        )


def _upgrade(database: Database) -> None:
    from alembic import command  # noqa: PLC0415 - loading it takes longer than anything here
    from alembic.config import Config  # noqa: PLC0415
    from alembic.script import ScriptDirectory  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(SCRIPTS))
    with database.write() as connection:
        if not database.is_sqlite:
            _wait_for_others(connection)
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        newest = ScriptDirectory.from_config(config).get_revision(HEAD)
        connection.execute(update(tables.incarnation).values(least=newest.module.LEAST))


def _wait_for_others(connection: Connection) -> None:
    """Wait until no other replica migrates, for as long as that takes with large tables."""
    usual = connection.scalar(text("SHOW lock_timeout"))
    patient = text("SELECT set_config('lock_timeout', :time, true)")
    connection.execute(patient, {"time": MIGRATING})
    connection.execute(text(f"SELECT pg_advisory_xact_lock({ADVISORY_LOCK})"))
    connection.execute(patient, {"time": usual})


def version_of(connection: Connection) -> str | None:
    """Return the newest migration that the database has, or None if it has none."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    found = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return None if found is None else str(found)


def _require_known(connection: Connection, version: str | None) -> None:
    """Refuse what no migration of ours can begin with."""
    if version is None:
        taken = sorted(tables.metadata.tables.keys() & set(inspect(connection).get_table_names()))
        if taken:
            raise WrongSchema(
                f"it has tables of another program ({', '.join(taken)}): give Rheostat a"
                " database of its own"
            )
    elif not (len(version) == len(HEAD) and version.isdecimal()):
        raise WrongSchema(
            f"it is another program's: its schema is {version[:40]!r}, and Rheostat's are numbers"
            f" up to {HEAD}. Give Rheostat a database of its own"
        )
    elif version > HEAD and _least(connection, version) > HEAD:
        raise WrongSchema(
            f"a newer release of Rheostat made it: its schema is {version}, and this release knows"
            f" those up to {HEAD}. Start that release, or restore a backup from before the upgrade"
        )


def _least(connection: Connection, version: str) -> str:
    """Return the oldest schema whose release may serve from a database of a newer one."""
    columns = [column["name"] for column in inspect(connection).get_columns("incarnation")]
    least = connection.scalar(select(tables.incarnation.c.least)) if "least" in columns else None
    return least or version


def differences(connection: Connection) -> Iterator[str]:
    """
    Yield what is not as the queries expect it, a few words for each table or column.

    Missing tables come first: what refers to them differs, too.
    What is there besides does no harm, so that a release can go on with the tables of the next.
    """
    inspector = inspect(connection)
    there = set(inspector.get_table_names())
    expected = sorted(tables.metadata.tables.items())
    for name, _ in expected:
        if name not in there:  # said first: others may only not follow it
            yield f"there is no table {name}"
    for name, table in expected:
        if name in there:
            yield from _differing_columns(table, inspector)
            yield from _differing_keys(table, inspector)


def _differing_columns(table: Table, inspector: Inspector) -> Iterator[str]:
    found = {column["name"]: column for column in inspector.get_columns(table.name)}
    for column in table.columns:
        name, real = f"{table.name}.{column.name}", found.get(column.name)
        if real is None:
            yield f"there is no column {name}"
            continue
        kind, expected = _kind(real["type"]), _kind(column.type)
        if kind is not expected:
            yield f"{name} is {real['type']}, and {column.type} is expected"
        if real["nullable"] and not column.nullable:
            yield f"{name} may be missing from a row"


def _kind(type_: Any) -> type | None:
    """Return the Python type of a column's values, None for types that no column of ours has."""
    try:
        return type_.python_type  # type: ignore[no-any-return]
    except NotImplementedError:
        return None


def _differing_keys(table: Table, inspector: Inspector) -> Iterator[str]:
    primary = inspector.get_pk_constraint(table.name)["constrained_columns"]
    expected = [column.name for column in table.primary_key]
    if sorted(primary) != sorted(expected):
        yield f"the key of {table.name} is {primary}, and {expected} is expected"
    found = {
        (tuple(key["constrained_columns"]), key["referred_table"]): key.get("options", {})
        for key in inspector.get_foreign_keys(table.name)
    }
    for key in table.foreign_key_constraints:
        options = found.get((tuple(key.column_keys), key.referred_table.name), {})
        real = [str(options.get(name, "")).upper() for name in ("ondelete", "onupdate")]
        if real != [key.ondelete, key.onupdate]:
            yield f"{table.name} does not follow {key.referred_table.name}"
