"""Text that somebody else wrote, for a terminal: nothing in it may move the cursor or turn the line around."""

from __future__ import annotations

import sys

from protocols.plain_text import visible

__all__ = ["for_stdout", "visible"]


def for_stdout(text: str) -> str:
    """Return the text as it is for a file or a pipe, and only what can be seen for a terminal."""
    return visible(text) if sys.stdout is not None and sys.stdout.isatty() else text  # pyright: ignore[reportUnnecessaryComparison]
