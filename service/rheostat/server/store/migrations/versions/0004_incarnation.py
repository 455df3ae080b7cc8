"""Which life of this database it is: a restored backup begins a new one."""

import secrets

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

LEAST = "0003"
"""The release before runs on with it: it names the columns that it writes, and needs none of
these."""


def upgrade() -> None:
    """Apply the migration."""
    table = op.create_table(
        "incarnation",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_incarnation")),
    )
    op.bulk_insert(table, [{"id": secrets.token_hex(8)}])


def downgrade() -> None:
    """Undo the migration."""
    op.drop_table("incarnation")
