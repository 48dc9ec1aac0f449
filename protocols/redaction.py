"""Replace secrets, known or by their look, with ``***``."""

import json
import os
import re
from base64 import b64encode, urlsafe_b64encode
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from html import escape
from typing import Final
from urllib.parse import quote, quote_plus, urlsplit

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
        self._sorted: list[str] = []

    def begin(self, environment: Mapping[str, str] = os.environ) -> None:
        """Forget all secrets, then learn those of the environment."""
        self._secrets.clear()
        self.learn_environment(environment)

    def learn_environment(self, environment: Mapping[str, str] = os.environ) -> None:
        """Redact the variables of the environment with names of secrets from now on."""
        self.learn(value for name, value in environment.items() if any(word in name.upper() for word in _NAMES))

    def learn(self, secrets: Iterable[str]) -> None:
        """Redact these secrets from now on, also their words and the password of an address.

        A secret is also found as Python, JSON, HTML, addresses and base64 write it.
        """
        for secret in secrets:
            self._secrets.add(secret.strip())
            self._secrets.update(word for word in secret.split() if len(word) >= _SHORTEST_WORD)
            self._secrets.update(_passwords(secret))
        forms = {form for secret in self._secrets if len(secret) >= _SHORTEST for form in _forms(secret)}
        self._sorted = sorted(form for form in forms if len(form) >= _SHORTEST)
        longest_first = sorted(self._sorted, key=len, reverse=True)
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
        longest = min(len(text), max(map(len, self._sorted), default=0))
        for length in range(longest, _SHORTEST - 1, -1):
            end = text[-length:]
            place = bisect_left(self._sorted, end)
            if place < len(self._sorted) and self._sorted[place].startswith(end):
                return text[:-length] + MASK
        return text


def _forms(secret: str) -> Iterator[str]:
    """Yield a secret as others write it."""
    data = secret.encode("utf-8", "surrogatepass")
    yield secret
    yield repr(secret)[1:-1]
    yield repr(data)[2:-1]
    yield from (json.dumps(secret, ensure_ascii=is_ascii)[1:-1] for is_ascii in (True, False))
    yield escape(secret)
    for quoted in (quote(data), quote(data, safe=""), quote_plus(data)):
        yield quoted
        yield re.sub("%..", lambda found: found[0].lower(), quoted)
    if len(secret) >= _SHORTEST_WORD:
        for encode in (b64encode, urlsafe_b64encode):
            # In a longer text, the signs at both ends also hold bits of its neighbours.
            for before, cut in ((0, 0), (1, 2), (2, 3)):
                whole = (before + len(data)) * 8 // 6
                yield encode(bytes(before) + data)[cut:whole].decode()


def _passwords(secret: str) -> Iterable[str]:
    try:
        password = urlsplit(secret).password
    except ValueError:
        return ()
    return () if password is None else (password,)


redact: Final = Redaction()
"""The redaction of this process."""
