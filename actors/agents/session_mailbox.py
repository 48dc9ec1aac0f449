"""A mailbox of an actor that handles several messages at the same time, but one after the other those of one key."""

from collections import deque
from collections.abc import Callable, Hashable
from typing import Any, Final

from actors.runtime.cell import Mailbox
from actors.runtime.envelope import Envelope
from actors.runtime.errors import MailboxFullError
from actors.runtime.mailbox import BoundedMailbox, MailboxConfig, is_news
from protocols.mailbox import Overflow

AFTER_ALL: Final = object()
"""Key of a message that is taken after all that came before it, and before all that comes later."""

MessageKey = Callable[[Any], Hashable]
"""Returns the key of a message. None for a message that waits for no other."""


def mailbox_of(who: str, config: MailboxConfig, key: MessageKey) -> Mailbox[Envelope]:
    """Return the mailbox of an agent. Lanes and mailboxes of the user's own stay, and handle one message at a time."""
    is_plain = config.priority is None and config.key is None and config.factory is None
    return SessionMailbox(who, config, key) if is_plain else config.build(who)


class SessionMailbox(BoundedMailbox):
    """First in, first out among the messages of one key; a message waits while another one of its key is handled.

    The first message of a key stands at the head of the key's line until it is settled (`ack`), so each step costs the
    same however many messages wait.
    """

    __slots__ = ("_after", "_key", "_keys", "_lines", "_ready", "_size")

    is_plain = False

    def __init__(self, who: str, config: MailboxConfig, key: MessageKey) -> None:
        super().__init__(who, config)
        self._key = key
        self._ready: deque[Envelope] = deque()
        """What may be taken now."""
        self._lines: dict[Hashable, deque[Envelope]] = {}
        """By key: the message that is ready or handled, then those that wait for its end."""
        self._keys: dict[Envelope, Hashable] = {}
        """The keys of the first message of each line."""
        self._after: deque[Envelope] = deque()
        """A message that comes after all, and what came later."""
        self._size = 0

    def put(self, envelope: Envelope) -> Envelope | None:
        """Accept a message, or apply the overflow policy; see `BoundedMailbox.put`."""
        if self.closed:
            return super().put(envelope)
        lost: Envelope | None = None
        if self._size >= self.capacity:
            if self.overflow not in (Overflow.DROP_OLDEST, Overflow.DROP_NEWEST):
                raise MailboxFullError(self.who, self.capacity, envelope.message)
            lost = self._drop() if self.overflow is Overflow.DROP_OLDEST else None
            if lost is None:
                return envelope
        self.put_system(envelope)
        return lost

    def put_system(self, envelope: Envelope) -> None:
        """Accept a message of the engine itself: never refused, not even when full or closed."""
        self._size += 1
        if self._after:
            self._after.append(envelope)
        else:
            self._sort(envelope)

    def _sort(self, envelope: Envelope) -> None:
        key = self._key(envelope.message)
        if key is None:
            self._ready.append(envelope)
        elif key is AFTER_ALL:
            self._after.append(envelope)
        elif key in self._lines:
            self._lines[key].append(envelope)
        else:
            self._lines[key] = deque((envelope,))
            self._begin(key, envelope)

    def _begin(self, key: Hashable, envelope: Envelope) -> None:
        self._keys[envelope] = key
        self._ready.append(envelope)

    def _drop(self) -> Envelope | None:
        """Take out the message that is next, or else has waited long; its `ack` lets the next of its key follow."""
        for queue in (self._ready, *self._lines.values(), self._after):
            for envelope in queue:
                is_handled = queue is not self._ready and envelope in self._keys
                if not is_handled and not is_news(envelope):
                    queue.remove(envelope)
                    self._size -= 1
                    return envelope
        return None

    def put_back(self, envelopes: list[Envelope]) -> None:
        """Put messages that were already accepted in front of the others of their keys (unstash)."""
        for envelope in reversed(envelopes):
            self._size += 1
            key = self._key(envelope.message)
            if key is None or key is AFTER_ALL:
                self._ready.appendleft(envelope)
            elif key in self._lines:
                self._lines[key].insert(1, envelope)
            else:
                self._lines[key] = deque((envelope,))
                self._keys[envelope] = key
                self._ready.appendleft(envelope)

    def take(self) -> Envelope | None:
        """Take the next message whose key is free, or None."""
        if self._ready:
            self._size -= 1
            return self._ready.popleft()
        if not self._after or self._size > len(self._after):
            return None
        self._size -= 1
        first = self._after.popleft()
        while self._after and self._key(self._after[0].message) is not AFTER_ALL:
            self._sort(self._after.popleft())
        return first

    def ack(self, envelope: Envelope) -> None:
        """Let the next message of the same key be taken."""
        key = self._keys.pop(envelope, None)
        if key is None:
            return
        line = self._lines[key]
        line.popleft()
        if line:
            self._begin(key, line[0])
        else:
            del self._lines[key]

    def before(self, envelope: Envelope) -> Envelope | None:
        """Return the message whose end a waiting one waits for, or None."""
        line = self._lines.get(self._key(envelope.message))
        return line[0] if line else None

    def oldest(self) -> Envelope | None:
        """Look at the message that has waited longest, or None."""
        return min(self._waiting(), key=lambda envelope: envelope.at, default=None)

    def _waiting(self) -> list[Envelope]:
        behind = [envelope for line in self._lines.values() for envelope in line if envelope not in self._keys]
        return [*self._ready, *behind, *self._after]

    def clear(self) -> list[Envelope]:
        """Take out everything, oldest first."""
        left = sorted(self._waiting(), key=lambda envelope: envelope.at)
        for envelope in self._ready:
            self._lines.pop(self._keys.pop(envelope, None), None)
        for key, line in self._lines.items():
            self._lines[key] = deque((line[0],))
        self._ready.clear()
        self._after.clear()
        self._size = 0
        return left

    def __len__(self) -> int:
        return self._size
