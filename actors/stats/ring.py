"""A bounded list of the latest items that counts the items it dropped."""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar, overload

T = TypeVar("T")

DEFAULT_CAPACITY = 1_000


class MessageRing(Sequence[T]):
    """The latest items, oldest first. A full ring drops the oldest item and counts it.

    One thread or task may append while others read, because they read a copy.

    Example:
        >>> ring = MessageRing("abcd", capacity=3)
        >>> list(ring), ring.dropped, ring.total
        (['b', 'c', 'd'], 1, 4)
    """

    __slots__ = ("_items", "_total")

    def __init__(self, items: Iterable[T] = (), *, capacity: int = DEFAULT_CAPACITY) -> None:
        if capacity < 1:
            message = f"message ring: capacity must be at least 1, not {capacity!r}"
            raise ValueError(message)
        self._items: deque[T] = deque(maxlen=capacity)
        self._total = 0
        self.extend(items)

    @property
    def capacity(self) -> int:
        """Most items that are kept."""
        return self._items.maxlen or 0

    @property
    def total(self) -> int:
        """Number of items ever appended."""
        return self._total

    @property
    def dropped(self) -> int:
        """Number of items that were dropped."""
        return max(0, self._total - len(self._items))

    def append(self, item: T) -> None:
        """Add one item; a full ring drops the oldest."""
        self._items.append(item)
        self._total += 1

    def extend(self, items: Iterable[T]) -> None:
        """Add items one by one."""
        for item in items:
            self.append(item)

    def clear(self) -> None:
        """Remove all items and set the counts to zero."""
        self._items.clear()
        self._total = 0

    def __len__(self) -> int:
        return len(self._items)

    def __iter__(self) -> Iterator[T]:
        return iter(self._items.copy())

    @overload
    def __getitem__(self, index: int) -> T: ...
    @overload
    def __getitem__(self, index: slice) -> list[T]: ...
    def __getitem__(self, index: int | slice) -> T | list[T]:
        return list(self)[index] if isinstance(index, slice) else self._items[index]

    def __repr__(self) -> str:
        return f"MessageRing({len(self)} of {self.total}, capacity={self.capacity})"
