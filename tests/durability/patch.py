"""Other code in place of ours. A life is a process of its own, so nothing is put back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


def patch(owner: Any, name: str, make: Callable[[Any], Any]) -> None:
    """Replace a function by what is made of it."""
    setattr(owner, name, make(getattr(owner, name)))
