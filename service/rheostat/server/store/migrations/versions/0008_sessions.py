"""Sessions of the page."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

LEAST = "0006"
"""The release before runs on with it: it names the columns that it writes, and needs none of
these."""


def upgrade() -> None:
    """Apply the migration."""
    op.create_table(
        "sessions",
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.Column("token", sa.String(length=64), nullable=False),
        sa.Column("expires_at", sa.String(length=32), nullable=False),
        sa.PrimaryKeyConstraint("hash", name=op.f("pk_sessions")),
    )
    op.create_index("ix_sessions_token", "sessions", ["token", "expires_at"])


def downgrade() -> None:
    """Undo the migration."""
    op.drop_table("sessions")
