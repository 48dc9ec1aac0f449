"""`TracedRun`: the span of one run, from the begin of its handler to its end."""

import asyncio
import json
from contextvars import Context
from time import time_ns
from typing import Any, Protocol

from opentelemetry.trace import Span, Status, StatusCode

import actors.telemetry.conventions as names
from actors.runtime.cell import Cell
from actors.runtime.phase import Phase
from protocols.content_text import value_text
from protocols.errors import limited_text, type_name
from protocols.messages import ChatMessage, is_message

_LONGEST = 100_000


class Runs(Protocol):
    """What knows the runs whose spans are open."""

    content: bool
    """True if the contents of messages are told."""
    crashed: "dict[str, list[TracedRun]]"
    """The runs that have crashed, by the actor for which its supervisor has not decided yet."""

    def decided(self, actor: str) -> None:
        """End the spans of the runs that crashed an actor."""

    def forget(self, run: "TracedRun") -> None:
        """Forget a run after the end of its span."""


class TracedRun:
    """A run that works now, or that has crashed its actor and waits for the decision of the supervisor."""

    __slots__ = ("_ended", "_runs", "cell", "request", "span")

    def __init__(self, runs: Runs, request: Any, cell: Cell | None, span: Span) -> None:
        self._runs = runs
        self._ended: int | None = None
        self.request = request
        self.cell = cell
        """The actor of the run; None for a run that has not begun."""
        self.span = span

    def event(self, name: str, **facts: Any) -> None:
        """Add a span event. Its attributes are named in `conventions`, in small letters."""
        if self.span.is_recording():
            self.span.add_event(name, {getattr(names, key.upper()): value for key, value in facts.items()})

    def end(self, answer: ChatMessage[Any] | None = None, error: BaseException | None = None) -> None:
        """End the span: with the answer, or with what ended the run."""
        if answer is not None:
            self._note_answer(answer)
        elif isinstance(error, Exception):
            self.fail(error)
        elif error is not None:
            self.event(names.CANCELLED)
        cell = self.cell
        is_crash = cell is not None and isinstance(error, (*self.request.node.crash_on, *cell.crash_on))
        if cell is None or not (is_crash or cell.phase is Phase.CRASHED):  # a crash ends the other runs as well
            self.close()
            return
        self.event(names.CRASH, actor=cell.name, incarnation=cell.incarnation)
        self._ended = time_ns()
        self._runs.crashed.setdefault(cell.name, []).append(self)  # until the supervisor has decided
        asyncio.get_running_loop().call_soon(self._resumed, cell, cell.incarnation, context=Context())

    def _resumed(self, cell: Cell, incarnation: int) -> None:
        """End the span if the supervisor lets the incarnation continue."""
        if cell.phase is Phase.RUNNING and cell.incarnation == incarnation:
            self._runs.decided(cell.name)

    def close(self) -> None:
        """End the span, as of the end of its run."""
        self.span.end(self._ended)
        self._runs.forget(self)

    def fail(self, error: BaseException) -> None:
        """Note the failure. Its text is content."""
        span, kind = self.span, type_name(error)
        if not span.is_recording():
            return
        span.set_attribute(names.ERROR_TYPE, kind)
        span.set_status(Status(StatusCode.ERROR, kind))
        told = {names.EXCEPTION_MESSAGE: limited_text(str, error, 1_000)} if self._runs.content else {}
        span.add_event(names.EXCEPTION, {names.EXCEPTION_TYPE: kind, **told})

    def _note_answer(self, answer: ChatMessage[Any]) -> None:
        span = self.span
        if not span.is_recording():
            return
        if answer.cost_info is not None and not self.request.node.counts_members:
            usage = answer.usage
            span.set_attributes({names.INPUT_TOKENS: usage.input_tokens, names.OUTPUT_TOKENS: usage.output_tokens})
        if self._runs.content:
            span.set_attribute(names.OUTPUT_MESSAGES, messages("assistant", answer))


def messages(role: str, *contents: object) -> str:
    """Return the texts of messages and prompts, cut to 100,000 characters, as JSON by the conventions. Cannot fail."""
    texts = [limited_text(_text_of, one, _LONGEST) for one in contents]
    return json.dumps([{"role": role, "parts": [{"type": "text", "content": text}]} for text in texts])


def _text_of(content: object) -> str:
    return content.text if is_message(content) else value_text(content)
