"""A snapshot of a running pool: its supervision tree and the statistics of its nodes."""

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

import msgspec
from msgspec.structs import replace

from actors.app.journal_service import JournalService
from actors.cli.output import table
from actors.cli.redaction import one_line
from actors.cli.report import NodeNumbers, numbers, rows
from actors.runtime.tree import ActorNode
from protocols.plain_text import visible

if TYPE_CHECKING:
    from actors.app import App


class Snapshot(msgspec.Struct, frozen=True):
    """A running pool at one moment."""

    pool: str
    pid: int
    uptime: float
    """Seconds since the monitor began."""
    tree: tuple[ActorNode, ...]
    nodes: tuple[NodeNumbers, ...]
    dropped_events: int
    """Events that were lost, so that some numbers are too small."""
    kept: dict[str, int] = {}
    """Messages that durable nodes have accepted and not yet handled, by node."""


async def take_snapshot(app: "App", began: float) -> Snapshot:
    """Return what there is to see at this moment; `began` is the time of the system's clock from which it counts."""
    stats, journal = await app.read_stats(), app.pool.service(JournalService)
    return Snapshot(
        pool=app.pool.name,
        pid=os.getpid(),
        uptime=app.system.clock.now() - began,
        tree=_shown(app.system.tree()),
        nodes=tuple(numbers(node) for node in rows(stats, list(app.pool), with_idle=True)),
        dropped_events=stats.dropped_events,
        kept={} if journal is None else journal.kept,
    )


def _shown(tree: tuple[ActorNode, ...]) -> tuple[ActorNode, ...]:
    """Return a tree whose failures hold no secret; works without recursion."""
    made: dict[int, ActorNode] = {}
    for actor, _ in reversed(list(flat(tree))):
        children = tuple(made.pop(id(child)) for child in actor.children)
        failure = one_line(actor.last_failure)
        made[id(actor)] = replace(actor, last_failure=failure, children=children)
    return tuple(made[id(actor)] for actor in tree)


def flat(tree: tuple[ActorNode, ...]) -> Iterator[tuple[ActorNode, int]]:
    """Yield every actor and how deep in the tree it is, parents first; works without recursion."""
    waiting = [(actor, 0) for actor in reversed(tree)]
    while waiting:
        actor, depth = waiting.pop()
        yield actor, depth
        waiting.extend((child, depth + 1) for child in reversed(actor.children))


HEAD: Final = ("actor", "state", "waiting", "working", "kept", "handled", "failed", "restarts", "answers", "tokens")


def view(snapshot: Snapshot) -> str:
    """Return the supervision tree with the statistics of each actor."""
    nodes = {node.name: node for node in snapshot.nodes}
    lines = [
        _cells(actor, depth, nodes.get(actor.name), snapshot.kept.get(actor.name, 0))
        for actor, depth in flat(snapshot.tree)
    ]
    title = f"{snapshot.pool}: {len(lines)} actors, process {snapshot.pid}, up {snapshot.uptime:.0f} s"
    text = f"{title}\n{table(HEAD, lines)}"
    if snapshot.dropped_events:
        text += f"\n({snapshot.dropped_events} events were lost, so some numbers are too small)"
    return visible(text)


def _cells(actor: ActorNode, depth: int, node: NodeNumbers | None, kept: int) -> tuple[str, ...]:
    name = "  " * depth + " ".join(actor.name.split())
    counts = (actor.depth, actor.in_flight, kept, actor.handled, actor.failed, actor.restarts)
    answers = 0 if node is None else node.messages
    tokens = 0 if node is None else node.input_tokens + node.output_tokens
    return (name, actor.state, *(f"{count:,}" for count in (*counts, answers, tokens)))
