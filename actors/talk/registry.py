"""The connections of one pool by name."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from actors.talk.signal import Signal
from protocols.errors import TalkNameError

if TYPE_CHECKING:
    from actors.talk.talk import Talk
    from actors.talk.talk_events import ConnectionProcessed
    from protocols.node import Target


def unique_name(wanted: str, taken: Mapping[str, object]) -> str:
    """Return the name, with ``_1``, ``_2``... behind it if it is taken."""
    if wanted not in taken:
        return wanted
    return next(f"{wanted}_{number}" for number in range(1, len(taken) + 2) if f"{wanted}_{number}" not in taken)


class TalkRegistry(Mapping[str, "Talk"]):
    """The connections of the nodes of one pool. A connection that ends leaves it."""

    def __init__(self) -> None:
        """Start empty."""
        self._talks: dict[str, Talk] = {}
        self.message_flow: Signal[ConnectionProcessed] = Signal("message_flow")
        """Called for every message that one of the connections handled."""

    def add(self, talk: "Talk", *, is_named: bool) -> None:
        """Take a connection in.

        Args:
            talk: the connection; its name is made unique unless somebody chose it.
            is_named: whether somebody chose its name.

        Raises:
            TalkNameError: a chosen name is taken.
        """
        if self._talks.get(talk.name) is talk:
            return
        if is_named and talk.name in self._talks:
            msg = f"a connection named {talk.name!r} is in the pool already; choose another name"
            raise TalkNameError(msg, node=talk.source.name)
        talk.name = unique_name(talk.name, self._talks)
        talk.registry = self
        self._talks[talk.name] = talk

    def remove(self, talk: "Talk") -> None:
        """Let a connection go; harmless when it is not here."""
        if self._talks.get(talk.name) is talk:
            del self._talks[talk.name]

    def redirect(self, old: "Target", new: "Target | None") -> None:
        """Have connections that lead to one node lead to another one, with what waits there for a trigger.

        Args:
            old: the node that goes.
            new: the node in its place; None for none: a connection with no other target ends.
        """
        for talk in tuple(self._talks.values()):
            if old not in talk.targets:
                continue
            if new is None and all(target is old for target in talk.targets):
                talk.disconnect()
            else:
                talk.redirect(old, new)

    def __getitem__(self, name: str) -> "Talk":
        return self._talks[name]

    def __iter__(self) -> Iterator[str]:
        return iter(tuple(self._talks))

    def __len__(self) -> int:
        return len(self._talks)
