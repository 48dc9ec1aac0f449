"""SIGHUP asks `understage watch` for a reload from its first moment to its last; only a closed terminal ends it."""

import os
import signal
import sys
from collections.abc import Callable
from typing import Final


class ReloadSignal:
    """Hears SIGHUP. What comes before there is a pool is kept for it."""

    def __init__(self) -> None:
        self.has_come = False
        """True after the first signal."""
        self.heard: Callable[[], object] | None = None
        """Called at each signal, in the midst of any other work of the main thread; None before there is a pool."""
        self._has_terminal = False

    def listen(self) -> None:
        """Handle the signal until the end of the process. Only the main thread can."""
        self._has_terminal = os.isatty(sys.__stderr__.fileno()) if sys.__stderr__ is not None else False
        signal.signal(signal.SIGHUP, self._come)

    def _come(self, number: int, _frame: object) -> None:
        self.has_come = True
        if self.heard is not None:
            self.heard()
        elif self.is_terminal_gone():
            os._exit(128 + number)

    def is_terminal_gone(self) -> bool:
        """Return True if the process had a terminal that is closed now."""
        try:
            if self._has_terminal:
                os.close(os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY))
        except OSError:
            return True
        return False


reload_signal: Final = ReloadSignal()
"""That of the process."""
