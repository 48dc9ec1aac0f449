"""The messages of a model's run, also for a caller that wants them (`pydantic_ai.capture_run_messages`)."""

from collections.abc import Generator, Sequence, Set
from contextlib import contextmanager, suppress
from contextvars import ContextVar, copy_context
from typing import Any, Final

import pydantic_ai
from pydantic_ai.exceptions import RunCancelled
from pydantic_ai.messages import ModelMessage, ModelRequest, ToolReturnPart
from pydantic_ai.run import AgentRunResult

from protocols.context import carry_as
from protocols.errors import RunCancelledError

_of_caller: ContextVar[Any] = ContextVar("understage_messages", default=None)
"""What the caller of the run captures messages with; under pydantic-ai's own name all runs of a team would find it."""

_MOST: Final = 1_000
"""Messages that an error carries."""


def _variable_of_capture() -> ContextVar[Any]:
    """Return the variable in which pydantic-ai keeps the messages, which has no public name."""
    with pydantic_ai.capture_run_messages() as messages:
        return next(one for one, value in copy_context().items() if getattr(value, "messages", None) is messages)


_capture = _variable_of_capture()
carry_as(_capture, _of_caller)


@contextmanager
def captured_messages() -> Generator[list[ModelMessage]]:
    """Collect the messages of one run. As in pydantic-ai, the caller gets those of the first run that it makes."""
    outer = _of_caller.get()
    if outer is None or outer.used:
        with pydantic_ai.capture_run_messages() as messages:
            yield messages
        return
    outer.used = True
    token = _capture.set(type(outer)(outer.messages))
    try:
        yield outer.messages
    finally:
        _capture.reset(token)


class _Messages(tuple[ModelMessage, ...]):
    """What `note_messages` has given to an error."""

    __slots__ = ()


def note_messages(error: Exception, messages: Sequence[ModelMessage]) -> None:
    """Have an error carry the messages up to it as ``messages``, for ``message_history=``; not more than 1,000.

    An error that has messages of its own keeps them. One of a run inside gets those of the run around it.
    """
    known = getattr(error, "messages", ())
    if len(messages) <= _MOST and (known == () or isinstance(known, _Messages)):
        with suppress(AttributeError, TypeError):  # a class of C may take no attributes
            error.messages = _Messages(messages)  # type: ignore[attr-defined] # pyright: ignore[reportAttributeAccessIssue]


def cancelled_inside(error: Exception, messages: Sequence[ModelMessage], node: str) -> Exception:
    """Return our error for a run that was cancelled by ``RunContext.cancel``; any other error as it is.

    Args:
        error: what the run raised.
        messages: its messages.
        node: its node.
    """
    if isinstance(error, RunCancelled) and any(message.run_id == error.run_id for message in messages):
        return RunCancelledError(f"node {node!r}: the run was cancelled by a tool", node=node)
    return error


def finished(messages: Sequence[ModelMessage], attempts: Set[str | None]) -> list[ModelMessage]:
    """Return what another attempt can continue; nothing unless a call of a tool was finished in one of its attempts.

    An answer that no finished call belongs to is asked for again.
    """
    kept = list(messages)
    while kept and not (isinstance(kept[-1], ModelRequest) and kept[-1].parts):
        kept.pop()
    parts = (part for message in kept if message.run_id in attempts for part in message.parts)
    is_begun = any(isinstance(part, ToolReturnPart) and part.outcome == "success" for part in parts)
    return kept if is_begun else []


def messages_of_run(result: AgentRunResult[Any], attempts: Set[str | None]) -> list[ModelMessage]:
    """Return the messages of a run, those of the attempts that it continues included."""
    made = result.new_messages()
    if not attempts:
        return made
    runs = {*attempts, *(message.run_id for message in made)}
    return [message for message in result.all_messages() if message.run_id in runs]
