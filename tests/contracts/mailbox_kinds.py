"""Every kind of mailbox with every policy that it can have."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from actors.agents.session_mailbox import SessionMailbox
from actors.runtime.envelope import Envelope
from actors.runtime.errors import ActorStoppingError, MailboxFullError
from actors.runtime.mailbox import MailboxConfig
from protocols.mailbox import Overflow

if TYPE_CHECKING:
    from collections import deque
    from collections.abc import Callable

    from actors.runtime.cell import Mailbox


def kind_of(message: Any) -> Any:
    """Return the first half of a pair; breaks on anything else, as user code may."""
    return message[0]


def own(_: Any) -> None:
    """Return no key: such a message waits for no other."""


class ListMailbox:
    """A mailbox that shares nothing with those of the engine: what the protocol asks for, and no more."""

    fifo: deque[Envelope] | None = None

    def __init__(self, who: str, config: MailboxConfig) -> None:
        self.who = who
        self.closed = False
        self.waiting: list[Envelope] = []
        self.limit(config)

    def limit(self, config: MailboxConfig) -> None:
        self.config, self.capacity, self.overflow = config, config.capacity, config.overflow

    def put(self, envelope: Envelope) -> Envelope | None:
        if self.closed:
            raise ActorStoppingError(f"actor {self.who} has stopped or is stopping and takes no messages")
        if len(self.waiting) >= self.capacity:
            raise MailboxFullError(self.who, self.capacity, envelope.message)
        self.waiting.append(envelope)
        return None

    def put_system(self, envelope: Envelope) -> None:
        self.waiting.append(envelope)

    def put_back(self, envelopes: list[Envelope]) -> None:
        self.waiting[:0] = envelopes

    def take(self) -> Envelope | None:
        return self.waiting.pop(0) if self.waiting else None

    def ack(self, envelope: Envelope) -> None:
        """Keep no account of what was settled."""

    def oldest(self) -> Envelope | None:
        return self.waiting[0] if self.waiting else None

    def close(self) -> None:
        self.closed = True

    def reopen(self) -> None:
        self.closed = False

    def clear(self) -> list[Envelope]:
        left, self.waiting = self.waiting, []
        return left

    def __len__(self) -> int:
        return len(self.waiting)


PLAIN = [policy for policy in Overflow if policy is not Overflow.COALESCE]
CONFIGS: dict[str, Callable[[int], MailboxConfig]] = {
    **{str(policy): partial(MailboxConfig, overflow=policy) for policy in PLAIN},
    "coalesce": partial(MailboxConfig, overflow=Overflow.COALESCE, key=kind_of),
    **{f"priority {policy}": partial(MailboxConfig, overflow=policy, priority=kind_of) for policy in PLAIN},
}
for _policy in PLAIN:
    CONFIGS[f"keyed {_policy}"] = partial(MailboxConfig, overflow=_policy, factory=partial(SessionMailbox, key=own))
CONFIGS["of its own"] = partial(MailboxConfig, factory=ListMailbox)
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
