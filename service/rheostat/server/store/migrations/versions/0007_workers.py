"""Workers, mismatches and checkpoints."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

LEAST = "0006"
"""The release before runs on with it: it names the columns that it writes, and needs none of
these."""


def _of_run(table: str, *key: str) -> tuple[sa.Constraint, ...]:
    return (
        sa.ForeignKeyConstraint(
            ["run_id"],
            ["runs.id"],
            name=op.f(f"fk_{table}_runs"),
            ondelete="CASCADE",
            onupdate="CASCADE",
        ),
        sa.PrimaryKeyConstraint("run_id", *key, name=op.f(f"pk_{table}")),
    )


def upgrade() -> None:
    """Apply the migration."""
    op.create_table(
        "workers",
        sa.Column("run_id", sa.String(length=32), nullable=False),
        sa.Column("worker", sa.String(length=128), nullable=False),
        sa.Column("host", sa.String(length=128), nullable=True),
        sa.Column("session", sa.String(length=128), nullable=False),
        sa.Column("job", sa.String(length=128), nullable=True),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("step", sa.BigInteger(), nullable=False),
        sa.Column("pace", sa.Double(), nullable=True),
        sa.Column("waited", sa.Double(), nullable=False),
        sa.Column("proven_until", sa.BigInteger(), nullable=True),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("again", sa.Double(), nullable=False),
        sa.Column("since", sa.String(length=32), nullable=False),
        sa.Column("seen_at", sa.String(length=32), nullable=False),
        sa.Column("silent_at", sa.String(length=32), nullable=False),
        *_of_run("workers", "worker"),
    )
    op.create_table(
        "mismatches",
        sa.Column("run_id", sa.String(length=32), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("worker", sa.String(length=128), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("parameter", sa.String(length=128), nullable=False),
        sa.Column("step", sa.BigInteger(), nullable=False),
        sa.Column("expected_bits", sa.BigInteger(), nullable=False),
        sa.Column("found_bits", sa.BigInteger(), nullable=False),
        sa.Column("dtype", sa.String(length=8), nullable=False),
        sa.Column("at", sa.String(length=32), nullable=False),
        sa.Column("told_at", sa.String(length=32), nullable=False),
        sa.Column("event", sa.BigInteger(), nullable=True),
        *_of_run("mismatches", "number"),
    )
    place = ["run_id", "worker", "generation", "step", "parameter"]
    op.create_index("uq_mismatches_place", "mismatches", place, unique=True)
    op.create_index("ix_mismatches_event", "mismatches", ["run_id", "event"])
    op.create_table(
        "checkpoints",
        sa.Column("run_id", sa.String(length=32), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("step", sa.BigInteger(), nullable=False),
        sa.Column("tag", sa.String(length=128), nullable=False),
        sa.Column("uri", sa.Text(), nullable=True),
        sa.Column("bytes", sa.BigInteger(), nullable=True),
        sa.Column("source", sa.String(length=128), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=True),
        sa.Column("at", sa.String(length=32), nullable=False),
        *_of_run("checkpoints", "generation", "step", "tag"),
    )
    op.create_index("ix_checkpoints_step", "checkpoints", ["run_id", "step"])


def downgrade() -> None:
    """Undo the migration."""
    for table in ("checkpoints", "mismatches", "workers"):
        op.drop_table(table)
