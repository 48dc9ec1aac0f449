"""Log lines of the command line."""

import logging
import sys
from functools import cached_property

_SHOWN = ("actor crashed", "child given up", "child restarted", "dead letter")
"""Lines that the command line shows as events: failures, and the dead letters that come of them."""


def _is_not_shown(line: logging.LogRecord) -> bool:
    return not line.getMessage().startswith(_SHOWN)


class _Lines(logging.Formatter):
    """Has structlog format a line, with the time and the fields. Most commands write no line, and do not import it."""

    @cached_property
    def _formatter(self) -> logging.Formatter:
        import structlog

        return structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[
                structlog.contextvars.merge_contextvars,
                structlog.stdlib.add_log_level,
                structlog.stdlib.add_logger_name,
                structlog.stdlib.ExtraAdder(),
                structlog.processors.TimeStamper(fmt="%H:%M:%S", utc=False),
            ],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.dev.ConsoleRenderer(
                    colors=False, repr_native_str=True, exception_formatter=structlog.dev.plain_traceback
                ),
            ],
        )

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        return self._formatter.format(record)


def configure_logging(*, debug: bool = False, warns: bool = False) -> None:
    """Send log lines to standard error as text; without `debug` only lines above the level ERROR.

    The command line itself shows each failure of a run or an actor, once and in words. No run shows a failure of
    history, of telemetry or of the engine's own work, so warnings of the first two and errors of the engine are always
    written. With `warns` the warnings of triggers and of the engine are as well.
    """
    level = logging.DEBUG if debug else logging.CRITICAL
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Lines())
    if not debug:
        handler.addFilter(_is_not_shown)
    logging.basicConfig(handlers=[handler], level=level)
    for noisy in ("asyncio", "httpcore", "httpx"):
        logging.getLogger(noisy).setLevel(max(level, logging.INFO))
    least = logging.WARNING if warns else logging.ERROR
    logging.getLogger("understage").setLevel(min(level, logging.WARNING if warns else level))
    logging.getLogger("understage.engine").setLevel(min(level, least))
    for name in ("understage.history", "understage.telemetry"):
        logging.getLogger(name).setLevel(min(level, logging.WARNING))
