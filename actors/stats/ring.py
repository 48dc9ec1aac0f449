"""A bounded list of the latest items that says how many it has let go."""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar, overload

T = TypeVar("T")

DEFAULT_CAPACITY = 1_000


class MessageRing(Sequence[T]):
    """The latest items, oldest first; when full, the oldest is dropped and counted.

    One thread or task may append while any number read: reading looks at a copy.

    Example:
        >>> ring = MessageRing("abcd", capacity=3)
        >>> list(ring), ring.dropped, ring.total
        (['b', 'c', 'd'], 1, 4)
    """

    __slots__ = ("_items", "_total")

    def __init__(self, items: Iterable[T] = (), *, capacity: int = DEFAULT_CAPACITY) -> None:
        """Start with *items*; ValueError when *capacity* is not positive."""
        if capacity < 1:
            msg = f"message ring: capacity must be at least 1, not {capacity!r}"
            raise ValueError(msg)
        self._items: deque[T] = deque(maxlen=capacity)
        self._total = 0
        self.extend(items)

    @property
    def capacity(self) -> int:
        """Items kept at most."""
        return self._items.maxlen or 0

    @property
    def total(self) -> int:
        """Items ever appended."""
        return self._total

    @property
    def dropped(self) -> int:
        """Items appended but no longer kept."""
        return max(0, self._total - len(self._items))

    def append(self, item: T) -> None:
        """Add one item; the oldest goes when the ring is full."""
        self._items.append(item)
        self._total += 1

    def extend(self, items: Iterable[T]) -> None:
        """Add items one by one."""
        for item in items:
            self.append(item)

    def clear(self) -> None:
        """Forget all items and start counting again."""
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
