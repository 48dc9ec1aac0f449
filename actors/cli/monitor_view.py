"""A snapshot of a running pool as text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from actors.cli.monitor_snapshot import flat
from actors.cli.table import table
from protocols.plain_text import visible

if TYPE_CHECKING:
    from actors.cli.monitor_snapshot import NodeNumbers, Snapshot
    from actors.runtime.tree import ActorNode

HEAD: Final = ("actor", "state", "waiting", "working", "handled", "failed", "restarts", "answers", "tokens")
_INDENT: Final = "  "


def view(snapshot: Snapshot) -> str:
    """Return the supervision tree with the statistics of each actor."""
    numbers = {node.name: node for node in snapshot.nodes}
    lines = [_cells(actor, depth, numbers.get(actor.name)) for actor, depth in flat(snapshot.tree)]
    title = f"{snapshot.pool}: {len(lines)} actors, process {snapshot.pid}, up {snapshot.uptime:.0f} s"
    text = f"{title}\n{table(HEAD, lines)}"
    if snapshot.dropped_events:
        text += f"\n({snapshot.dropped_events} events were lost, so some numbers are too small)"
    return visible(text)


def _cells(actor: ActorNode, depth: int, numbers: NodeNumbers | None) -> tuple[str, ...]:
    name = _INDENT * depth + " ".join(actor.name.split())
    counts = (actor.depth, actor.in_flight, actor.handled, actor.failed, actor.restarts)
    answers = 0 if numbers is None else numbers.messages
    tokens = 0 if numbers is None else numbers.input_tokens + numbers.output_tokens
    return (name, actor.state, *(f"{count:,}" for count in (*counts, answers, tokens)))
