"""What a host says of itself to the others: its durable nodes and what they do, as it writes it with each renewal."""

from collections.abc import Iterable
from typing import Any, Final

import msgspec

from actors.cluster.host_mailbox import HostMailbox
from actors.cluster.single_place import SinglePlace
from actors.runs.handle import NodeHandle
from protocols.errors import NodeStoppedError, cause_text

MOST_BYTES: Final = 64 * 1024
"""Bytes of JSON that a host says of itself; further nodes are only counted."""
_OF_TOTALS: Final = 200
_OF_REASON: Final = 200
GONE: Final = "gone"


class NodeSnapshot(msgspec.Struct, frozen=True):
    """One durable node, as its host sees it: what a row of the tree says, and its open messages."""

    name: str
    state: str
    depth: int
    kept: int
    in_flight: int
    handled: int
    failed: int
    reason: str = ""
    """Why its supervisor has given it up at that host; its state is ``gone`` then."""


class HostSnapshot(msgspec.Struct, frozen=True):
    """One host, in its own words."""

    nodes: tuple[NodeSnapshot, ...] = ()
    """Those that it delivers to, and those that are gone."""
    omitted: int = 0
    """Further ones, for which there was no room."""
    in_flight: int = 0
    """Messages that all its durable nodes handle now."""
    handled: int = 0
    """Messages that they have handled in its life."""
    dead_letters: int = 0
    """Those of its actor system."""


def is_gone(node: NodeHandle[Any, Any]) -> bool:
    """Return True if its supervisor has given a node up in this process."""
    return node.home.find() is None and node.home.is_owned


def encode_snapshot(mailboxes: Iterable[HostMailbox | SinglePlace]) -> bytes:
    """Return what the host of these mailboxes says of itself, as bounded JSON."""
    nodes, size, omitted, in_flight, handled, dead_letters = list[NodeSnapshot](), _OF_TOTALS, 0, 0, 0, 0
    firsts = {mailbox.node: mailbox for mailbox in mailboxes}
    for mailbox in firsts.values():
        here = [one.open for one in mailbox.parts if one.is_here]
        ref = mailbox.node.home.find()
        if ref is None:
            if is_gone(mailbox.node) and size < MOST_BYTES:
                why = cause_text(mailbox.node.home.end_cause() or NodeStoppedError("it was stopped"))[:_OF_REASON]
                nodes.append(NodeSnapshot(mailbox.node.name, GONE, 0, sum(here), 0, 0, 0, why))
                size += len(msgspec.json.encode(nodes[-1])) + 1
            continue
        cell = ref._cell  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] - the counters are the engine's
        working = len(cell.turns or ())
        in_flight, handled, dead_letters = in_flight + working, handled + cell.handled, ref.system.dead_letters.total
        if here and size < MOST_BYTES:
            numbers = (ref.statistics().depth, sum(here), working, cell.handled, cell.failed)
            nodes.append(NodeSnapshot(mailbox.node.name, str(ref.state), *numbers))
            size += len(msgspec.json.encode(nodes[-1])) + 1
        elif here:
            omitted += 1
    if size > MOST_BYTES:
        nodes.pop()
        omitted += 1
    return msgspec.json.encode(HostSnapshot(tuple(nodes), omitted, in_flight, handled, dead_letters))


def read_snapshot(written: bytes) -> HostSnapshot:
    """Return what a host has said of itself; nothing if it is of a version that says it otherwise."""
    try:
        return msgspec.json.decode(written, type=HostSnapshot)
    except msgspec.DecodeError:
        return HostSnapshot()
