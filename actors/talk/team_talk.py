"""`TeamTalk`: several connections handled as one."""

import itertools
from collections.abc import AsyncGenerator, Iterable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Self

from actors.talk.context import Condition, Transform
from actors.talk.talk_stats import AggregatedTalkStats
from actors.talk.transform import Message
from protocols.errors import TalkError
from protocols.node import Target


class TeamTalk(list[Any]):
    """A list of connections. An operation on it applies to each one. It may hold other lists of its kind.

    Example:
        ```python
        talks = a >> [b, c] >> d      # a>b, a>c, b>d, c>d
        talks.when(lambda context: len(context.message.text) < 100)
        print(len(talks), talks.stats.message_count)
        ```
    """

    def __init__(self, talks: Iterable[Any] = (), *, ends: Iterable[Target] | None = None) -> None:
        """Make a list of connections.

        Args:
            talks: the connections: each a `Talk` or a `TeamTalk`.
            ends: the nodes that ``>>`` connects further; None for all targets.
        """
        super().__init__(talks)
        self._ends = None if ends is None else list(ends)

    @classmethod
    def from_nodes(cls, nodes: Sequence[Any], targets: Sequence[Any] | None = None) -> "TeamTalk":
        """Connect each node to all targets; without targets, each node to the next one."""
        if targets is not None:
            return cls(node.connect_to(list(targets)) for node in nodes)
        return cls(node.connect_to(following) for node, following in itertools.pairwise(nodes))

    def iter_talks(self) -> Iterator[Any]:
        """Yield the single connections, each a `Talk`."""
        for talk in self:
            if isinstance(talk, TeamTalk):
                yield from talk.iter_talks()
            else:
                yield talk

    def __rshift__(self, other: Any) -> "TeamTalk":
        return connect_further(self, self.targets if self._ends is None else self._ends, other)

    __hash__ = object.__hash__  # type: ignore[assignment] # a handle: found by identity, though it is a list

    def __repr__(self) -> str:
        return f"TeamTalk({super().__repr__()})"

    # -- look -----------------------------------------------------------------------------------------------------

    @property
    def targets(self) -> list[Target]:
        """The targets of all connections, each once."""
        return list(dict.fromkeys(target for talk in self.iter_talks() for target in talk.targets))

    @property
    def stats(self) -> AggregatedTalkStats:
        """The numbers of all connections together, live."""
        return AggregatedTalkStats(lambda: [talk.stats for talk in self.iter_talks()])

    @property
    def active(self) -> bool:
        """True if at least one connection is active."""
        return self.has_active_talks()

    def has_active_talks(self) -> bool:
        """Return True if at least one connection passes messages on."""
        return any(talk.active for talk in self.iter_talks())

    def get_active_talks(self) -> list[Any]:
        """Return the connections that pass messages on."""
        return [talk for talk in self.iter_talks() if talk.active]

    # -- change ---------------------------------------------------------------------------------------------------

    async def trigger(self, prompt: str | None = None, **options: Any) -> list[Message]:
        """Trigger each queued connection and return all answers.

        Raises:
            NotQueuedError: no connection queues.
            Exception: the first failure of `Talk.trigger`, after all connections were triggered.
        """
        talks = list(self.iter_talks())
        queued = [talk for talk in talks if talk.queued] or talks
        answers: list[Message] = []
        failures: list[Exception] = []
        for talk in queued:
            try:
                answers += await talk.trigger(prompt, **options)
            except Exception as error:
                failures.append(error)
        if failures:
            raise failures[0]
        return answers

    def when(self, condition: Condition | None) -> Self:
        """Replace the filter of each connection; return the object itself."""
        for talk in self.iter_talks():
            talk.when(condition)
        return self

    def transform(self, function: Transform) -> Self:
        """Add a transform to each connection; return the object itself."""
        for talk in self.iter_talks():
            talk.transform(function)
        return self

    def disconnect(self) -> None:
        """End all connections."""
        for talk in self.iter_talks():
            talk.disconnect()

    @asynccontextmanager
    async def paused(self) -> AsyncGenerator[Self]:
        """Ignore messages on all connections while the block runs."""
        async with AsyncExitStack() as stack:
            for talk in self.iter_talks():
                await stack.enter_async_context(talk.paused())
            yield self


def connect_further(talks: Iterable[Any], ends: Iterable[Any], other: Any) -> TeamTalk:
    """Connect each end of some connections to `other`, and return all connections.

    A function becomes one node that all ends share.

    Raises:
        TalkError: an end cannot be connected.
    """
    made: list[Any] = []
    for end in dict.fromkeys(ends):
        if not callable(getattr(end, "connect_to", None)):
            message = f"cannot connect {end.name!r} to {other!r}: it has no connections of its own"
            raise TalkError(message, node=end.name)
        made.append(end.connect_to(list(made[0].targets) if made else other))
    return TeamTalk([*talks, *made], ends=TeamTalk(made).targets)
