"""Errors of the engine about a run, in the words of a run."""

from actors.runtime.errors import (
    AbandonedError,
    ActorCrashedError,
    ActorStoppingError,
    AskTimeoutError,
    RuntimeClosedError,
)
from protocols.errors import NodeStoppedError, RunCancelledError, RunTimeoutError

ENGINE_ERRORS = (AskTimeoutError, ActorStoppingError, ActorCrashedError, AbandonedError, RuntimeClosedError)
"""What an ask may raise that the run itself did not."""


def run_failure(error: Exception, node: str, timeout: float | None) -> Exception:
    """Return what the caller of a run gets for what the engine said about its ask.

    An exception that the run itself raised carries a note of its node, and is returned as it is: so is the timeout of
    an ask that a callable made to somebody else.
    """
    if getattr(error, "__notes__", None):
        return error
    if isinstance(error, AskTimeoutError):
        within = "its caller's time" if timeout is None else f"{timeout} s"
        text = f"node {node!r}: the run was not finished within {within} and has been cancelled; raise timeout="
        return RunTimeoutError(text, node=node)
    if isinstance(error, ActorCrashedError) and error.__cause__ is not None:
        return error
    if isinstance(error, ActorCrashedError | AbandonedError):
        return RunCancelledError(f"node {node!r} was stopped while it worked", node=node)
    return stopped(node)


def stopped(node: str) -> NodeStoppedError:
    """Return the error of a node that takes no runs any more."""
    return NodeStoppedError(f"node {node!r} has been stopped and takes no runs", node=node)


def member_failure(error: Exception, node: str, timeout: float | None) -> Exception:
    """Return what a team notes for what a member's ask raised; what the member itself raised stays as it is."""
    if isinstance(error, AskTimeoutError | ActorStoppingError | ActorCrashedError):
        return run_failure(error, node, timeout)
    return error


def failed_step(error: Exception) -> str:
    """Return which member of a chain raised an exception; empty when it was none."""
    return str(getattr(error, "failed_step", ""))
