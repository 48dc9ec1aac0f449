"""Log lines of the command line."""

import logging
import sys

import structlog


def configure_logging(*, debug: bool = False) -> None:
    """Send log lines to standard error as text; without `debug` only lines above the level ERROR.

    The command line itself shows each failure of a run or an actor, once and in words. No run shows a failure of
    history, so warnings of history are always written.
    """
    level = logging.DEBUG if debug else logging.CRITICAL
    logging.basicConfig(stream=sys.stderr, level=level, format="%(levelname)s %(name)s: %(message)s")
    for noisy in ("asyncio", "httpcore", "httpx"):
        logging.getLogger(noisy).setLevel(max(level, logging.INFO))
    logging.getLogger("understage.history").setLevel(min(level, logging.WARNING))
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="%H:%M:%S", utc=False),
            structlog.dev.ConsoleRenderer(colors=False),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
