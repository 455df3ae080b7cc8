"""The total in force of a run, and the total that a revision's words are laid out for."""

import json

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

LEAST = "0003"
"""An older release would make runs without the total in force."""

RUNS = sa.table(
    "runs",
    sa.column("id", sa.String),
    sa.column("spec", sa.Text),
    sa.column("total", sa.BigInteger),
)
PAGE = 1000


def upgrade() -> None:
    """Apply the migration: the total in force of what is there is the one it was created with."""
    op.add_column("runs", sa.Column("total", sa.BigInteger(), nullable=True))
    op.add_column("revisions", sa.Column("total", sa.BigInteger(), nullable=True))
    op.add_column("revisions", sa.Column("laid_for", sa.BigInteger(), nullable=True))
    connection, after = op.get_bind(), ""
    while rows := connection.execute(
        sa.select(RUNS.c.id, RUNS.c.spec).where(RUNS.c.id > after).order_by(RUNS.c.id).limit(PAGE)
    ).all():
        for row in rows:
            total = json.loads(row.spec).get("total")
            if total is not None:
                connection.execute(sa.update(RUNS).where(RUNS.c.id == row.id).values(total=total))
        after = rows[-1].id


def downgrade() -> None:
    """Undo the migration."""
    op.drop_column("revisions", "laid_for")
    op.drop_column("revisions", "total")
    op.drop_column("runs", "total")
