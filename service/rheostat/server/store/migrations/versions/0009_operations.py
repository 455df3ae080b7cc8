"""What operators of many runs need: audit, replicas, hooks, selectors of tokens, protected runs."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

LEAST = "0006"
"""The release before runs on with it: it names the columns that it writes, and what is
new may be missing from a row."""


def upgrade() -> None:
    """Apply the migration."""
    op.create_table(
        "audit",
        sa.Column(
            "number",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("at", sa.String(length=32), nullable=False),
        sa.Column("who", sa.Text(), nullable=True),
        sa.Column("address", sa.String(length=64), nullable=True),
        sa.Column("action", sa.String(length=32), nullable=False),
        sa.Column("run_id", sa.String(length=32), nullable=True),
        sa.Column("run_name", sa.String(length=128), nullable=True),
        sa.Column("subject", sa.String(length=128), nullable=True),
        sa.Column("request_id", sa.Text(), nullable=True),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_audit")),
    )
    op.create_index("ix_audit_run_id", "audit", ["run_id", "number"])
    op.create_index("ix_audit_run_name", "audit", ["run_name", "number"])
    op.create_index("ix_audit_who", "audit", ["who", "number"])
    op.create_index("ix_audit_at", "audit", ["at"])
    op.create_table(
        "replicas",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("release", sa.String(length=64), nullable=False),
        sa.Column("schema", sa.String(length=16), nullable=False),
        sa.Column("seen_at", sa.String(length=32), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_replicas")),
    )
    op.create_index("ix_replicas_seen_at", "replicas", ["seen_at"])
    op.create_table(
        "hooks",
        sa.Column("name", sa.String(length=128), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("events", sa.Text(), nullable=False),
        sa.Column("selector", sa.Text(), nullable=False),
        sa.Column("format", sa.String(length=16), nullable=False),
        sa.Column("secret", sa.Text(), nullable=True),
        sa.Column("old_secret", sa.Text(), nullable=True),
        sa.Column("old_until", sa.String(length=32), nullable=True),
        sa.Column("created_at", sa.String(length=32), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=True),
        sa.Column("disabled_at", sa.String(length=32), nullable=True),
        sa.Column("disabled_why", sa.Text(), nullable=True),
        sa.Column("delivered_at", sa.String(length=32), nullable=True),
        sa.Column("failing_since", sa.String(length=32), nullable=True),
        sa.Column("failures", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("rests_until", sa.String(length=32), nullable=True),
        sa.Column("dropped", sa.Integer(), nullable=False, server_default="0"),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_hooks")),
    )
    op.create_table(
        "deliveries",
        sa.Column(
            "number",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("hook", sa.String(length=128), nullable=False),
        sa.Column("run_id", sa.String(length=32), nullable=False),
        sa.Column("event", sa.String(length=64), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.String(length=32), nullable=False),
        sa.Column("next_at", sa.String(length=32), nullable=True),
        sa.Column("ended_at", sa.String(length=32), nullable=True),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["hook"],
            ["hooks.name"],
            name=op.f("fk_deliveries_hooks"),
            ondelete="CASCADE",
            onupdate="CASCADE",
        ),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_deliveries")),
    )
    op.add_column("incarnation", sa.Column("least", sa.String(length=16), nullable=True))
    op.create_index("uq_deliveries_event", "deliveries", ["hook", "run_id", "event"], unique=True)
    op.create_index("ix_deliveries_state", "deliveries", ["hook", "state", "next_at"])
    op.create_index("ix_deliveries_ended_at", "deliveries", ["hook", "ended_at"])
    op.create_table(
        "told",
        sa.Column("run_id", sa.String(length=32), nullable=False),
        sa.Column("event", sa.BigInteger(), nullable=False),
        sa.Column("silent_until", sa.String(length=32), nullable=False),
        sa.Column("silence_at", sa.String(length=32), nullable=True),
        sa.ForeignKeyConstraint(
            ["run_id"],
            ["runs.id"],
            name=op.f("fk_told_runs"),
            ondelete="CASCADE",
            onupdate="CASCADE",
        ),
        sa.PrimaryKeyConstraint("run_id", name=op.f("pk_told")),
    )
    op.create_table(
        "hook_sender",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("holder", sa.String(length=32), nullable=False),
        sa.Column("until", sa.String(length=32), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_hook_sender")),
    )
    op.create_index("ix_runs_event", "runs", ["id", "event"])
    op.create_table(
        "plans",
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("runs", sa.Text(), nullable=False),
        sa.Column("created_at", sa.String(length=32), nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_plans")),
    )
    op.create_index("ix_plans_created_at", "plans", ["created_at"])
    op.add_column("tokens", sa.Column("runs", sa.Text(), nullable=True))
    op.add_column("runs", sa.Column("needs", sa.String(length=16), nullable=True))
    op.add_column("runs", sa.Column("protect", sa.Text(), nullable=True))
    op.create_index("ix_labels_key", "labels", ["key", "run_id"])


def downgrade() -> None:
    """Undo the migration."""
    op.drop_index("ix_labels_key", "labels")
    op.drop_column("runs", "protect")
    op.drop_column("runs", "needs")
    op.drop_column("tokens", "runs")
    op.drop_column("incarnation", "least")
    op.drop_index("ix_runs_event", "runs")
    for table in ("plans", "hook_sender", "told", "deliveries", "hooks", "replicas", "audit"):
        op.drop_table(table)
