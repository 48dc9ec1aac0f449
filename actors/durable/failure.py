"""How a kept message ends whose run has failed."""

import asyncio
from collections.abc import Sequence
from typing import Final

from actors.runs.errors import ENGINE_ERRORS, run_failure
from actors.runtime.errors import AbandonedError, ActorCrashedError
from protocols.control import DeadLetterReason
from protocols.errors import NodeStoppedError, RunCancelledError, RunError
from protocols.journal import EndOutcome, Outcome

REASONS: Final[dict[EndOutcome, DeadLetterReason]] = {
    "failed": DeadLetterReason.FAILED,
    "crashed": DeadLetterReason.FAILED,
    "poison": DeadLetterReason.POISON,
    "undecodable": DeadLetterReason.UNDECODABLE,
}
"""The outcomes of messages that become dead letters, unless a caller gets the failure."""


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
    error.__cause__ = cause
    return error


def past_error(node: str, run_id: str, found: Outcome | None) -> RunError:
    """Return the error of a run that another process ended, or that the journal does not know."""
    if found is None:
        text = f"node {node!r}: run {run_id} is not in the journal: it was never accepted, or ended long ago"
        return RunError(text, node=node)
    why = f": {found.error}" if found.error else ""
    return RunError(f"node {node!r}: run {run_id} ended as {found.outcome!r}{why}", node=node)


def poison(node: str, attempts: int) -> RuntimeError:
    """Return the error of a message in whose deliveries the process died."""
    return RuntimeError(f"node {node!r}: the process died in each of {attempts} deliveries; it is not handled again")
