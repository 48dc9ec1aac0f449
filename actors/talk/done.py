"""`Done`: what a method returns that has done its work, and may be awaited all the same."""

from collections.abc import Generator
from typing import Any


class Done:
    """Nothing to wait for: ``a.disconnect_all()`` and ``await a.disconnect_all()`` are the same."""

    __slots__ = ()

    def __await__(self) -> Generator[Any, None, None]:
        yield from ()
