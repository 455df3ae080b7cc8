"""Reports, controllers, stops, signals, proposals, and what became of them."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

LEAST = "0006"
"""An older release would settle past stops, pauses and gates."""


def _run_id() -> sa.Column[str]:
    return sa.Column("run_id", sa.String(length=32), nullable=False)


def _of_run(table: str, *key: str) -> tuple[sa.Constraint, ...]:
    return _of(table, "runs", "id", key)


def _of_counter(table: str, *key: str) -> tuple[sa.Constraint, ...]:
    return _of(table, "report_counters", "run_id", key)


def _of(table: str, other: str, column: str, key: tuple[str, ...]) -> tuple[sa.Constraint, ...]:
    return (
        sa.ForeignKeyConstraint(
            ["run_id"],
            [f"{other}.{column}"],
            name=op.f(f"fk_{table}_{other}"),
            ondelete="CASCADE",
            onupdate="CASCADE",
        ),
        sa.PrimaryKeyConstraint("run_id", *key, name=op.f(f"pk_{table}")),
    )


def upgrade() -> None:
    """Apply the migration."""
    op.add_column("runs", sa.Column("barriers", sa.Text(), nullable=True))
    op.add_column("revisions", sa.Column("cause", sa.Text(), nullable=True))
    op.add_column("revisions", sa.Column("cause_by", sa.String(length=128), nullable=True))
    op.add_column("revisions", sa.Column("cause_step", sa.BigInteger(), nullable=True))
    op.create_index("ix_revisions_cause", "revisions", ["run_id", "cause_by", "cause_step"])
    op.add_column("revisions", sa.Column("data", sa.Text(), nullable=True))
    told: sa.Column[bool] = sa.Column(
        "told", sa.Boolean(), nullable=False, server_default=sa.false()
    )
    op.add_column("revisions", told)
    op.create_table(
        "report_counters",
        _run_id(),
        sa.Column("number", sa.BigInteger(), nullable=False, server_default="0"),
        *_of_run("report_counters"),
    )
    op.execute("INSERT INTO report_counters (run_id) SELECT id FROM runs")
    op.create_table(
        "reports",
        _run_id(),
        sa.Column("forks", sa.Integer(), nullable=False),
        sa.Column("owner", sa.Integer(), nullable=False),
        sa.Column("metric", sa.String(length=128), nullable=False),
        sa.Column("step", sa.BigInteger(), nullable=False),
        sa.Column("source", sa.String(length=128), nullable=False),
        sa.Column("bits", sa.BigInteger(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.String(length=32), nullable=False),
        *_of_counter("reports", "forks", "owner", "metric", "step", "source"),
    )
    op.create_index("ix_reports_metric_number", "reports", ["run_id", "metric", "number"])
    op.create_table(
        "report_metrics",
        _run_id(),
        sa.Column("metric", sa.String(length=128), nullable=False),
        sa.Column("points", sa.BigInteger(), nullable=False),
        sa.Column("stride", sa.BigInteger(), nullable=False),
        sa.Column("cursor", sa.BigInteger(), nullable=False),
        sa.Column("differs", sa.BigInteger(), nullable=False),
        sa.Column("differing", sa.Text(), nullable=True),
        *_of_counter("report_metrics", "metric"),
    )
    op.create_table(
        "controllers",
        _run_id(),
        sa.Column("name", sa.String(length=128), nullable=False),
        sa.Column("config", sa.Text(), nullable=False),
        sa.Column("changes", sa.Text(), nullable=True),
        sa.Column("since", sa.Integer(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("removed", sa.Integer(), nullable=True),
        sa.Column("armed_at", sa.BigInteger(), nullable=False),
        sa.Column("base", sa.Text(), nullable=False),
        sa.Column("off_gate", sa.BigInteger(), nullable=True),
        *_of_run("controllers", "name"),
    )
    op.create_table(
        "consumed",
        _run_id(),
        sa.Column("controller", sa.String(length=128), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("step", sa.BigInteger(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("bits", sa.BigInteger(), nullable=False),
        sa.Column("decision", sa.String(length=16), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=True),
        sa.Column("proposal", sa.Integer(), nullable=True),
        sa.Column("effective", sa.BigInteger(), nullable=True),
        sa.Column("data", sa.Text(), nullable=True),
        sa.Column("at", sa.String(length=32), nullable=True),
        sa.Column("event", sa.BigInteger(), nullable=True),
        sa.Column("state", sa.Text(), nullable=True),
        *_of_run("consumed", "controller", "generation", "step"),
    )
    op.create_index("ix_consumed_event", "consumed", ["run_id", "event"])
    op.create_table(
        "heads",
        _run_id(),
        sa.Column("controller", sa.String(length=128), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("step", sa.BigInteger(), nullable=True),
        sa.Column("bits", sa.BigInteger(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("decisions", sa.Integer(), nullable=False),
        sa.Column("unkept", sa.Integer(), nullable=False),
        sa.Column("warned", sa.Boolean(), nullable=False),
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
        *("controllers", "report_metrics", "reports", "report_counters"),
    ):
        op.drop_table(table)
    op.drop_index("ix_revisions_kind", "revisions")
    op.drop_index("ix_revisions_cause", "revisions")
    for column in ("told", "data", "cause_step", "cause_by", "cause"):
        op.drop_column("revisions", column)
    op.drop_column("runs", "barriers")
