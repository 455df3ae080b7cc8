"""Alembic's entry: migrates over the connection that `rheostat.server.store.migrate` opened."""

from alembic import context

from rheostat.server.store.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transactional_ddl=True,
    transaction_per_migration=False,
)
context.run_migrations()
