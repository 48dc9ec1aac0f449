"""The table of history, for SQLite and PostgreSQL alike. A change here needs a script in ``migrations/versions``."""

from sqlalchemy import BigInteger, Column, Double, Identity, Index, Integer, LargeBinary, MetaData, Table, Text

HEAD = "0002"
"""The revision that this code reads and writes."""
READABLE = frozenset({"0001"})
"""Older revisions that this code reads as they are: they lack an index only."""

VERSION_TABLE = "understage_history_version"

metadata = MetaData()

history = Table(
    "understage_history",
    metadata,
    Column("seq", BigInteger().with_variant(Integer, "sqlite"), Identity(), primary_key=True),
    Column("id", Text, nullable=False),
    Column("conversation_id", Text, nullable=False),
    Column("run_id", Text),
    Column("node", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("content", Text, nullable=False),
    Column("model", Text),
    Column("tokens", BigInteger, nullable=False),
    Column("input_tokens", BigInteger, nullable=False),
    Column("output_tokens", BigInteger, nullable=False),
    Column("cost", Double),
    Column("created", Double, nullable=False),
    Column("day", Integer, nullable=False),  # whole days since 1970 UTC: the two databases share no date function
    Column("payload", LargeBinary),
    Column("metadata", Text, nullable=False),
    Index("understage_history_id", "id", unique=True),
    Index("understage_history_conversation", "conversation_id", "seq"),
    Index("understage_history_node", "node", "seq"),
    Index("understage_history_node_created", "node", "created"),
    Index("understage_history_created", "created"),
    sqlite_autoincrement=True,  # a pruned position is never given again, so paging goes on where it was
)
