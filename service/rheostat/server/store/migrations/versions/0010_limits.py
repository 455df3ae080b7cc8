"""What bounds agents: limits of tokens, and how often they were refused."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

LEAST = "0006"
"""An older release runs on with it: it takes whoever has a token with a limit for a proposer, which
is what such tokens have as their role, and needs neither the column nor the table."""


def upgrade() -> None:
    """Apply the migration."""
    op.add_column("tokens", sa.Column("limit", sa.Text(), nullable=True))
    op.create_table(
        "refused",
        sa.Column("run_id", sa.String(length=32), nullable=False),
        sa.Column("token", sa.String(length=128), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("at", sa.String(length=32), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["run_id"],
            ["runs.id"],
            name=op.f("fk_refused_runs"),
            ondelete="CASCADE",
            onupdate="CASCADE",
        ),
        sa.PrimaryKeyConstraint("run_id", "token", name=op.f("pk_refused")),
    )
    op.create_index("ix_revisions_author", "revisions", ["run_id", "author", "kind", "revision"])


def downgrade() -> None:
    """Undo the migration."""
    op.drop_index("ix_revisions_author", "revisions")
    op.drop_table("refused")
    op.drop_column("tokens", "limit")
