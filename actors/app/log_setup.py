"""Log lines of the command line."""

import logging
import sys
from collections.abc import MutableMapping
from typing import Any

_SHOWN = ("actor crashed", "child given up", "child restarted", "dead letter")
"""Lines that the command line shows as events: failures, and the dead letters that come of them."""


def _drop_shown(_logger: Any, _level: str, fields: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    if str(fields["event"]).startswith(_SHOWN):
        from structlog import DropEvent

        raise DropEvent
    return fields


def configure_logging(*, debug: bool = False, warns: bool = False) -> None:
    """Send log lines to standard error as text; without `debug` only lines above the level ERROR.

    The command line itself shows each failure of a run or an actor, once and in words. No run shows a failure of
    history, of telemetry or of the engine's own work, so warnings of the first two and errors of the engine are always
    written. With `warns` the warnings of triggers and of the engine are as well.
    """
    import structlog  # with rich it takes as long as the whole pool, which does without it

    level = logging.DEBUG if debug else logging.CRITICAL
    logging.basicConfig(stream=sys.stderr, level=level, format="%(levelname)s %(name)s: %(message)s")
    for noisy in ("asyncio", "httpcore", "httpx"):
        logging.getLogger(noisy).setLevel(max(level, logging.INFO))
    for name in ("understage.history", "understage.telemetry", *(("understage",) if warns else ())):
        logging.getLogger(name).setLevel(min(level, logging.WARNING))
    engine_level = min(level, logging.WARNING if warns else logging.ERROR)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            *(() if debug else (_drop_shown,)),
            structlog.processors.TimeStamper(fmt="%H:%M:%S", utc=False),
            structlog.dev.ConsoleRenderer(colors=False),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(engine_level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
