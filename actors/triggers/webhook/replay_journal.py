"""Accepted webhooks: none is accepted twice, not even by the next process. Every call of a journal blocks."""

import errno
import hashlib
import logging
import os
import struct
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from time import time as wall_time
from typing import Final

from protocols.triggers import TriggerError

MOST_KEPT: Final = 500_000
"""Identifiers that are kept; some 120 bytes each."""
_BUCKET: Final = 10
"""Seconds: identifiers that expire within one bucket are forgotten together."""
LONGEST_LIFE: Final = 86_400.0
"""Seconds after which a new file begins. The old one is removed when the next one is full: it has expired then."""
_HEAD: Final = struct.Struct("<24sd")
_RECORD: Final = struct.Struct("<8s16sd")
_MAGIC: Final = b"understage replays 1"
_FLAGS: Final = os.O_CREAT | os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC

_log: Final = logging.getLogger("understage")


class ReplayJournal:
    """A file of accepted identifiers, for one process at a time.

    A record is written before its request is answered. It outlives the process, but not a loss of power. After a failed
    write the file is removed, and the next process refuses requests that were signed before its start.
    """

    def __init__(self, path: Path, *, wall: Callable[[], float] = wall_time) -> None:
        self.path = path
        self.since = float(int(wall()))
        """The journal knows every accepted request that was signed later; set by `open`."""
        self._wall = wall
        self._older = path.with_name(f"{path.name}.1")
        self._file = -1
        self._began = 0.0
        self._live: dict[bytes, list[tuple[bytes, float]]] = {}

    def open(self) -> None:
        """Read the records that have not expired, and begin a new file with them.

        Raises:
            TriggerError: The file cannot be written, or belongs to another user.
        """
        now = self._wall()
        since, records = self._read(self.path)
        if since is not None:
            self.since = since
            records += self._read(self._older)[1]
        live = [record for record in records if record[2] >= now]
        for scope, short, expires in live:
            self._live.setdefault(scope, []).append((short, expires))
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            fresh = self.path.with_name(f"{self.path.name}.{os.getpid()}")
            self._begin(fresh)
            self._write(b"".join(_RECORD.pack(*record) for record in live))
            fresh.replace(self.path)
            self._older.unlink(missing_ok=True)
        except OSError as error:
            self.close()
            why = error.strerror or str(error)
            message = f"what webhooks accept cannot be kept in {str(self.path)!r}: {why}; change it, or 'storage'"
            raise TriggerError(message) from error

    def live(self, scope: bytes) -> list[tuple[bytes, float]]:
        """Return the identifiers of earlier processes that have not expired: digest and end of each."""
        return self._live.get(scope, [])

    def add(self, scope: bytes, short: bytes, expires: float) -> None:
        """Add one identifier."""
        if self._file < 0:
            return
        try:
            if self._wall() - self._began > LONGEST_LIFE:
                self.close()
                self.path.replace(self._older)
                self._begin(self.path)
            self._write(_RECORD.pack(scope, short, expires))
        except OSError:
            _log.exception(
                "what webhooks accept cannot be written any more; after a restart older requests are refused"
            )
            self.close()
            for path in (self.path, self._older):
                with suppress(OSError):
                    path.unlink(missing_ok=True)

    def close(self) -> None:
        """Close the file; harmless when it is closed."""
        opened, self._file = self._file, -1
        if opened >= 0:
            os.close(opened)

    def _begin(self, path: Path) -> None:
        self._file = os.open(path, _FLAGS, 0o600)
        self._began = self._wall()
        self._write(_HEAD.pack(_MAGIC, self.since))

    def _write(self, data: bytes) -> None:
        if os.write(self._file, data) != len(data):  # later records would not be found behind a torn one
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def _read(self, path: Path) -> tuple[float | None, list[tuple[bytes, bytes, float]]]:
        """Return the time since which no record is missing (None if unknown), and all records."""
        try:
            if path.stat().st_uid != os.geteuid():
                raise TriggerError(f"{str(path)!r} belongs to another user; remove it")
            data = path.read_bytes()
        except FileNotFoundError:
            return None, []
        except OSError as error:
            _log.warning("what webhooks accepted before cannot be read (%s); older requests are refused", error)
            return None, []
        if len(data) < _HEAD.size or _HEAD.unpack_from(data)[0].rstrip(b"\0") != _MAGIC:
            _log.warning("%r does not hold what webhooks accepted; older requests are refused", str(path))
            return None, []
        whole = (len(data) - _HEAD.size) // _RECORD.size  # the last one may be torn
        records = _RECORD.iter_unpack(data[_HEAD.size : _HEAD.size + whole * _RECORD.size])
        return float(_HEAD.unpack_from(data)[1]), list(records)


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
