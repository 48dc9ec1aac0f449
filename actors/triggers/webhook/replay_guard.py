"""Identifiers of accepted webhooks: a bounded set that forgets what is too old to come again."""

import hashlib
from typing import Final

from actors.triggers.webhook.replay_journal import ReplayJournal

MOST_KEPT: Final = 500_000
"""Identifiers that are kept; some 120 bytes each."""
_BUCKET: Final = 10
"""Seconds: identifiers that expire within one bucket are forgotten together."""


class ReplayGuard:
    """Remembers an identifier until its request would be refused as too old.

    Example:
        >>> guard = ReplayGuard()
        >>> guard.remember("a", expires=100.0)
        >>> guard.knows("a", now=99.0), guard.knows("a", now=120.0)
        (True, False)
    """

    def __init__(self, capacity: int = MOST_KEPT, *, journal: ReplayJournal | None = None, scope: str = "") -> None:
        self._capacity = capacity
        self._known: set[bytes] = set()
        self._buckets: dict[int, list[bytes]] = {}
        self._journal = journal
        self._scope = hashlib.blake2b(scope.encode("utf-8", "surrogatepass"), digest_size=8).digest()
        for short, expires in journal.live(self._scope) if journal is not None else ():
            self._keep(short, expires)

    def knows(self, identifier: str, *, now: float) -> bool:
        """Return True if a request with this identifier was accepted before."""
        self._forget(now)
        return _short(identifier) in self._known

    @property
    def is_full(self) -> bool:
        """True if the capacity is reached. The guard forgets nothing early: that would allow replays."""
        return len(self._known) >= self._capacity

    def remember(self, identifier: str, *, expires: float) -> None:
        """Remember an accepted identifier for as long as a request with its timestamp is valid."""
        short = _short(identifier)
        if short not in self._known:
            self._keep(short, expires)
            if self._journal is not None:
                self._journal.add(self._scope, short, expires)

    def _keep(self, short: bytes, expires: float) -> None:
        self._known.add(short)
        self._buckets.setdefault(int(expires // _BUCKET) + 1, []).append(short)

    def __len__(self) -> int:
        return len(self._known)

    def _forget(self, now: float) -> None:
        for bucket in [bucket for bucket in self._buckets if bucket * _BUCKET < now]:
            self._known.difference_update(self._buckets.pop(bucket))


def _short(identifier: str) -> bytes:
    return hashlib.blake2b(identifier.encode("utf-8", "surrogatepass"), digest_size=16).digest()
