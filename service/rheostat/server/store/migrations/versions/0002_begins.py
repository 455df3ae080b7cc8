"""Where a training began in the middle, and where workers were last seen to read."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

BEGUN = (
    sa.Column("begins", sa.BigInteger(), nullable=False, server_default="0"),
    sa.Column("begun_by", sa.Text(), nullable=True),
    sa.Column("begun_at", sa.String(length=32), nullable=True),
    sa.Column("begun_event", sa.BigInteger(), nullable=True),
)
READ = (
    sa.Column("read_from", sa.BigInteger(), nullable=True),
    sa.Column("read_until", sa.BigInteger(), nullable=True),
    sa.Column("read_at", sa.String(length=32), nullable=True),
)


def upgrade() -> None:
    """Apply the migration."""
    for column in BEGUN:
        op.add_column("runs", column.copy())
    for column in READ:
        op.add_column("generations", column.copy())


def downgrade() -> None:
    """Undo the migration."""
    for column in reversed(READ):
        op.drop_column("generations", column.name)
    for column in reversed(BEGUN):
        op.drop_column("runs", column.name)
