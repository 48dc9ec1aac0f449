"""``talk >> x``: the targets of connections are connected further."""

from collections.abc import Iterable
from typing import Any

from protocols.errors import TalkError


def connect_further(ends: Iterable[Any], other: Any) -> list[Any]:
    """Connect each target of some connections to something, and return the new connections.

    A function becomes one node, to which all of them lead.

    Raises:
        TalkError: a target cannot be connected.
    """
    made: list[Any] = []
    for target in dict.fromkeys(ends):
        if not callable(getattr(target, "connect_to", None)):
            msg = f"cannot connect {target.name!r} to {other!r}: it has no connections of its own"
            raise TalkError(msg, node=target.name)
        made.append(target.connect_to(other if not made else list(made[0].targets)))
    return made
