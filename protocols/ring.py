"""A list of the latest items, bounded by count and by bytes, that counts the items it dropped."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from contextlib import suppress
from sys import getsizeof
from types import NoneType
from typing import Any, TypeVar, cast, overload

from protocols.messages import is_message

T = TypeVar("T")

DEFAULT_CAPACITY = 1_000
MOST_BYTES = 32 * 1024 * 1024
"""Bytes of text and data that a ring keeps by default."""
_LARGE = 32
_MOST_STEPS = 10_000  # what is larger is estimated
_TEXT = (str, bytes, bytearray)
_NOTHING = (int, float, NoneType)  # what weighs nothing
_FIELDS = ("__struct_fields__", "__dataclass_fields__", "__pydantic_fields__")


def weight(value: object) -> int:
    """Return about how many bytes of text and data a value holds. Actors, nodes and the like weigh nothing."""
    if is_message(value) and type(value.content) is str and not (value.messages or value.tool_calls or value.metadata):
        return getsizeof(value.content)  # nearly always, and the walk costs ten times as much
    total, steps, seen, stack = 0, 0, set[int](), [value]
    while stack and steps < _MOST_STEPS:
        item: Any = stack.pop()
        steps += 1
        if isinstance(item, _TEXT):
            total += getsizeof(item)
        elif not isinstance(item, _NOTHING) and id(item) not in seen:
            seen.add(id(item))
            with suppress(Exception):  # a property of the user's that raises, a container that changes meanwhile
                stack.extend(_parts(item))
    return total + total * len(stack) // max(1, steps)


def _parts(item: object) -> Iterable[object]:
    if isinstance(item, Mapping):
        pairs = cast("Mapping[object, object]", item)
        return (*pairs.keys(), *pairs.values())
    if isinstance(item, list | tuple | deque | Set):
        return cast("Iterable[object]", item)
    kind: Any = item.__class__
    for fields in _FIELDS:
        if hasattr(kind, fields):
            return [getattr(item, name, None) for name in getattr(kind, fields)]
    return [part for part in getattr(item, "__dict__", {}).values() if isinstance(part, _TEXT)]


class MessageRing(Sequence[T]):
    """The latest items, oldest first. A ring that is full, by count or by bytes, drops the oldest and counts them.

    The latest item stays, whatever its size. `shrink` is called for one of more than a 32nd of `most_bytes`.

    One thread or task may append while others read, because they read a copy.

    Example:
        >>> ring = MessageRing("abcd", capacity=3)
        >>> list(ring), ring.dropped, ring.total
        (['b', 'c', 'd'], 1, 4)
    """

    __slots__ = ("_bytes", "_items", "_most_bytes", "_shrink", "_sizes", "_total")

    def __init__(
        self,
        items: Iterable[T] = (),
        *,
        capacity: int = DEFAULT_CAPACITY,
        most_bytes: int = MOST_BYTES,
        shrink: Callable[[T], None] | None = None,
    ) -> None:
        if capacity < 1:
            raise ValueError(f"message ring: capacity must be at least 1, not {capacity!r}")
        self._items: deque[T] = deque(maxlen=capacity)
        self._sizes: deque[int] = deque()
        self._most_bytes, self._shrink = most_bytes, shrink
        self._total = self._bytes = 0
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
        items, sizes, size = self._items, self._sizes, weight(item)
        if self._shrink is not None and size > self._most_bytes // _LARGE:
            self._shrink(item)
            size = weight(item)
        sizes.append(size)
        self._bytes += sizes[-1]
        self._total += 1
        if len(items) == items.maxlen:
            self._bytes -= sizes.popleft()
        items.append(item)
        while self._bytes > self._most_bytes and len(items) > 1:
            self._bytes -= sizes.popleft()
            items.popleft()

    def extend(self, items: Iterable[T]) -> None:
        """Add items one by one."""
        for item in items:
            self.append(item)

    def clear(self) -> None:
        """Remove all items and set the counts to zero."""
        self._items.clear()
        self._sizes.clear()
        self._total = self._bytes = 0

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
