"""Translates errors of the engine into errors of a run."""

from actors.runtime.errors import (
    AbandonedError,
    ActorCrashedError,
    ActorStoppingError,
    AskTimeoutError,
    RuntimeClosedError,
)
from protocols.errors import NodeStoppedError, RunCancelledError, RunTimeoutError, cause_text

ENGINE_ERRORS = (AskTimeoutError, ActorStoppingError, ActorCrashedError, AbandonedError, RuntimeClosedError)
"""Errors that an ask raises and the run itself does not."""


def run_failure(error: Exception, node: str, timeout: float | None) -> Exception:
    """Return the error that the caller of a run gets for an error of the engine.

    An exception of the run itself carries a note of its node, and stays as it is. So does the timeout of an ask that a
    callable made to another actor.
    """
    if getattr(error, "__notes__", None):
        return error
    if isinstance(error, AskTimeoutError):
        within = "its caller's time" if timeout is None or error.is_rest else f"{timeout} s"
        text = f"node {node!r}: the run was not finished within {within} and has been cancelled; raise timeout="
        if error.at_work:
            text += f"; at work: {error.at_work}"
        return RunTimeoutError(text, node=node)
    if isinstance(error, ActorCrashedError) and error.__cause__ is not None:
        return error
    if isinstance(error, ActorCrashedError | AbandonedError):
        return RunCancelledError(f"node {node!r} was stopped while it worked", node=node)
    return stopped(node, error.__cause__)


def stopped(node: str, cause: BaseException | None = None) -> NodeStoppedError:
    """Return the error of a node that accepts no more runs, because of a failure or by wish."""
    why = "" if cause is None else f": {cause_text(cause)}"
    error = NodeStoppedError(f"node {node!r} has been stopped and takes no runs{why}", node=node)
    error.__cause__ = cause
    return error


def member_failure(error: Exception, node: str, timeout: float | None) -> Exception:
    """Return the error that a team notes for a failed ask of a member. An exception of the member stays as it is."""
    if isinstance(error, AskTimeoutError | ActorStoppingError | ActorCrashedError):
        return run_failure(error, node, timeout)
    return error
