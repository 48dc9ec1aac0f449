"""Every kind of mailbox with every policy that it can have."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from actors.runtime.envelope import Envelope
from actors.runtime.mailbox import MailboxConfig
from protocols.mailbox import Overflow

if TYPE_CHECKING:
    from collections.abc import Callable

    from actors.runtime.cell import Mailbox


def kind_of(message: Any) -> Any:
    """Return the first half of a pair; breaks on anything else, as user code may."""
    return message[0]


PLAIN = [policy for policy in Overflow if policy is not Overflow.COALESCE]
CONFIGS: dict[str, Callable[[int], MailboxConfig]] = {
    **{str(policy): partial(MailboxConfig, overflow=policy) for policy in PLAIN},
    "coalesce": partial(MailboxConfig, overflow=Overflow.COALESCE, key=kind_of),
    **{f"priority {policy}": partial(MailboxConfig, overflow=policy, priority=kind_of) for policy in PLAIN},
}
KEYED = [name for name in CONFIGS if name == "coalesce" or name.startswith("priority")]

every_mailbox = pytest.mark.parametrize("name", CONFIGS)


def build(name: str, capacity: int) -> Mailbox[Envelope]:
    return CONFIGS[name](capacity).build("test")


def envelope(message: Any, at: float = 0.0) -> Envelope:
    nobody: Any = None
    return Envelope(message, nobody, at=at)


def put(box: Mailbox[Envelope], *messages: Any) -> None:
    for message in messages:
        assert box.put(envelope(message)) is None


def drain(box: Mailbox[Envelope]) -> list[Any]:
    taken: list[Any] = []
    while (each := box.take()) is not None:
        taken.append(each.message)
    return taken
