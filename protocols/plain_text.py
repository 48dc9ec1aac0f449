"""Text that somebody else wrote, such as names and errors, without what a screen would obey instead of showing it."""

import re
from typing import Final

_HIDDEN: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
"""Control characters but for tab and line feed, and marks that change the direction of writing."""


def visible(text: str) -> str:
    """Return the text without characters that a terminal obeys instead of showing them."""
    return _HIDDEN.sub("", text)


def one_line(text: str) -> str:
    """Return what is visible of the text as one line."""
    return " ".join(visible(text).split())
