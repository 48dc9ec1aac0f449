"""The messages of a model's run, also for a caller that wants them (`pydantic_ai.capture_run_messages`)."""

from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from typing import Any

import pydantic_ai
from pydantic_ai.messages import ModelMessage

from protocols.context import carry_as

_of_caller: ContextVar[Any] = ContextVar("understage_messages", default=None)
"""What the caller of the run captures messages with; under pydantic-ai's own name all runs of a team would find it."""


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
