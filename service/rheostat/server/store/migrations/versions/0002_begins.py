"""Where a training began in the middle, and where workers were last seen to read."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

LEAST = "0002"
"""An older release would not know where a training began, and settle from step 0."""


def upgrade() -> None:
    """Apply the migration."""
    begins = sa.Column("begins", sa.BigInteger(), nullable=False, server_default="0")
    op.add_column("runs", begins)
    op.add_column("runs", sa.Column("begun_by", sa.Text(), nullable=True))
    op.add_column("runs", sa.Column("begun_at", sa.String(length=32), nullable=True))
    op.add_column("runs", sa.Column("begun_event", sa.BigInteger(), nullable=True))
    op.add_column("generations", sa.Column("read_from", sa.BigInteger(), nullable=True))
    op.add_column("generations", sa.Column("read_until", sa.BigInteger(), nullable=True))
    op.add_column("generations", sa.Column("read_at", sa.String(length=32), nullable=True))


def downgrade() -> None:
    """Undo the migration."""
    for name in ("read_at", "read_until", "read_from"):
        op.drop_column("generations", name)
    for name in ("begun_event", "begun_at", "begun_by", "begins"):
        op.drop_column("runs", name)
