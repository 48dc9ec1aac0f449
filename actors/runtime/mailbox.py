"""The closable, bounded mailbox, its overflow policies and its priority lanes."""

from bisect import bisect_left, insort
from collections import OrderedDict, deque
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any, Final, cast

from actors.runtime.cell import Mailbox
from actors.runtime.envelope import Envelope
from actors.runtime.errors import ActorStoppingError, MailboxFullError
from protocols.checks import Check, Checks, check_fields, choice, whole
from protocols.control import Terminated
from protocols.mailbox import Overflow

DEFAULT_CAPACITY: Final = 10_000
_FUNCTION: Final = Check("a function of the message", callable)
_NEVER_NONE: Final = ("capacity", "overflow", "starvation_bound")
_CHECKS: Final[Checks] = {
    "capacity": whole(1),
    "overflow": choice(*Overflow),
    "key": _FUNCTION,
    "priority": _FUNCTION,
    "factory": Check("a function of name and config", callable),
    "starvation_bound": whole(1),
}


@dataclass(frozen=True, slots=True)
class MailboxConfig:
    """How much mail an actor keeps, and what happens to the rest.

    Example:
        ``class Ticker(AsyncioActor): mailbox = MailboxConfig(capacity=1, overflow=Overflow.DROP_OLDEST)``
    """

    capacity: int = DEFAULT_CAPACITY
    """Most messages that wait; at least 1."""
    overflow: Overflow = Overflow.REJECT
    """What a full mailbox does."""
    key: Callable[[Any], Hashable] | None = None
    """For `Overflow.COALESCE`: messages with equal keys replace each other, full or not."""
    priority: Callable[[Any], int] | None = None
    """Lane of a message, 0 first; None for one lane. Equal priority is first in, first out."""
    starvation_bound: int = 16
    """With lanes: after so many messages in a row that overtook a lower lane, one from that lane is taken."""
    factory: "Callable[[str, MailboxConfig], Mailbox[Envelope]] | None" = None
    """Makes the mailbox from the actor's name and this; None for one of the mailboxes here."""

    def __post_init__(self) -> None:
        check_fields(_CHECKS, self, lambda _, problem: ValueError(f"mailbox {problem}"), never_none=_NEVER_NONE)
        object.__setattr__(self, "overflow", Overflow(self.overflow))
        if (self.overflow is Overflow.COALESCE) != (self.key is not None):
            raise ValueError("mailbox key and overflow 'coalesce' go together: give both or neither")
        if self.overflow is Overflow.COALESCE and self.priority is not None:
            raise ValueError("mailbox priority does not go with overflow 'coalesce': what is replaced keeps its place")

    def build(self, who: str) -> Mailbox[Envelope]:
        """Make the mailbox of one actor, named `who` in errors."""
        if self.factory is not None:
            return self.factory(who, self)
        is_plain = self.priority is None and self.key is None
        return BoundedMailbox(who, self) if is_plain else PriorityMailbox(who, self)


class BoundedMailbox:
    """First in, first out. Not thread-safe: it lives on the loop of its system."""

    __slots__ = ("_queue", "capacity", "closed", "config", "fifo", "overflow", "who")

    is_plain = True

    def __init__(self, who: str, config: MailboxConfig) -> None:
        self.who = who
        self.config = config
        self.capacity = config.capacity
        self.overflow = config.overflow
        self.closed = False
        self._queue: deque[Envelope] | None = None
        self.fifo: deque[Envelope] | None = None
        """The queue itself while it is open and plain, so that the way of a message can do without a call."""

    def put(self, envelope: Envelope) -> Envelope | None:
        """Accept a message, or apply the overflow policy.

        Returns:
            None, or the message that lost its place: an older one, or the given one itself.

        Raises:
            ActorStoppingError: the mailbox is closed.
            MailboxFullError: no room, and the policy is `reject` or `wait`.
        """
        if self.closed:
            raise ActorStoppingError(f"actor {self.who} has stopped or is stopping and takes no messages")
        queue = self._queue
        if queue is None:
            queue = self._queue = deque()
        elif len(queue) >= self.capacity:
            return self._overflow(envelope, queue)
        if self.is_plain:
            self.fifo = queue
        queue.append(envelope)
        return None

    def _overflow(self, envelope: Envelope, queue: deque[Envelope]) -> Envelope:
        if self.overflow is Overflow.DROP_NEWEST:
            return envelope
        if self.overflow is Overflow.DROP_OLDEST:
            oldest = _drop_first(queue)
            if oldest is None:
                return envelope
            queue.append(envelope)
            return oldest
        raise MailboxFullError(self.who, self.capacity, envelope.message)

    def put_system(self, envelope: Envelope) -> None:
        """Accept a message of the engine itself in arrival order: never refused, not even when full or closed."""
        if self._queue is None:
            self._queue = deque()
        self._queue.append(envelope)

    def put_back(self, envelopes: list[Envelope]) -> None:
        """Put messages that were already accepted in front of the others, keeping their order (unstash)."""
        if self._queue is None:
            self._queue = deque()
        self._queue.extendleft(reversed(envelopes))

    def take(self) -> Envelope | None:
        """Take the next message, or None."""
        queue = self._queue
        return queue.popleft() if queue else None

    def oldest(self) -> Envelope | None:
        """Look at the message that has waited longest, or None."""
        return self._queue[0] if self._queue else None

    def limit(self, config: MailboxConfig) -> None:
        """Follow other limits; what waits stays. Raises ValueError if another kind of mailbox is needed."""
        before, after = ((one.key, one.priority, one.factory) for one in (self.config, config))
        if before != after:
            raise ValueError(f"actor {self.who}: a mailbox cannot get another key or other lanes while the actor lives")
        self.config, self.capacity, self.overflow = config, config.capacity, config.overflow

    def close(self) -> None:
        """Refuse all mail from now on; what is queued stays. Closing twice is harmless."""
        self.closed = True
        self.fifo = None

    def reopen(self) -> None:
        """Take mail again, for the next incarnation."""
        self.closed = False

    def ack(self, envelope: Envelope) -> None:
        """Do nothing: a message in memory needs no acknowledgement."""

    def clear(self) -> list[Envelope]:
        """Take out everything, oldest first."""
        left = list(self._queue) if self._queue else []
        self._queue = self.fifo = None
        return left

    def __len__(self) -> int:
        return len(self._queue) if self._queue is not None else 0


class PriorityMailbox(BoundedMailbox):
    """Lanes by priority, each first in, first out; the capacity is shared, a lower lane is not starved.

    With a key there is one lane. It keeps only the newest message of each key, at the place of the first; different
    keys overflow as `reject`.
    """

    __slots__ = ("_lanes", "_order", "_overtaken", "_size")

    is_plain = False

    def __init__(self, who: str, config: MailboxConfig) -> None:
        super().__init__(who, config)
        self._lanes: dict[int, OrderedDict[Hashable, Envelope]] = {}
        self._order: list[int] = []
        self._size = 0
        self._overtaken = 0

    def put(self, envelope: Envelope) -> Envelope | None:
        """Accept a message into its lane, or apply the overflow policy (the oldest of the lowest lane is dropped)."""
        if self.closed:
            return super().put(envelope)
        lane, key = self._lane_of(envelope.message), self._key_of(envelope.message)
        if (waiting := self._lanes.get(lane)) and (older := waiting.get(key)) is not None:
            waiting[key] = envelope
            return older
        lost: Envelope | None = None
        if self._size >= self.capacity:
            if self.overflow not in (Overflow.DROP_OLDEST, Overflow.DROP_NEWEST):
                raise MailboxFullError(self.who, self.capacity, envelope.message)
            lost = self._make_room(lane) if self.overflow is Overflow.DROP_OLDEST else None
            if lost is None:
                return envelope
        self._append(lane, key, envelope)
        return lost

    def _lane_of(self, message: Any) -> int:
        lane = cast("object", 0 if self.config.priority is None else self.config.priority(message))
        if not isinstance(lane, int):
            text = f"actor {self.who}: mailbox priority {lane!r} of {type(message).__name__} is not a whole number"
            raise TypeError(text)
        return lane

    def _key_of(self, message: Any) -> Hashable:
        key: Hashable = object() if self.config.key is None else self.config.key(message)
        try:
            hash(key)
        except TypeError:
            text = f"actor {self.who}: mailbox key {key!r} of {type(message).__name__} is not hashable"
            raise TypeError(text) from None
        return key

    def _make_room(self, lane: int) -> Envelope | None:
        """Drop the oldest message of the lowest lane, which must not be above `lane`."""
        lowest = self._order[-1]
        waiting = self._lanes[lowest].items() if lane <= lowest else ()
        key = next((key for key, envelope in waiting if not is_news(envelope)), None)
        return None if key is None else self._take(lowest, key)

    def _append(self, lane: int, key: Hashable, envelope: Envelope) -> None:
        if lane not in self._lanes:
            self._lanes[lane] = OrderedDict()
            insort(self._order, lane)
        self._lanes[lane][key] = envelope
        self._size += 1

    def put_system(self, envelope: Envelope) -> None:
        """Accept a message of the engine itself, behind everything that waits in the lowest lane."""
        self._append(self._order[-1] if self._order else 0, object(), envelope)

    def put_back(self, envelopes: list[Envelope]) -> None:
        """Put messages that were already accepted in front of their lanes; nothing takes their place any more."""
        for envelope in reversed(envelopes):
            lane, key = self._lane_of_known(envelope), object()
            self._append(lane, key, envelope)
            self._lanes[lane].move_to_end(key, last=False)

    def _lane_of_known(self, envelope: Envelope) -> int:
        """Return the lane of an accepted message; the first one if the function fails now, so nothing is lost."""
        try:
            return 0 if is_news(envelope) else self._lane_of(envelope.message)
        except BaseException as error:  # the function of the user
            system = envelope.cell.system
            system.report("a mailbox priority failed", envelope.cell, error=error)
            system.note_base_exception(error)
            return 0

    def _take(self, lane: int, key: Hashable | None = None) -> Envelope:
        waiting = self._lanes[lane]
        envelope = waiting.popitem(last=False)[1] if key is None else waiting.pop(key)
        if not waiting:
            del self._lanes[lane]
            del self._order[bisect_left(self._order, lane)]
        self._size -= 1
        return envelope

    def _first(self, lane: int) -> Envelope:
        return next(iter(self._lanes[lane].values()))

    def take(self) -> Envelope | None:
        """Take the next message: the first lane, or by the starvation bound the one that was overtaken longest."""
        if not self._size:
            return None
        first = self._order[0]
        if len(self._order) == 1:
            self._overtaken = 0
            return self._take(first)
        if self._overtaken >= self.config.starvation_bound:
            self._overtaken = 0
            return self._take(min(self._order[1:], key=lambda lane: self._first(lane).at))
        self._overtaken += 1
        return self._take(first)

    def oldest(self) -> Envelope | None:
        """Look at the message that has waited longest, or None."""
        return min(map(self._first, self._order), key=lambda envelope: envelope.at, default=None)

    def clear(self) -> list[Envelope]:
        """Take out everything, lane by lane."""
        left = [envelope for lane in self._order for envelope in self._lanes[lane].values()]
        self._lanes.clear()
        self._order.clear()
        self._size = 0
        return left

    def __len__(self) -> int:
        return self._size


def is_news(envelope: Envelope) -> bool:
    """True if the engine sent it: no overflow policy may drop it."""
    return type(envelope.message) is Terminated


def _drop_first(queue: deque[Envelope]) -> Envelope | None:
    for index, envelope in enumerate(queue):
        if not is_news(envelope):
            del queue[index]
            return envelope
    return None
