"""Translates errors of the engine into errors of a run."""

from actors.runtime.errors import (
    AbandonedError,
    ActorCrashedError,
    ActorStoppingError,
    AskTimeoutError,
    RuntimeClosedError,
)
from protocols.errors import NodeStoppedError, RunCancelledError, RunTimeoutError

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
        within = "its caller's time" if timeout is None else f"{timeout} s"
        text = f"node {node!r}: the run was not finished within {within} and has been cancelled; raise timeout="
        return RunTimeoutError(text, node=node)
    if isinstance(error, ActorCrashedError) and error.__cause__ is not None:
        return error
    if isinstance(error, ActorCrashedError | AbandonedError):
        return RunCancelledError(f"node {node!r} was stopped while it worked", node=node)
    return stopped(node)


def stopped(node: str) -> NodeStoppedError:
    """Return the error of a node that accepts no more runs."""
    return NodeStoppedError(f"node {node!r} has been stopped and takes no runs", node=node)


def member_failure(error: Exception, node: str, timeout: float | None) -> Exception:
    """Return the error that a team notes for a failed ask of a member. An exception of the member stays as it is."""
    if isinstance(error, AskTimeoutError | ActorStoppingError | ActorCrashedError):
        return run_failure(error, node, timeout)
    return error


def failed_step(error: Exception) -> str:
    """Return the member of a chain that raised the exception. Empty if no member did."""
    return str(getattr(error, "failed_step", ""))
