"""Between messages and rows of the table."""

from datetime import date, timedelta
from typing import Any

from sqlalchemy import RowMapping
from sqlalchemy.ext.asyncio import AsyncEngine

from actors.storage.content import metadata_from, metadata_json, storable
from actors.storage.schema import history
from protocols.history import ConversationSummary, HistoryGroup, HistoryStats, StoredMessage

DAY = 86_400
EPOCH = date(1970, 1, 1)


def insert_text(engine: AsyncEngine) -> str:
    """Return an insert of what `row_of` returns, which leaves an existing id alone.

    It is text: as a statement it takes three times as long on the loop.
    """
    names = [column.name for column in history.columns if column.name != "seq"]
    compiled = history.insert().inline().compile(dialect=engine.dialect, column_keys=names)
    assert compiled.positiontup == names
    return f"{compiled} ON CONFLICT (id) DO NOTHING"


def message_from(row: RowMapping) -> StoredMessage:
    """Return the message of a row."""
    values = dict(row)
    del values["day"]
    values["metadata"] = metadata_from(values["metadata"])
    return StoredMessage(**values)


def stats_from(row: RowMapping, group_by: HistoryGroup | None) -> HistoryStats:
    """Return the sums of a row of `actors.storage.statement.sums`."""
    key: Any = row["key"] if group_by else ""
    return HistoryStats(
        key=(EPOCH + timedelta(days=key)).isoformat() if group_by == "day" else key,
        messages=row["messages"],
        tokens=int(row["tokens"]),
        input_tokens=int(row["input_tokens"]),
        output_tokens=int(row["output_tokens"]),
        cost=float(row["cost"]),
        cost_known=row["unpriced"] == 0,
        first=row["first"],
        last=row["last"],
    )


def summary_from(row: RowMapping) -> ConversationSummary:
    """Return the conversation of a row of `actors.storage.statement.summaries`."""
    values: dict[str, Any] = {**row, "tokens": int(row["tokens"])}
    return ConversationSummary(**values)


def row_of(m: StoredMessage) -> tuple[Any, ...]:
    """Return the values of all columns but ``seq``, in the order of the table."""
    return (
        m.id, m.conversation_id, m.run_id, m.node, m.role, storable(m.content), m.model, m.tokens, m.input_tokens,
        m.output_tokens, m.cost, m.created, int(m.created // DAY), m.payload, metadata_json(m.id, m.metadata),
    )  # fmt: skip
