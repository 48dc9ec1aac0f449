"""Statistics of a run per agent: messages, tokens, time and restarts."""

from collections.abc import Sequence
from typing import Any

import msgspec

from actors.cli.output import table
from actors.stats.event_totals import EventTotalsSnapshot
from actors.stats.projection import NodeTotals, StatsSnapshot

HEAD = ("agent", "messages", "tokens", "time", "restarts")


def rows(snapshot: StatsSnapshot, names: Sequence[str], *, with_idle: bool = False) -> list[NodeTotals]:
    """Return the named nodes in the order of their names.

    Idle nodes come only `with_idle`. A team comes only if an event names it: its answers are those of its members.
    """
    known = {node.name: node for node in snapshot.nodes}
    found = [known.get(name, NodeTotals(name, EventTotalsSnapshot())) for name in names]
    return [node for node in found if with_idle or _is_notable(node.counters)]


def _is_notable(counters: EventTotalsSnapshot) -> bool:
    return bool(counters.messages or counters.failures or counters.restarts or counters.crashes)


def cells(node: NodeTotals) -> tuple[str, ...]:
    """Return one node as the cells of a row."""
    counters = node.counters
    return (
        node.name,
        f"{counters.messages:,}",
        f"{counters.total_tokens:,}",
        f"{counters.busy_time:.2f} s",
        f"{counters.restarts}",
    )


def report(snapshot: StatsSnapshot | None, names: Sequence[str]) -> str:
    """Return the table for the end of a run, with a sum as the last line. Empty without events."""
    if snapshot is None or not (nodes := rows(snapshot, names)):
        return ""
    lines = [cells(node) for node in nodes]
    if len(nodes) > 1:
        total = nodes[0].counters
        for node in nodes[1:]:
            total += node.counters
        lines.append(cells(NodeTotals("total", total)))
    text = table(HEAD, lines)
    if snapshot.dropped_events:
        text += f"\n({snapshot.dropped_events} events were lost, so some numbers are too small)"
    return text


class NodeNumbers(msgspec.Struct, frozen=True):
    """What one node has done, for programs."""

    name: str
    state: str
    running: int
    messages: int
    input_tokens: int
    output_tokens: int
    cost_usd: float | None
    """None when it is not known."""
    tool_calls: int
    seconds: float
    failures: int
    restarts: int


def numbers(node: NodeTotals) -> NodeNumbers:
    """Return the statistics of one node for programs."""
    counters = node.counters
    cost = float(counters.cost) if counters.cost_known else None
    return NodeNumbers(
        node.name, str(node.state), node.running, counters.messages, counters.input_tokens, counters.output_tokens,
        cost, counters.tool_calls, counters.busy_time, counters.failures, counters.restarts,
    )  # fmt: skip


def as_data(snapshot: StatsSnapshot, names: Sequence[str]) -> list[dict[str, Any]]:
    """Return the statistics of the same nodes for programs."""
    return [msgspec.to_builtins(numbers(node)) for node in rows(snapshot, names)]
