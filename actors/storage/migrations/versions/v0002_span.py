"""Add the index that finds the messages of one node in a span of time."""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the index; some seconds for a million messages."""
    op.create_index("understage_history_node_created", "understage_history", ["node", "created"])


def downgrade() -> None:
    """Remove the index."""
    op.drop_index("understage_history_node_created", "understage_history")
