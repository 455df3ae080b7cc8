"""Reports, controllers, stops, signals, proposals, and what became of them."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def _run_id() -> sa.Column[str]:
    return sa.Column("run_id", sa.String(length=32), nullable=False)


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
    op.add_column("runs", sa.Column("barriers", sa.Text(), nullable=True))
    op.add_column("revisions", sa.Column("cause", sa.Text(), nullable=True))
    op.add_column("revisions", sa.Column("data", sa.Text(), nullable=True))
    told: sa.Column[bool] = sa.Column(
        "told", sa.Boolean(), nullable=False, server_default=sa.false()
    )
    op.add_column("revisions", told)
    op.create_table(
        "reports",
        _run_id(),
        sa.Column("owner_run", sa.String(length=32), nullable=False),
        sa.Column("owner", sa.Integer(), nullable=False),
        sa.Column("metric", sa.String(length=128), nullable=False),
        sa.Column("step", sa.BigInteger(), nullable=False),
        sa.Column("source", sa.String(length=128), nullable=False),
        sa.Column("bits", sa.BigInteger(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.String(length=32), nullable=False),
        *_of_run("reports", "owner_run", "owner", "metric", "step", "source"),
    )
    op.create_index("ix_reports_metric_number", "reports", ["run_id", "metric", "number"])
    op.create_table(
        "report_counters",
        _run_id(),
        sa.Column("number", sa.BigInteger(), nullable=False),
        *_of_run("report_counters"),
    )
    op.create_table(
        "controllers",
        _run_id(),
        sa.Column("name", sa.String(length=128), nullable=False),
        sa.Column("config", sa.Text(), nullable=False),
        sa.Column("since", sa.Integer(), nullable=False),
        sa.Column("removed", sa.Integer(), nullable=True),
        *_of_run("controllers", "name"),
    )
    op.create_table(
        "consumed",
        _run_id(),
        sa.Column("controller", sa.String(length=128), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("step", sa.BigInteger(), nullable=False),
        sa.Column("bits", sa.BigInteger(), nullable=False),
        sa.Column("decision", sa.String(length=16), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=True),
        sa.Column("proposal", sa.Integer(), nullable=True),
        sa.Column("state", sa.Text(), nullable=True),
        *_of_run("consumed", "controller", "generation", "step"),
    )
    op.create_table(
        "heads",
        _run_id(),
        sa.Column("controller", sa.String(length=128), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("step", sa.BigInteger(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        *_of_run("heads", "controller", "generation"),
    )
    op.create_table(
        "outcomes",
        _run_id(),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("source", sa.String(length=128), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("outcome", sa.String(length=16), nullable=False),
        sa.Column("step", sa.BigInteger(), nullable=False),
        sa.Column("data", sa.Text(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("at", sa.String(length=32), nullable=False),
        sa.Column("event", sa.BigInteger(), nullable=True),
        *_of_run("outcomes", "revision", "source"),
    )
    op.create_index("ix_outcomes_event", "outcomes", ["run_id", "event"])
    op.create_index("ix_revisions_kind", "revisions", ["run_id", "kind", "revision"])
    op.create_table(
        "proposals",
        _run_id(),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("author", sa.Text(), nullable=True),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("cause", sa.Text(), nullable=True),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=True),
        sa.Column("created_at", sa.String(length=32), nullable=False),
        sa.Column("decided_by", sa.Text(), nullable=True),
        sa.Column("decided_at", sa.String(length=32), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("event", sa.BigInteger(), nullable=False),
        sa.Column("decided_event", sa.BigInteger(), nullable=True),
        *_of_run("proposals", "number"),
    )
    op.create_index("ix_proposals_open", "proposals", ["run_id", "state", "author"])
    op.create_index("ix_proposals_event", "proposals", ["run_id", "event"])
    op.create_index("ix_proposals_decided", "proposals", ["run_id", "decided_event"])


def downgrade() -> None:
    """Undo the migration."""
    for table in (
        *("proposals", "outcomes", "heads", "consumed"),
        *("controllers", "report_counters", "reports"),
    ):
        op.drop_table(table)
    op.drop_index("ix_revisions_kind", "revisions")
    for column in ("told", "data", "cause"):
        op.drop_column("revisions", column)
    op.drop_column("runs", "barriers")
