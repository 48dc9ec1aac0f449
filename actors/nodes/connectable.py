"""Connecting nodes: ``a >> b`` and ``a.connect_to(b, ...)``."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeGuard, Unpack, cast, overload

from actors.nodes.operators import as_node
from actors.talk.connections import Connections, Done
from actors.talk.context import TALK_DEFAULTS, TalkKeywords
from actors.talk.talk import Talk
from actors.talk.talk_stats import AggregatedTalkStats
from actors.talk.team_talk import TeamTalk
from protocols.errors import NodeNotFoundError
from protocols.keywords import spelled_out
from protocols.node import Outlet, Target


class Connecting:
    """A node that can pass its answers on."""

    name: str
    outlets: dict[Outlet, None]
    _connections: Connections | None = None

    @property
    def talks(self) -> tuple[Outlet, ...]:
        """The connections that begin here, in order."""
        return tuple(self.outlets)

    @talks.setter
    def talks(self, talks: Iterable[Outlet]) -> None:
        self.outlets = dict.fromkeys(talks)

    @property
    def connections(self) -> Connections:
        """The connections that begin here."""
        if self._connections is None:
            self._connections = Connections(cast("Any", self))  # it is the whole node
        return self._connections

    @property
    def directory(self) -> Mapping[str, Any] | None:
        """The pool that the node itself is in; None for a node outside any pool."""
        return None if self._connections is None else self._connections.directory

    @property
    def connection_stats(self) -> AggregatedTalkStats:
        """The numbers of all connections that begin here, live."""
        return self.connections.stats

    @overload
    def connect_to(
        self, target: "list[Any] | tuple[Any, ...]", *, name: None = None, **options: Unpack[TalkKeywords]
    ) -> TeamTalk: ...
    @overload
    def connect_to(
        self,
        target: "str | Target | Callable[..., Any]",
        *,
        name: str | None = None,
        **options: Unpack[TalkKeywords],
    ) -> Talk: ...

    @spelled_out(TalkKeywords, TALK_DEFAULTS)
    def connect_to(
        self, target: object, *, name: str | None = None, **options: Unpack[TalkKeywords]
    ) -> Talk | TeamTalk:
        """Pass every answer of this node on to another one, from now on.

        Args:
            target: a node, a function (which becomes an agent), the name of a node of the pool, or a list of these,
                which makes one connection for each.
            name: unique; made from both ends by default.
            **options: kind, queue, conditions, transform and more; see `actors.talk.context.TalkSetting`.

        Raises:
            NodeNotFoundError: the name is unknown, or this node is outside any pool.
            ValueError: the target is neither a node nor a function nor a name.
            TalkError: the options cannot be used.
            TalkNameError: the name is taken.
        """
        return self.connections.create_connection(self._resolve_all(target), name=name, **options)

    def _resolve_all(self, target: object) -> Target | Sequence[Target]:
        taken: set[str] = set()
        every = target if _is_sequence(target) else (target,)
        if not all(isinstance(each, str) or _is_target(each) for each in every):  # functions need a name that is free
            taken = {self.name, *(each.name for each in self.connections.get_targets())}
        if not _is_sequence(target):
            return self._resolve(target, taken)
        found: list[Target] = []
        for each in target:
            found.append(self._resolve(each, taken))
            taken.add(found[-1].name)
        return found

    def _resolve(self, target: object, taken: Iterable[str]) -> Target:
        if not isinstance(target, str):
            return cast("Target", target if _is_target(target) else as_node(target, ">>", taken))
        directory = self.connections.directory
        if directory is None:
            text = f"no node {target!r}: {self.name!r} is in no pool, so it can be connected to nodes but not to names"
            raise NodeNotFoundError(text, node=target)
        if target not in directory:
            raise NodeNotFoundError.of(target, directory)
        return directory[target]

    def stop_passing_results_to(self, node: object) -> None:
        """End the connections to a node (or a name); harmless when there are none."""
        self.connections.disconnect(node)

    def disconnect_all(self) -> Done:
        """End all connections that begin here; done at once, and may be awaited."""
        return self.connections.disconnect_all()

    def __rshift__(self, other: Any) -> Any:
        return self.connections.create_connection(self._resolve_all(other))

    def __rrshift__(self, other: Any) -> Any:
        if _is_sequence(other):
            talks: list[Any] = [self.__rrshift__(source) for source in other]
            return TeamTalk(talks)
        source: Connecting = as_node(other, ">>", (self.name,))
        return source.connections.create_connection(cast("Target", self))


def _is_target(value: object) -> bool:
    return callable(getattr(value, "post", None))


def _is_sequence(value: object) -> TypeGuard[Sequence[object]]:
    return isinstance(value, list | tuple)
