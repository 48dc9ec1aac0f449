"""Log lines of the command line."""

import logging
import sys

_SHOWN = ("actor crashed", "child given up", "child restarted", "dead letter")
"""Lines that the command line shows as events: failures, and the dead letters that come of them."""


def _is_not_shown(line: logging.LogRecord) -> bool:
    return not line.getMessage().startswith(_SHOWN)


def configure_logging(*, debug: bool = False, warns: bool = False) -> None:
    """Send log lines to standard error as text; without `debug` only lines above the level ERROR.

    The command line itself shows each failure of a run or an actor, once and in words. No run shows a failure of
    history, of telemetry or of the engine's own work, so warnings of the first two and errors of the engine are always
    written. With `warns` the warnings of triggers and of the engine are as well.
    """
    level = logging.DEBUG if debug else logging.CRITICAL
    handler = logging.StreamHandler(sys.stderr)
    if not debug:
        handler.addFilter(_is_not_shown)
    logging.basicConfig(handlers=[handler], level=level, format="%(levelname)s %(name)s: %(message)s")
    for noisy in ("asyncio", "httpcore", "httpx"):
        logging.getLogger(noisy).setLevel(max(level, logging.INFO))
    least = logging.WARNING if warns else logging.ERROR
    logging.getLogger("understage").setLevel(min(level, logging.WARNING if warns else level))
    logging.getLogger("understage.engine").setLevel(min(level, least))
    for name in ("understage.history", "understage.telemetry"):
        logging.getLogger(name).setLevel(min(level, logging.WARNING))
