"""SIGHUP asks `understage watch` for a reload from its first moment to its last; it never ends the process."""

import signal
from collections.abc import Callable
from typing import Final


class ReloadSignal:
    """Hears SIGHUP. What comes before there is a pool is kept for it."""

    def __init__(self) -> None:
        self.has_come = False
        """True after the first signal."""
        self.heard: Callable[[], object] | None = None
        """Called at each signal, in the midst of any other work of the main thread."""

    def listen(self) -> None:
        """Handle the signal until the end of the process. Only the main thread can."""
        signal.signal(signal.SIGHUP, self._come)

    def _come(self, _number: int, _frame: object) -> None:
        self.has_come = True
        if self.heard is not None:
            self.heard()


reload_signal: Final = ReloadSignal()
"""That of the process."""
