"""Read foreign text, and make it safe to show in terminals, logs and diagrams."""

import codecs
import re
from typing import Final

_HIDDEN: Final = r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]"
"""Control characters other than tab and line feed, and marks that change the direction of writing."""
_MERMAID: Final = str.maketrans(
    {"#": "#35;", '"': "#quot;", "<": "#lt;", ">": "#gt;", "&": "#amp;", "\n": " ", "\r": " "}
)

_PYTHON_ONLY: Final = frozenset(
    {"idna", "mbcs", "oem", "palmos", "punycode", "raw-unicode-escape", "undefined", "unicode-escape"}
)
"""Encodings that no other program declares. Some take quadratic time."""
_LONGEST_NAME: Final = 40


def text_encoding(charset: str) -> str | None:
    """Return the name of a declared charset; None for one that is unknown, slow, or not for text.

    Example:
        >>> text_encoding("Latin1"), text_encoding("punycode"), text_encoding("zip")
        ('iso8859-1', None, None)
    """
    if is_slow_charset(charset):
        return None
    try:
        name = codecs.lookup(charset).name
        "".encode(name)  # an encoding of bytes refuses text
    except (LookupError, ValueError):
        return None
    return name


def is_slow_charset(charset: str) -> bool:
    """Return True for an encoding of Python's own, which may take quadratic time, and for a name of absurd length."""
    try:
        return len(charset) > _LONGEST_NAME or codecs.lookup(charset).name.replace("_", "-") in _PYTHON_ONLY
    except (LookupError, ValueError):
        return False


def visible(text: str) -> str:
    """Return the text without the characters that control a terminal."""
    return re.sub(_HIDDEN, "", text)


def one_line(text: str) -> str:
    """Return the visible text as one line."""
    return " ".join(visible(text).split())


def size_text(size: int) -> str:
    """Return a number of bytes as people read it: ``3.2 MiB``."""
    for unit, step in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if size >= step:
            return f"{size / step:,.1f}".removesuffix(".0") + f" {unit}"
    return f"{size} bytes"


def printable(text: str) -> str:
    """Return the text with line breaks, control characters and lone surrogates as escapes."""
    if text.isprintable():
        return text
    return "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in text)


def mermaid_text(text: str) -> str:
    """Return the text quoted for a mermaid diagram. The text cannot end its label."""
    return f'"{text.translate(_MERMAID)}"'
