"""Where in a file something was written."""

from typing import NamedTuple


class Mark(NamedTuple):
    """A place in a source text; lines count from 1, and 0 stands for "not in any file"."""

    file: str
    """Name of the file as it was given, or a name in angle brackets for a text."""
    line: int
    """Line number from 1; 0 when the value was never written in a text."""


NOWHERE = Mark("", 0)
"""The mark of a value that no text contains."""
