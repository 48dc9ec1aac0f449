"""What a log line or an event about a message says apart from the actor: its run, and its sender's log context."""

import logging
from typing import Any, Final

from actors.runtime.cell import Cell
from actors.runtime.envelope import Envelope
from protocols.errors import type_name

_PREFIX: Final = "structlog_"
"""How structlog names the context variables of `bind_contextvars`."""
_OWN: Final = frozenset({"actor", "error", "event", "level", "now", "system", "incarnation", "message_type"})
_RECORD: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime"}
_TAKEN: Final = _OWN | _RECORD
"""Fields that the engine or `logging` fills in; the context of a sender cannot replace them."""


def run_of(message: object) -> str:
    """Return the run that a message belongs to (its attribute ``run_id``), empty if to none. It cannot fail."""
    try:
        run_id = getattr(message, "run_id", "")
    except BaseException:  # an attribute may be a property of the user, which may raise anything
        return ""
    return run_id if isinstance(run_id, str) else ""


def log_context(envelope: Envelope) -> dict[str, Any]:
    """Return the fields for a log line: what the sender had bound with structlog, and the run if there is one."""
    bound = {
        variable.name.removeprefix(_PREFIX): value
        for variable, value in envelope.carried or ()
        if variable.name.startswith(_PREFIX) and value is not ...
    }
    fields = {name: value for name, value in bound.items() if name not in _TAKEN}
    run_id = run_of(envelope.message)
    return {**fields, "run_id": run_id} if run_id else fields


def report_about(event: str, cell: Cell, envelope: Envelope | None, error: BaseException | None) -> None:
    """Write an error line about an actor and the message that it was handling."""
    context = {} if envelope is None else log_context(envelope)
    kind = "" if envelope is None else type_name(envelope.message)
    cell.system.report(event, cell, error=error, message_type=kind, incarnation=cell.incarnation, **context)
