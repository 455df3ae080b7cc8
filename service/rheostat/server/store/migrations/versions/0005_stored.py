"""About how many bytes the creation of a run wrote, of which a worker's token has a share."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

LEAST = "0003"
"""The release before runs on with it: it names the columns that it writes, and needs none of
these."""

COPIES = 3
"""A definition is written into the run's specification, its first revision and its timelines."""


def upgrade() -> None:
    """Apply the migration: what is there is measured by its specification."""
    stored = sa.Column("stored", sa.BigInteger(), nullable=False, server_default="0")
    op.add_column("runs", stored)
    runs = sa.table("runs", sa.column("spec", sa.Text), sa.column("stored", sa.BigInteger))
    measured = COPIES * sa.func.length(runs.c.spec)
    op.get_bind().execute(sa.update(runs).values(stored=measured))
    op.create_index("ix_runs_author_stored", "runs", ["author", "stored"], unique=False)


def downgrade() -> None:
    """Undo the migration."""
    op.drop_index("ix_runs_author_stored", "runs")
    op.drop_column("runs", "stored")
