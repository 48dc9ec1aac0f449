"""How far schedules have come, on disk, so that times that pass while no process runs can be made up for."""

from __future__ import annotations

import logging
import os
import threading
from typing import TYPE_CHECKING, Final

import msgspec

from protocols.triggers import TriggerError

if TYPE_CHECKING:
    from pathlib import Path

_log: Final = logging.getLogger("understudy")


class _Served(msgspec.Struct, frozen=True):
    schedule: str
    served: float


class ServedTimes:
    """A small file with the last time that each schedule has served. `open` and `keep` block; any thread may call."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._times: dict[str, _Served] = {}
        self._lock = threading.Lock()
        self._is_broken = False

    def open(self) -> None:
        """Read the file, and see that it can be written.

        Raises:
            TriggerError: It cannot be written.
        """
        self._times = self._read()
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._write()
        except OSError as error:
            why = error.strerror or str(error)
            msg = f"how far schedules have come cannot be kept in {str(self.path)!r}: {why}; change it, or 'storage'"
            raise TriggerError(msg) from error

    def of(self, trigger: str, schedule: str) -> float | None:
        """Return the last time that a trigger has served; None if it is not known, or was for another schedule."""
        found = self._times.get(trigger)
        return found.served if found is not None and found.schedule == schedule else None

    def keep(self, trigger: str, schedule: str, served: float) -> None:
        """Write down how far a trigger has come; that it cannot be written is logged once."""
        with self._lock:
            self._times[trigger] = _Served(schedule, served)
            try:
                self._write()
            except OSError:
                if not self._is_broken:
                    _log.exception("how far schedules have come cannot be written; times may be missed over a restart")
                self._is_broken = True
            else:
                self._is_broken = False

    def _read(self) -> dict[str, _Served]:
        try:
            return msgspec.json.decode(self.path.read_bytes(), type=dict[str, _Served])
        except FileNotFoundError:
            return {}
        except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as error:
            _log.warning("%r does not say how far schedules have come (%s); they begin now", str(self.path), error)
            return {}

    def _write(self) -> None:
        fresh = self.path.with_name(f"{self.path.name}.{os.getpid()}")
        opened = os.open(fresh, os.O_CREAT | os.O_WRONLY | os.O_TRUNC | getattr(os, "O_NOFOLLOW", 0), 0o600)
        with open(opened, "wb") as file:
            file.write(msgspec.json.encode(self._times))
        fresh.replace(self.path)
