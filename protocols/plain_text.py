"""Make foreign text, such as names and errors, safe to show in terminals, logs and diagrams."""

import re
from typing import Final

_HIDDEN: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
"""Control characters other than tab and line feed, and marks that change the direction of writing."""
_MERMAID: Final = str.maketrans(
    {"#": "#35;", '"': "#quot;", "<": "#lt;", ">": "#gt;", "&": "#amp;", "\n": " ", "\r": " "}
)


def visible(text: str) -> str:
    """Return the text without the characters that control a terminal."""
    return _HIDDEN.sub("", text)


def one_line(text: str) -> str:
    """Return the visible text as one line."""
    return " ".join(visible(text).split())


def printable(text: str) -> str:
    """Return the text with line breaks, control characters and lone surrogates as escapes."""
    if text.isprintable():
        return text
    return "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in text)


def mermaid_text(text: str) -> str:
    """Return the text quoted for a mermaid diagram. The text cannot end its label."""
    return f'"{text.translate(_MERMAID)}"'
