"""The outgoing connections of one node."""

from collections.abc import AsyncGenerator, Callable, Generator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Protocol, Self, Unpack

from actors.talk.context import TalkKeywords
from actors.talk.diagram import mermaid
from actors.talk.flow_tracker import FlowTracker
from actors.talk.registry import TalkRegistry, unique_name
from actors.talk.signal import Signal
from actors.talk.talk import Talk
from actors.talk.talk_stats import AggregatedTalkStats
from actors.talk.team_talk import TeamTalk
from actors.talk.transform import Message
from protocols.errors import TalkError, TalkNameError
from protocols.handle import Named
from protocols.node import Outlet, Target


class Source(Named, Protocol):
    """A node whose messages are passed on."""

    outlets: dict[Outlet, None]
    """Its connections, in order."""

    async def route(self, message: Message, *, wait: bool | None = None) -> None:
        """Give a message to the connections without running the node."""

    async def delivered(self) -> None:
        """Wait until all messages given to the connections are finished."""


class Done:
    """Nothing to wait for: ``a.disconnect_all()`` and ``await a.disconnect_all()`` are the same."""

    __slots__ = ()

    def __await__(self) -> Generator[Any, None, None]:
        yield from ()


class Connections:
    """The connections that begin at one node, in order of priority and then of creation.

    They may be made and ended while messages flow. A message that is being passed on keeps to the connections at its
    begin.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        self.registry: TalkRegistry | None = None
        """The connections of the node's pool."""
        self.directory: Mapping[str, Target] | None = None
        """The nodes of that pool by name, for ``a >> "name"``."""
        self.node_connected: Signal[Target] = Signal("node_connected")
        """Called with each new target."""
        self.connection_added: Signal[Talk] = Signal("connection_added")
        """Called with each new connection."""
        self._chosen: set[Talk] = set()
        self._by_name: dict[str, Talk] = {}
        self._waits: dict[str, bool] = {}

    # -- make -----------------------------------------------------------------------------------------------------

    def create_connection(
        self, target: Target | Sequence[Target], *, name: str | None = None, **options: Unpack[TalkKeywords]
    ) -> Talk | TeamTalk:
        """Connect the node to another one, or to several nodes, each by its own connection.

        Args:
            target: the node, or a sequence of nodes, which makes a `TeamTalk`.
            name: unique; only for a single node. By default made from both ends, with a number if it is taken.
            **options: see `TalkSetting`.

        Raises:
            TalkNameError: the name is taken.
            TalkError: a target is not a node, or the options are impossible.
        """
        if not isinstance(target, list | tuple):
            return self.attach(Talk(self._source, target, name=name, **options), is_named=name is not None)
        if not target:
            message = f"cannot connect {self._source.name!r} to nothing; name at least one target"
            raise TalkError(message, node=self._source.name)
        if name is not None:
            message = f"the name {name!r} cannot be that of {len(target)} connections; connect one by one to name them"
            raise TalkNameError(message, node=self._source.name)
        made = [Talk(self._source, each, **options) for each in target]
        return TeamTalk([self.attach(talk) for talk in made])

    def attach(self, talk: Talk, *, is_named: bool = False) -> Talk:
        """Give the node's messages to a connection from now on.

        Raises:
            TalkNameError: its name was chosen and is taken.
        """
        taken = self._taken(talk.name)
        if is_named and talk.name in taken:
            message = f"node {self._source.name!r} has a connection named {talk.name!r} already; choose another name"
            raise TalkNameError(message, node=self._source.name)
        if not is_named:
            talk.name = unique_name(talk.name, taken)
        if self.registry is not None:
            self.registry.add(talk, is_named=is_named)
        if is_named:
            self._chosen.add(talk)
        for target in talk.targets:
            talk.wait_for_completion = self._waits.get(target.name, talk.wait_for_completion)
        talk.on_disconnect = self._detach
        self._by_name[talk.name] = talk
        outlets = self._source.outlets
        before = next(reversed(outlets), talk)
        outlets[talk] = None
        if _priority(before) > _priority(talk):
            self._source.outlets = dict.fromkeys(sorted(outlets, key=_priority))
        for target in talk.targets:
            self.node_connected.emit(target)
        self.connection_added.emit(talk)
        return talk

    def _taken(self, wanted: str) -> Mapping[str, Talk]:
        """Return the connections by name. They are read anew if one has left, was renamed, or may have the name."""
        if len(self._by_name) != len(self._source.outlets) or wanted in self._by_name:
            self._by_name = {each.name: each for each in self}
        return self._by_name

    def _detach(self, talk: Talk) -> None:
        self._source.outlets.pop(talk, None)
        self._by_name.pop(talk.name, None)
        self._chosen.discard(talk)
        if self.registry is not None:
            self.registry.remove(talk)

    def join(self, registry: TalkRegistry, directory: Mapping[str, Target]) -> Self:
        """Add the connections to those of a pool.

        Raises:
            TalkNameError: a connection's chosen name is taken in the pool.
        """
        self.registry, self.directory = registry, directory
        self._by_name.clear()  # the pool may rename them
        for talk in self:
            registry.add(talk, is_named=talk in self._chosen)
        return self

    def leave(self) -> None:
        """Remove the connections from those of the pool; they stay connected."""
        if self.registry is not None:
            for talk in self:
                self.registry.remove(talk)
                talk.registry = talk.message_flow = None
        self.registry = self.directory = None

    # -- look -----------------------------------------------------------------------------------------------------

    def __iter__(self) -> Iterator[Talk]:
        return (talk for talk in tuple(self._source.outlets) if isinstance(talk, Talk))

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __contains__(self, talk: object) -> bool:
        return any(each is talk for each in self)

    def get_connections(self, *, recursive: bool = False) -> list[Talk]:
        """Return the connections; with `recursive` also the connections of the targets, each once."""
        found = list(self)
        if recursive:
            for node in self.get_targets(recursive=True):
                if node.name != self._source.name:
                    found += _connections_of(node)
        return list(dict.fromkeys(found))

    def get_targets(self, *, recursive: bool = False) -> list[Target]:
        """Return the targets; with `recursive` also the targets of the targets."""
        found = dict.fromkeys(target for talk in self for target in talk.targets)
        if recursive:
            left = list(found)
            while left:
                node = left.pop(0)
                further = (target for talk in _connections_of(node) for target in talk.targets)
                fresh = [target for target in further if target not in found]
                found |= dict.fromkeys(fresh)
                left += fresh
        return list(found)

    def has_connection_to(self, node: object) -> bool:
        """Return True if messages go directly to a node."""
        return any(target is node for target in self.get_targets())

    @property
    def stats(self) -> AggregatedTalkStats:
        """The numbers of all connections together, live."""
        return AggregatedTalkStats(lambda: [talk.stats for talk in self])

    def get_mermaid_diagram(self, *, include_details: bool = True, recursive: bool = True) -> str:
        """Return the connections as the text of a mermaid flowchart.

        Args:
            include_details: write type, queue and conditions on the lines.
            recursive: include the connections of the targets.
        """
        return mermaid(self.get_connections(recursive=recursive), has_details=include_details)

    def track_message_flow(self) -> FlowTracker:
        """Return a recorder of the messages of these and all further connections, for ``async with``."""
        return FlowTracker(self.get_connections(recursive=True))

    # -- change ---------------------------------------------------------------------------------------------------

    async def route_message(self, message: Message, *, wait: bool | None = None) -> None:
        """Give a message to all connections, in their order, as if the node had answered it.

        Args:
            message: the message.
            wait: wait for all that it causes; None waits if a connection asks for it.
        """
        await self._source.route(message, wait=wait)

    async def wait_for_connections(self) -> None:
        """Wait until all messages that the node has passed on are finished, by indirect targets too."""
        await self._source.delivered()

    def set_wait_state(self, target: Target | str, wait: bool = True) -> None:
        """Set whether runs wait for the connections to a node, unless they say it themselves."""
        name = target if isinstance(target, str) else target.name
        self._waits[name] = wait
        for talk in self:
            if any(each.name == name for each in talk.targets):
                talk.wait_for_completion = wait

    async def trigger_all(self, prompt: str | None = None) -> dict[str, list[Message]]:
        """Trigger the queued connections and return their answers by name of connection."""
        return {talk.name: await talk.trigger(prompt) for talk in tuple(self) if talk.queued}

    async def trigger_for(self, target: Target | str, prompt: str | None = None) -> list[Message]:
        """Trigger the queued connections to one node and return its answers."""
        found = [talk for talk in self if talk.queued and any(target in (each, each.name) for each in talk.targets)]
        return [answer for talk in found for answer in await talk.trigger(prompt)]

    def disconnect(self, node: object) -> None:
        """End all connections to a node (or a name); harmless without any."""
        self._end(lambda talk: any(node is target or node == target.name for target in talk.targets))

    def disconnect_all(self) -> Done:
        """End all connections at once; the result may be awaited."""
        self._end(lambda _: True)
        return Done()

    def _end(self, is_meant: Callable[[Talk], bool]) -> None:
        for talk in tuple(self):
            if is_meant(talk):
                talk.disconnect()

    @asynccontextmanager
    async def paused_routing(self) -> AsyncGenerator[Self]:
        """Ignore messages on all connections while the block runs."""
        async with TeamTalk(self).paused():
            yield self

    def __repr__(self) -> str:
        return f"<Connections of {self._source.name!r}: {[talk.name for talk in self]}>"


def _priority(talk: Outlet) -> int:
    return getattr(talk, "priority", 0)


def _connections_of(node: object) -> Sequence[Talk]:
    return tuple(getattr(node, "connections", ()))
