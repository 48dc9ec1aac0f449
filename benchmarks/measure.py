"""What a contestant reads off its own process: memory, threads, open files."""

from __future__ import annotations

import gc
import os
import resource
import sys
import threading
from dataclasses import dataclass
from pathlib import Path

_STATM = Path("/proc/self/statm")
_FDS = Path("/proc/self/fd")


def resident_bytes() -> int:
    """Resident memory now, in bytes, after a garbage collection (the peak where /proc is missing)."""
    gc.collect()
    if not _STATM.exists():
        return peak_bytes()
    return int(_STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def peak_bytes() -> int:
    """Largest resident memory of this process so far, in bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def leave_out() -> None:
    """Have the garbage collector leave out what there is now, that is what the imports have left.

    Else each full collection looks through all of that, and falls upon whichever batch it pleases.
    """
    gc.collect()
    gc.freeze()


def open_files() -> int:
    """Open file descriptors (0 where /proc is missing)."""
    return len(list(_FDS.iterdir())) if _FDS.exists() else 0


@dataclass(frozen=True, slots=True)
class Footprint:
    """What a process holds at one moment."""

    resident: int
    """Bytes of resident memory."""
    threads: int
    """Living threads."""
    files: int
    """Open file descriptors."""

    @classmethod
    def now(cls) -> Footprint:
        """Take it now."""
        return cls(resident_bytes(), threading.active_count(), open_files())
