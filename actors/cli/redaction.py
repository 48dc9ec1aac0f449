"""Replace secrets, known or by their look, with ``***``."""

import os
import re
import sys
from collections.abc import Iterable, Mapping
from typing import Any, Final, TextIO
from urllib.parse import urlsplit

from protocols.plain_text import one_line as _as_line
from protocols.plain_text import visible

MASK: Final = "***"
_SHORTEST: Final = 4
"""A shorter text is not a secret: it would be found in other words."""
_SHORTEST_WORD: Final = 8
"""Characters of a word inside a secret that is secret by itself, as in ``Bearer abcdefgh``."""
_CUT: Final = "…"
"""The mark at which the engine cuts long texts."""
_NAMES: Final = ("KEY", "TOKEN", "SECRET", "PASSWORD", "PASSWD", "CREDENTIAL", "DSN")
_LOOKS: Final = (
    (re.compile(r"//[^/@\s]+@"), f"//{MASK}@"),  # user and password in an address
    (re.compile(r"(?i)([?&](?:api_?key|key|token|access_token|secret|password|signature)=)[^&\s\"']+"), rf"\1{MASK}"),
    (re.compile(r"(?i)\b(bearer|basic)\s+[a-z0-9._~+/=-]{8,}"), rf"\1 {MASK}"),
    (re.compile(r"\bsk-[A-Za-z0-9_-]{8,}"), MASK),
)


class Redaction:
    """Knows secrets, and replaces them."""

    def __init__(self) -> None:
        self._known: re.Pattern[str] | None = None
        self._secrets: set[str] = set()

    def begin(self, environment: Mapping[str, str] = os.environ) -> None:
        """Forget all secrets, then learn the variables of the environment with names of secrets."""
        self._secrets.clear()
        self._known = None
        self.learn(value for name, value in environment.items() if any(word in name.upper() for word in _NAMES))

    def learn(self, secrets: Iterable[str]) -> None:
        """Redact these secrets from now on, also their words and the password of an address."""
        for secret in secrets:
            self._secrets.add(secret.strip())
            self._secrets.update(word for word in secret.split() if len(word) >= _SHORTEST_WORD)
            self._secrets.update(_passwords(secret))
        longest_first = sorted((one for one in self._secrets if len(one) >= _SHORTEST), key=len, reverse=True)
        self._known = re.compile("|".join(map(re.escape, longest_first))) if longest_first else None

    def __call__(self, text: str) -> str:
        """Return the text without secrets."""
        if self._known is not None:
            text = self._known.sub(MASK, text)
        if _CUT in text:
            text = _CUT.join([*map(self._without_beginning, (parts := text.split(_CUT))[:-1]), parts[-1]])
        for pattern, replacement in _LOOKS:
            text = pattern.sub(replacement, text)
        return text

    def _without_beginning(self, text: str) -> str:
        """Return a cut text without the beginning of a secret at its end."""
        for secret in self._secrets:
            for length in range(len(secret) - 1, _SHORTEST - 1, -1):
                if text.endswith(secret[:length]):
                    return text[:-length] + MASK
        return text


def _passwords(secret: str) -> Iterable[str]:
    try:
        password = urlsplit(secret).password
    except ValueError:
        return ()
    return () if password is None else (password,)


redact: Final = Redaction()
"""The redaction of this process."""


def presentable(text: str) -> str:
    """Return a text without secrets and control characters."""
    return visible(redact(text))


def one_line(text: str) -> str:
    """Return the same as one line."""
    return _as_line(redact(text))


def for_stdout(text: str) -> str:
    """Return the text unchanged for a file or a pipe, and only its visible characters for a terminal."""
    return visible(text) if sys.stdout is not None and sys.stdout.isatty() else text  # pyright: ignore[reportUnnecessaryComparison]


class RedactedStream:
    """A stream, such as standard error, that redacts what is written to it."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write a text that does not end within a secret."""
        self._stream.write(redact(text))
        return len(text)

    def flush(self) -> None:
        """Flush the stream."""
        self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
