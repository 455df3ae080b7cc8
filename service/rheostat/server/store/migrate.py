"""Migrations: bring the tables of a database up to date before anything is served from it."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import text

from rheostat.server.store.database import Database

ADVISORY_LOCK = 0x52686F73
"""Names the PostgreSQL lock that makes replicas that start together migrate one by one."""


def migrate(database: Database) -> None:
    """Run the migrations that the database lacks, in one transaction."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")))
    with database.write() as connection:
        if not database.is_sqlite:
            connection.execute(text(f"SELECT pg_advisory_xact_lock({ADVISORY_LOCK})"))
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
