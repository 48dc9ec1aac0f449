"""What is wrong with a manifest: one `Problem` per place, all of them in one `InvalidManifestError`."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from protocols.errors import ManifestError
from protocols.plain_text import printable

_VALUE_LIMIT = 60
_USER = re.compile(r"(?<=//)\S+(?=@)|(?<=[?&])[^=&\s]*(?:pass|secret|token|key)[^=&\s]*=[^&\s]+")  # of an address
_SECRET_WORDS = ("secret", "password", "passwd", "token", "api_key", "apikey", "authorization", "credential")
_SECRET_EXCEPTIONS = ("max_tokens", "token_threshold", "input_tokens", "output_tokens", "total_tokens", "tokens")

CONTAINERS = ("a map", "an empty map", "a list", "an empty list")
"""How `render_value` names values that have parts."""


class Mark(NamedTuple):
    """A place in a source text."""

    file: str
    """Name of the file as it was given, or a name in angle brackets for a text."""
    line: int
    """Line number from 1; 0 if no text contains the value."""


NOWHERE = Mark("", 0)
"""The mark of a value that no text contains."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong, with the place where it was written.

    Example:
        >>> print(Problem("expected text", Mark("agents.yml", 3), "agents.writer.model", "5"))
        agents.yml:3: agents.writer.model: expected text, got 5
    """

    message: str
    """What is wrong and what is expected."""
    mark: Mark = NOWHERE
    """File and line where the value was written, also when it was inherited."""
    path: str = ""
    """Keys that lead to the value, as in `agents.writer.connections[0].name`; empty for the whole file."""
    value: str | None = None
    """The value that was found: shortened, secrets masked; None where there is none."""

    @property
    def file(self) -> str:
        """Name of the file that holds the value; empty when no file does."""
        return self.mark.file

    @property
    def line(self) -> int:
        """Line of the value from 1; 0 when unknown."""
        return self.mark.line

    def __str__(self) -> str:
        """Render as `file:line: path: message, got value`."""
        place = f"{self.mark.file}:{self.mark.line}" if self.mark.line else self.mark.file
        found = "" if self.value is None or self.value in self.message else f", got {self.value}"
        return ": ".join(part for part in (place, self.path, f"{self.message}{found}") if part)


class InvalidManifestError(ManifestError):
    """Raised when a manifest cannot be read or is wrong; carries every problem that was found.

    Catch it as `ManifestError`. It is not raised for a node that fails to start later: that is the pool's error.
    """

    def __init__(self, problems: Sequence[Problem]) -> None:
        first = problems[0]
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems: tuple[Problem, ...] = tuple(problems)
        """All problems, in the order of the file."""
        self.file = first.mark.file or None
        self.key = first.path or None
        self.line = first.mark.line or None


def render_path(keys: Iterable[str | int]) -> str:
    """Write a key path the way people do: `agents.writer.tools[2]`; control characters are escaped."""
    text = ""
    for key in keys:
        shown = key if isinstance(key, int) else printable(key)
        text += f"[{shown}]" if isinstance(shown, int) else f".{shown}" if text else shown
    return text


def render_value(value: object, key: str | int = "") -> str:
    """Describe a value in one short line; maps and lists by their kind, secrets never."""
    if isinstance(value, dict):
        return CONTAINERS[0] if value else CONTAINERS[1]
    if isinstance(value, list | tuple):
        return CONTAINERS[2] if value else CONTAINERS[3]
    if isinstance(key, str) and is_secret(key):
        return "'***'"
    if value is None:
        return "nothing"
    if isinstance(value, str):
        value = _USER.sub("***", value)
    if isinstance(value, str) and len(value) > _VALUE_LIMIT:
        return repr(value[:_VALUE_LIMIT]) + "..."
    return repr(value)[: 2 * _VALUE_LIMIT]


def is_secret(key: str) -> bool:
    """Tell whether a key's value must never be shown."""
    lowered = key.lower().replace("-", "_")
    return lowered not in _SECRET_EXCEPTIONS and any(word in lowered for word in _SECRET_WORDS)
