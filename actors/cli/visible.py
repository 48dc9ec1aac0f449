"""Text that somebody else wrote, for a terminal: nothing in it may move the cursor or turn the line around."""

from __future__ import annotations

import re
import sys
from typing import Final

_HIDDEN: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
"""Control characters but for tab and line feed, and marks that change the direction of writing."""


def visible(text: str) -> str:
    """Return the text without characters that a terminal obeys instead of showing them."""
    return _HIDDEN.sub("", text)


def for_stdout(text: str) -> str:
    """Return the text as it is for a file or a pipe, and only what can be seen for a terminal."""
    return visible(text) if sys.stdout is not None and sys.stdout.isatty() else text  # pyright: ignore[reportUnnecessaryComparison]
