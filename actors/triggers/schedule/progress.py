"""The progress of schedules on disk, so that a new process can make up for missed times."""

import logging
import os
import threading
from collections.abc import Collection
from pathlib import Path
from typing import Final

import msgspec

from protocols.triggers import TriggerError

_log: Final = logging.getLogger("understage")


class _Progress(msgspec.Struct, frozen=True):
    schedule: str
    served: float


class ScheduleProgress:
    """A small file with the last served time of each schedule. `open` and `keep` block; any thread may call them."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._times: dict[str, _Progress] = {}
        self._lock = threading.Lock()
        self._is_broken = False

    def open(self) -> None:
        """Read the file, and check that it can be written.

        Raises:
            TriggerError: The file cannot be written.
        """
        self._times = self._read()
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._write()
        except OSError as error:
            why = error.strerror or str(error)
            raise TriggerError(
                f"how far schedules have come cannot be kept in {str(self.path)!r}: {why}; change it, or 'storage'"
            ) from error

    def of(self, trigger: str, schedule: str) -> float | None:
        """Return the last time that a trigger has served; None if unknown, or for another schedule."""
        found = self._times.get(trigger)
        return found.served if found is not None and found.schedule == schedule else None

    def keep(self, trigger: str, schedule: str, served: float) -> None:
        """Write the last served time of a trigger. A failure is logged once."""
        with self._lock:
            self._times[trigger] = _Progress(schedule, served)
            self._write_safely()

    def forget_others(self, triggers: Collection[str]) -> None:
        """Forget triggers that are switched off or gone: they do not make up for that time."""
        with self._lock:
            gone = self._times.keys() - set(triggers)
            for name in gone:
                del self._times[name]
            if gone:
                self._write_safely()

    def _write_safely(self) -> None:
        try:
            self._write()
        except OSError:
            if not self._is_broken:
                _log.exception("how far schedules have come cannot be written; times may be missed over a restart")
            self._is_broken = True
        else:
            self._is_broken = False

    def _read(self) -> dict[str, _Progress]:
        try:
            return msgspec.json.decode(self.path.read_bytes(), type=dict[str, _Progress])
        except FileNotFoundError:
            return {}
        except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as error:
            _log.warning("%r does not say how far schedules have come (%s); they begin now", str(self.path), error)
            return {}

    def _write(self) -> None:
        fresh = self.path.with_name(f"{self.path.name}.{os.getpid()}")
        opened = os.open(fresh, os.O_CREAT | os.O_WRONLY | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
        with open(opened, "wb") as file:
            file.write(msgspec.json.encode(self._times))
        fresh.replace(self.path)
