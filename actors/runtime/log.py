"""Log lines of the engine, with a limit on repeated ones."""

import logging
from collections.abc import Callable
from typing import Any, Final

from protocols.errors import limited_text, type_name
from protocols.plain_text import printable

_BURST: Final = 10
"""Lines of one kind that are written before the rest of the window is only counted."""
_WINDOW: Final = 60.0
"""Seconds."""
_MOST_KINDS: Final = 512


_log = logging.getLogger("understage.engine")


def _write(level: int, event: str, fields: dict[str, Any]) -> None:
    _log.log(level, "%s", _plain(event, fields), extra={"event": event, **fields})


def _plain(event: str, fields: dict[str, Any]) -> str:
    """Return a line with its fields, for formats that show the message only."""
    told = (f"{name} {value}" for name, value in fields.items() if name != "system" and value not in ("", None))
    shown = ", ".join(told)
    return printable(f"{event}: {shown}" if shown else event)


class LimitedLogger:
    """Writes the log lines of one system."""

    def __init__(self, system: str) -> None:
        self._system = system
        self._seen: dict[tuple[str, str], tuple[float, int]] = {}
        self.on_failure: Callable[[BaseException], object] = lambda _: None
        """Gets what a log sink raised."""

    def line(self, level: int, event: str, **fields: Any) -> None:
        """Write one line. A broken log sink must not break an actor, so nothing is raised."""
        try:
            _write(level, event, {"system": self._system, **fields})
        except BaseException as error:  # a sink of the user
            self.on_failure(error)

    def limited(self, now: float, event: str, level: int = logging.WARNING, **fields: Any) -> None:
        """Write a line, at most 10 of one kind and actor in a minute; the next one says how many were left out."""
        key = (event, str(fields.get("actor", "")))
        began, count = self._seen.get(key, (now, 0))
        if now - began >= _WINDOW:
            if count > _BURST:
                self.line(level, f"{event}: repeated", left_out=count - _BURST, **fields)
            began, count = now, 0
        if count == 0 and len(self._seen) >= _MOST_KINDS:
            self._seen.clear()
        self._seen[key] = (began, count + 1)
        if count < _BURST:
            self.line(level, event, **fields)


def warn_once(text: str) -> None:
    """Log a warning. The same text is logged once in a process."""
    if text not in _warned and len(_warned) < _MOST_KINDS:
        _warned.add(text)
        logging.getLogger("understage").warning(text)


_warned: set[str] = set()


def error_line(error: BaseException, limit: int = 500) -> str:
    """Return the kind and the text of an error, as `error_text` does."""
    return f"{type_name(error)}: {limited_text(str, error, limit)}"
