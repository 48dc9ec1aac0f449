"""`TeamTalk`: several connections handled as one."""

import itertools
from collections.abc import AsyncGenerator, Iterable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any, Self

from actors.talk.chaining import connect_further
from actors.talk.context import Condition
from actors.talk.option import Transform
from actors.talk.talk_stats import AggregatedTalkStats
from actors.talk.transform import Message
from protocols.node import Target

if TYPE_CHECKING:
    from actors.talk.talk import Talk


class TeamTalk(list[Any]):
    """A list of connections; what is done to it is done to each. May hold others of its kind.

    Example:
        ```python
        talks = a >> [b, c] >> d      # a>b, a>c, b>d, c>d
        talks.when(lambda context: len(context.message.text) < 100)
        print(len(talks), talks.stats.message_count)
        ```
    """

    def __init__(self, talks: "Iterable[Talk | TeamTalk]" = (), *, ends: Iterable[Target] | None = None) -> None:
        """Take the connections, and the nodes from which ``>>`` goes on; None for all targets."""
        super().__init__(talks)
        self._ends = None if ends is None else list(ends)

    @classmethod
    def from_nodes(cls, nodes: Sequence[Any], targets: Sequence[Any] | None = None) -> "TeamTalk":
        """Connect each node to all targets; without targets, each node to the next one."""
        if targets is not None:
            return cls(node.connect_to(list(targets)) for node in nodes)
        return cls(node.connect_to(following) for node, following in itertools.pairwise(nodes))

    def iter_talks(self) -> "Iterator[Talk]":
        """Yield the single connections."""
        for talk in self:
            if isinstance(talk, TeamTalk):
                yield from talk.iter_talks()
            else:
                yield talk

    def __rshift__(self, other: Any) -> "TeamTalk":
        made = connect_further(self.targets if self._ends is None else self._ends, other)
        return TeamTalk([*self, *made], ends=TeamTalk(made).targets)

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
        """Whether at least one connection is."""
        return self.has_active_talks()

    def has_active_talks(self) -> bool:
        """Whether at least one connection passes messages on."""
        return any(talk.active for talk in self.iter_talks())

    def get_active_talks(self) -> "list[Talk]":
        """Return the connections that pass messages on."""
        return [talk for talk in self.iter_talks() if talk.active]

    # -- change ---------------------------------------------------------------------------------------------------

    async def trigger(self, prompt: str | None = None, **options: Any) -> list[Message]:
        """Trigger each queued connection and return all answers.

        Raises:
            NotQueuedError: none of them queues.
            Exception: the first failure of `Talk.trigger`, once all have been triggered.
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
        """Replace the filter of each connection; returns the object itself."""
        for talk in self.iter_talks():
            talk.when(condition)
        return self

    def transform(self, function: Transform) -> Self:
        """Add a transform to each connection; returns the object itself."""
        for talk in self.iter_talks():
            talk.transform(function)
        return self

    def disconnect(self) -> None:
        """End all connections."""
        for talk in self.iter_talks():
            talk.disconnect()

    @asynccontextmanager
    async def paused(self) -> AsyncGenerator[Self]:
        """Let messages pass by all connections while the block runs."""
        async with AsyncExitStack() as stack:
            for talk in self.iter_talks():
                await stack.enter_async_context(talk.paused())
            yield self
