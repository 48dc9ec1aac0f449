"""Make the table of history."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

TABLE = "understage_history"


def upgrade() -> None:
    """Make the table and its indexes."""
    op.create_table(
        TABLE,
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer, "sqlite"), sa.Identity(), primary_key=True),
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("conversation_id", sa.Text, nullable=False),
        sa.Column("run_id", sa.Text),
        sa.Column("node", sa.Text, nullable=False),
        sa.Column("role", sa.Text, nullable=False),
        sa.Column("content", sa.Text, nullable=False),
        sa.Column("model", sa.Text),
        sa.Column("tokens", sa.BigInteger, nullable=False),
        sa.Column("input_tokens", sa.BigInteger, nullable=False),
        sa.Column("output_tokens", sa.BigInteger, nullable=False),
        sa.Column("cost", sa.Double),
        sa.Column("created", sa.Double, nullable=False),
        sa.Column("day", sa.Integer, nullable=False),
        sa.Column("payload", sa.LargeBinary),
        sa.Column("metadata", sa.Text, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("understage_history_id", TABLE, ["id"], unique=True)
    op.create_index("understage_history_conversation", TABLE, ["conversation_id", "seq"])
    op.create_index("understage_history_node", TABLE, ["node", "seq"])
    op.create_index("understage_history_created", TABLE, ["created"])


def downgrade() -> None:
    """Refuse: history is never thrown away by a change of version."""
    raise NotImplementedError("history cannot be downgraded; use the version that wrote it, or start a new database")
