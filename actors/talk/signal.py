"""Synchronous subscribers of a node or a connection. Their errors stop neither it nor the other subscribers."""

import logging
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")

_log = logging.getLogger("understage")


class Signal(Generic[T]):
    """Functions that are called with every value, in order. An exception of a function is logged.

    Example:
        >>> signal: Signal[str] = Signal("greeted")
        >>> unused = signal.connect(print)
        >>> signal.emit("hello")
        hello
    """

    __slots__ = ("name", "subscribers")

    def __init__(self, name: str) -> None:
        self.name = name
        self.subscribers: tuple[Callable[[T], object], ...] = ()

    def connect(self, subscriber: Callable[[T], object]) -> Callable[[T], object]:
        """Call the function with every value from now on; usable as a decorator."""
        self.subscribers = (*self.subscribers, subscriber)
        return subscriber

    def disconnect(self, subscriber: Callable[[T], object]) -> None:
        """Stop calling the function; harmless if it is not connected."""
        self.subscribers = tuple(one for one in self.subscribers if one != subscriber)

    def emit(self, value: T) -> None:
        """Call every subscriber."""
        for subscriber in self.subscribers:
            try:
                subscriber(value)
            except Exception:
                _log.exception("a subscriber of signal %s failed", self.name)
