"""`RunSnapshot`: one run at one moment, as a value and as a table for terminals and logs."""

from collections.abc import Sequence
from datetime import datetime

import msgspec

from actors.stats.message_totals import MessageTotalsSnapshot
from protocols.plain_text import one_line

RunError = tuple[str, str, datetime]
"""Name of the node, text of the error, time (UTC)."""

_HEAD = ("node", "messages", "tokens", "cost", "tools", "bytes", "errors")


class RunSnapshot(msgspec.Struct, frozen=True):
    """Everything about a run at one moment; `msgspec.json.encode` makes it JSON."""

    name: str
    """The node that was run."""
    total: MessageTotalsSnapshot
    nodes: dict[str, MessageTotalsSnapshot] = {}
    """Numbers of each node that answered or failed, in the order of first answers."""
    target_names: tuple[str, ...] = ()
    """Nodes that got a message of another node."""
    num_connections: int = 0
    """Number of connections."""
    errors: tuple[RunError, ...] = ()
    """The latest failures."""
    dropped_messages: int = 0
    """Answers that are counted but no longer kept."""
    start_time: datetime | None = None
    """Begin of the run (UTC)."""
    done: bool = False
    """True after the end of the run."""


def text_table(run: RunSnapshot) -> str:
    """Return the run as a table of plain text."""
    rows = _table_rows(run)
    widths = [max(len(row[place]) for row in rows) for place in range(len(_HEAD))]
    lines = ["  ".join([name.ljust(widths[0]), *map(str.rjust, cells, widths[1:])]) for name, *cells in rows]
    rule = "-" * len(lines[0])
    return "\n".join([_title(run), lines[0], rule, *lines[1:], *_failures(run)])


def _table_rows(run: RunSnapshot) -> list[Sequence[str]]:
    """Return the cells of the table, beginning with the names of the columns."""
    return [_HEAD, *(_cells(name, numbers) for name, numbers in run.nodes.items()), _cells("total", run.total)]


def _failures(run: RunSnapshot) -> list[str]:
    """Return one line per latest failure."""
    return [one_line(f"{name}: {text}") for name, text, _ in run.errors]


def _title(run: RunSnapshot) -> str:
    return f"{one_line(run.name) or 'run'}: {'done' if run.done else 'running'}"


def _cells(name: str, totals: MessageTotalsSnapshot) -> Sequence[str]:
    cost = f"{totals.total_cost:.4f}" + ("" if totals.cost_known else "+?")
    numbers = (totals.tool_call_count, totals.byte_count, totals.error_count)
    return (one_line(name), str(totals.message_count), str(totals.token_count), cost, *map(str, numbers))
