"""Statistics of a run per agent: messages, tokens, time and restarts."""

from collections.abc import Sequence
from typing import Any

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


def as_data(snapshot: StatsSnapshot, names: Sequence[str]) -> list[dict[str, Any]]:
    """Return the statistics of the same nodes for programs."""
    return [_numbers(node) for node in rows(snapshot, names)]


def _numbers(node: NodeTotals) -> dict[str, Any]:
    counters = node.counters
    return {
        "name": node.name, "state": str(node.state), "running": node.running, "messages": counters.messages,
        "input_tokens": counters.input_tokens, "output_tokens": counters.output_tokens,
        "cost_usd": float(counters.cost) if counters.cost_known else None, "tool_calls": counters.tool_calls,
        "seconds": counters.busy_time, "failures": counters.failures, "restarts": counters.restarts,
    }  # fmt: skip
