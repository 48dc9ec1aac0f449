"""How a kept message ends whose run has failed."""

import asyncio
import builtins
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final, cast

import msgspec
from msgspec import Struct

from actors.durable.record import UndecodableError, opened, sealed
from actors.runs.errors import ENGINE_ERRORS, run_failure
from actors.runtime.errors import AbandonedError, ActorCrashedError, AskTimeoutError
from protocols import errors, model_errors
from protocols.control import DeadLetterReason
from protocols.errors import (
    NodeStoppedError,
    RemoteFailureError,
    RunCancelledError,
    RunError,
    UnderstageError,
    add_note,
    limited_text,
    type_name,
)
from protocols.journal import EndOutcome, Outcome

REASONS: Final[dict[EndOutcome, DeadLetterReason]] = {
    "failed": DeadLetterReason.FAILED,
    "crashed": DeadLetterReason.FAILED,
    "poison": DeadLetterReason.POISON,
    "undecodable": DeadLetterReason.UNDECODABLE,
}
"""The outcomes of messages that become dead letters, unless a caller gets the failure."""

_LONGEST: Final = 10_000
"""Signs of a text that crosses."""
_MOST_NOTES: Final = 20


def ending_of(
    error: BaseException, node: str, timeout: float | None, crash_on: Sequence[type[BaseException]]
) -> tuple[EndOutcome | None, BaseException]:
    """Return how a message ends by an error of its run, and what its caller gets; None if it stays open.

    A message stays open if its node was stopped before or while it handled the message.
    """
    failure = run_failure(error, node, timeout) if isinstance(error, ENGINE_ERRORS) else error
    is_ours = failure is not error
    if isinstance(error, AbandonedError) or (isinstance(error, ActorCrashedError) and not is_ours):
        return "crashed", failure
    is_stop = is_ours and isinstance(failure, NodeStoppedError | RunCancelledError)
    if is_stop or isinstance(error, asyncio.CancelledError):
        return None, left_open(node, failure.__cause__)
    if isinstance(failure, RunCancelledError):
        return "cancelled", failure
    return "crashed" if isinstance(failure, tuple(crash_on)) else "failed", failure


def left_open(node: str, cause: BaseException | None = None) -> NodeStoppedError:
    """Return the error of a run that is kept, because its node was stopped before the run was done."""
    text = f"node {node!r} has been stopped before the run was done; it is kept, and is done when the node runs again"
    error = NodeStoppedError(text, node=node)
    error.is_kept, error.__cause__ = True, cause
    return error


class FailureRecord(Struct, frozen=True, tag="failure"):
    """An error as another process gets it."""

    kind: str
    text: str
    notes: tuple[str, ...]
    step: str
    node: str | None


def encode_failure(error: BaseException) -> bytes:
    """Return class, text, notes and failed step of an error as bytes. It cannot fail."""
    given, step, node = (getattr(error, name, None) for name in ("__notes__", "failed_step", "node"))
    notes = cast("list[object]", given)[:_MOST_NOTES] if isinstance(given, list) else []
    what = error.args[0] if isinstance(error, KeyError) and error.args else error
    kept = FailureRecord(
        type_name(error),
        limited_text(str, what, _LONGEST) or type_name(error),
        tuple(limited_text(str, note, _LONGEST) for note in notes),
        _text(step) or "",
        _text(node),
    )
    return sealed(msgspec.msgpack.encode(kept))


def _text(value: object) -> str | None:
    return limited_text(str, value, _LONGEST) if isinstance(value, str) else None


def decode_failure(data: bytes) -> Exception:
    """Return the error that `encode_failure` was given: of its class if that is ours or Python's.

    Raises:
        UndecodableError: the data is damaged, or a newer version has written it.
    """
    try:
        kept = msgspec.msgpack.decode(opened(data), type=FailureRecord)
    except msgspec.MsgspecError as error:
        raise UndecodableError(f"a kept failure cannot be read: {error}") from None
    made = _made(kept)
    for note in kept.notes:
        add_note(made, note)
    if kept.step:
        made.failed_step = kept.step  # type: ignore[attr-defined] # pyright: ignore[reportAttributeAccessIssue] - as chains do
    return made


def _made(kept: FailureRecord) -> Exception:
    found: Any = getattr(errors, kept.kind, None) or getattr(model_errors, kept.kind, None)
    with suppress(Exception):  # a class that is made of more than a text, or that no future takes
        if isinstance(found, type) and issubclass(found, UnderstageError):
            return found(kept.text, node=kept.node)
        found = getattr(builtins, kept.kind, None)
        if (
            isinstance(found, type) and issubclass(found, Exception) and found is not StopIteration
        ):  # no future takes it
            return found(kept.text)
    error = RemoteFailureError(f"{kept.kind}: {kept.text}" if kept.kind else kept.text, node=kept.node)
    error.kind = kept.kind
    return error


def past_error(node: str, run_id: str, found: Outcome | None) -> Exception:
    """Return the error of a run that another process ended, or that the journal does not know."""
    if found is None:
        text = f"node {node!r}: run {run_id} is not in the journal: it was never accepted, or ended long ago"
        return RunError(text, node=node)
    if found.reply is not None:
        with suppress(UndecodableError):
            return decode_failure(found.reply)
    why = f": {found.error}" if found.error else ""
    return RunError(f"node {node!r}: run {run_id} ended as {found.outcome!r}{why}", node=node)


def ended_elsewhere(node: str, outcome: EndOutcome) -> BaseException:
    """Return the error of a run that its caller at another host has given up."""
    if outcome == "expired":
        return run_failure(AskTimeoutError("no reply in time"), node, None)
    return asyncio.CancelledError()


def poison(node: str, attempts: int) -> RuntimeError:
    """Return the error of a message in whose deliveries the process died."""
    return RuntimeError(f"node {node!r}: the process died in each of {attempts} deliveries; it is not handled again")
