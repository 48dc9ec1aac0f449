"""`Receives`: what a ref says of the messages that its actor takes, and of its replies."""

from typing import Protocol, TypeVar

M = TypeVar("M", contravariant=True)
R = TypeVar("R", covariant=True)


class Receives(Protocol[M, R]):
    """Any actor that takes messages of one type, and replies by another: ``ActorRef[Receives[Order, Bill]]``."""

    def on_receive(self, message: M, /) -> R:
        """Handle a message and return the reply."""
        ...
