"""What the engine's own steps raise: judged in one place, so one broken actor never takes the others along."""

import logging
from collections.abc import Callable
from contextlib import suppress
from traceback import walk_tb

from actors.runtime.cell import Cell
from actors.runtime.crash import broken
from actors.runtime.envelope import SETTLED, Envelope
from actors.runtime.outcome import answer_error, answerable
from actors.runtime.phase import Phase
from actors.runtime.termination import terminate
from protocols.control import DeadLetterReason, ExitReason


def fault(cell: Cell, envelope: Envelope | None, error: BaseException) -> None:
    """Report an engine fault, answer the message, and crash the actor; one that cannot crash ends at once.

    It raises nothing, because nothing is left that could judge it.
    """
    system = cell.system
    _attempt(lambda: system.report("engine fault", cell, error=error, at=_place(error)))
    _attempt(lambda: system.note_base_exception(error))
    if envelope is not None and envelope.accepted:
        _attempt(lambda: _settle(envelope, error))
    if not _attempt(lambda: broken(cell, error, envelope if envelope is not None and envelope.accepted else None)):
        _attempt(lambda: terminate(cell, ExitReason.CRASH, error))
        cell.phase = Phase.STOPPED


def _attempt(action: Callable[[], object]) -> bool:
    try:
        action()
    except BaseException:  # the engine is broken here; what follows matters more
        with suppress(BaseException):  # a log sink of the user
            logging.getLogger("understage").exception("a fault within an engine fault")
        return False
    return True


def _settle(envelope: Envelope, error: BaseException) -> None:
    is_open = envelope.state != SETTLED
    if is_open:
        envelope.cell.failed += 1
        envelope.state = SETTLED
    if is_open if envelope.reply is None else not envelope.reply.done():
        answer_error(envelope, answerable(envelope, error), DeadLetterReason.FAILED)


def _place(error: BaseException) -> str:
    frames = [f"{frame.f_code.co_name}:{line}" for frame, line in walk_tb(error.__traceback__)]
    return frames[-1] if frames else ""
