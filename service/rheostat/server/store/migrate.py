"""Migrations: bring the tables of a database up to date before anything is served from it."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import inspect, text

from rheostat.server.store.database import Database

HEAD = "0003"
"""The newest of the migrations."""

SCRIPTS = Path(__file__).with_name("migrations")

ADVISORY_LOCK = 0x52686F73
"""Names the PostgreSQL lock that makes replicas that start together migrate one by one."""


def migrate(database: Database) -> None:
    """Run the migrations that the database lacks, in one transaction."""
    if _version(database) == HEAD:
        return
    from alembic import command  # noqa: PLC0415 - loading it takes longer than anything here
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(SCRIPTS))
    with database.write() as connection:
        if not database.is_sqlite:
            connection.execute(text(f"SELECT pg_advisory_xact_lock({ADVISORY_LOCK})"))
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def _version(database: Database) -> str | None:
    """Return the newest migration that the database has, or None if it has none."""
    with database.read() as connection:
        if not inspect(connection).has_table("alembic_version"):
            return None
        found = connection.scalar(text("SELECT version_num FROM alembic_version"))
        return None if found is None else str(found)
