"""The connections of one pool by name."""

from collections.abc import Iterator, Mapping
from typing import Any

from actors.talk.context import ConnectionProcessed
from actors.talk.signal import Signal
from protocols.errors import TalkNameError
from protocols.node import Target


def unique_name(wanted: str, taken: Mapping[str, object]) -> str:
    """Return the name, followed by ``_1``, ``_2``... if it is taken."""
    if wanted not in taken:
        return wanted
    return next(f"{wanted}_{number}" for number in range(1, len(taken) + 2) if f"{wanted}_{number}" not in taken)


class TalkRegistry(Mapping[str, Any]):
    """The connections of the nodes of one pool: a `Talk` by its name. A connection that ends leaves it."""

    def __init__(self) -> None:
        self._talks: dict[str, Any] = {}
        self.message_flow: Signal[ConnectionProcessed] = Signal("message_flow")
        """Called for every message that one of the connections handled."""

    def add(self, talk: Any, *, is_named: bool) -> None:
        """Add a connection.

        Args:
            talk: the connection. Its name is made unique unless a user chose it.
            is_named: True if a user chose the name.

        Raises:
            TalkNameError: a chosen name is taken.
        """
        if self._talks.get(talk.name) is talk:
            return
        if is_named and talk.name in self._talks:
            message = f"a connection named {talk.name!r} is in the pool already; choose another name"
            raise TalkNameError(message, node=talk.source.name)
        talk.name = unique_name(talk.name, self._talks)
        talk.registry, talk.message_flow = self, self.message_flow
        self._talks[talk.name] = talk

    def remove(self, talk: Any) -> None:
        """Remove a connection; harmless if it is not here."""
        known: Any = self._talks.get(talk.name)
        if known is talk:
            del self._talks[talk.name]

    def redirect(self, old: Target, new: Target | None) -> None:
        """Replace a target of all connections, with the messages that wait for it.

        Args:
            old: the node that goes.
            new: the node in its place; None for none. Then a connection without another target ends.
        """
        for talk in tuple(self._talks.values()):
            if old not in talk.targets:
                continue
            if new is None and all(target is old for target in talk.targets):
                talk.disconnect()
            else:
                talk.redirect(old, new)

    def __getitem__(self, name: str) -> Any:
        return self._talks[name]

    def __iter__(self) -> Iterator[str]:
        return iter(tuple(self._talks))

    def __len__(self) -> int:
        return len(self._talks)
