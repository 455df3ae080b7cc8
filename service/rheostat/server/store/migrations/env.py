"""Alembic's entry: migrates over the connection that `rheostat.server.store.migrate` opened."""

from alembic import context

from rheostat.server.store.tables import whole_schema

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=whole_schema(),
    transactional_ddl=True,
    transaction_per_migration=False,
)
context.run_migrations()
