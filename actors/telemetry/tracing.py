"""`Tracing`: one span for each run of a pool, with OpenTelemetry.

The span of a run begins when its handler begins, and whatever the handler sends carries it. So the spans form the tree
of the runs, over mailboxes, connections, queues and delays; a single message has no span.
"""

import asyncio
import contextvars
import json
from collections.abc import Callable, Sequence
from functools import partial
from importlib.util import find_spec
from time import time_ns
from typing import Any

from opentelemetry import trace
from opentelemetry.baggage import set_baggage
from opentelemetry.context import Context, attach
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

import actors.telemetry.conventions as names
from actors.runtime.cell import Cell
from actors.runtime.envelope import current
from actors.runtime.phase import Phase
from actors.runtime.system import ActorSystem
from actors.telemetry.instrumentation import ModelInstrumentation
from protocols.checks import is_a
from protocols.content_text import value_text
from protocols.context import trace_of
from protocols.errors import ConfigError, limited_text, type_name
from protocols.events import ActorRestarted, ActorStopped, DeadLetter, MailboxOverflow, RunRetried, StampedEvent
from protocols.messages import ChatMessage, is_message
from protocols.tracing import Headers

_EVENTS = (ActorRestarted, ActorStopped, DeadLetter, MailboxOverflow, RunRetried)
_PROPAGATOR = TraceContextTextMapPropagator()
_LONGEST = 100_000


class TracedRun:
    """A run that works now, or that has crashed its actor and waits for the decision of the supervisor."""

    __slots__ = ("_ended", "_tracing", "cell", "request", "span")

    def __init__(self, tracing: "Tracing", request: Any, cell: Cell | None, span: trace.Span) -> None:
        self._tracing = tracing
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
        self._tracing.crashed.setdefault(cell.name, []).append(self)  # until the supervisor has decided
        asyncio.get_running_loop().call_soon(self._resumed, cell, cell.incarnation, context=contextvars.Context())

    def _resumed(self, cell: Cell, incarnation: int) -> None:
        """End the span if the supervisor lets the incarnation continue."""
        if cell.phase is Phase.RUNNING and cell.incarnation == incarnation:
            self._tracing.decided(cell.name)

    def close(self) -> None:
        """End the span, as of the end of its run."""
        self.span.end(self._ended)
        if self._tracing.open.get(self.request.run_id) is self:
            del self._tracing.open[self.request.run_id]

    def fail(self, error: BaseException) -> None:
        """Note the failure. Its text is content."""
        span, kind = self.span, type_name(error)
        if not span.is_recording():
            return
        span.set_attribute(names.ERROR_TYPE, kind)
        span.set_status(trace.Status(trace.StatusCode.ERROR, kind))
        told = {names.EXCEPTION_MESSAGE: limited_text(str, error, 1_000)} if self._tracing.content else {}
        span.add_event(names.EXCEPTION, {names.EXCEPTION_TYPE: kind, **told})

    def _note_answer(self, answer: ChatMessage[Any]) -> None:
        span = self.span
        if not span.is_recording():
            return
        if answer.cost_info is not None and not self.request.node.counts_members:
            usage = answer.usage
            span.set_attributes({names.INPUT_TOKENS: usage.input_tokens, names.OUTPUT_TOKENS: usage.output_tokens})
        if self._tracing.content:
            span.set_attribute(names.OUTPUT_MESSAGES, _messages("assistant", answer))


_run: contextvars.ContextVar[TracedRun | None] = contextvars.ContextVar("understage_span", default=None)
"""The run of the handler that works here. No message carries it."""


class Tracing:
    """What makes the spans of one pool: ``AgentPool("agents.yml", tracing=Tracing())``. Needs the extra ``otel``.

    Example:
        ```python
        provider = TracerProvider()
        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        async with AgentPool("agents.yml", tracing=Tracing(provider)) as pool: ...
        ```

    Args:
        provider: makes the tracers; None for the one that the process has set for all libraries.
        content: True to tell prompts, answers, arguments and results of tools, and the texts of exceptions. Without it
            names, ids, numbers and types are all that leaves the process.

    Raises:
        ConfigError: the libraries of the extra are not installed, or `provider` is none.
    """

    def __init__(self, provider: trace.TracerProvider | None = None, *, content: bool = False) -> None:
        if find_spec("opentelemetry.sdk") is None:
            extra = "install the extra: pip install 'understage[otel]'"
            raise ConfigError(f"tracing needs opentelemetry-sdk, which is not installed; {extra}")
        self.content = content
        """True if the contents of messages are told."""
        self.crashed: dict[str, list[TracedRun]] = {}
        """The runs that have crashed, by the actor for which its supervisor has not decided yet."""
        self.open: dict[str, TracedRun] = {}
        """The runs whose spans have not ended, by their ids."""
        provider = trace.get_tracer_provider() if provider is None else provider
        if not is_a(provider, trace.TracerProvider):
            raise ConfigError(f"tracing needs a TracerProvider, not {provider!r}")
        self._tracer = provider.get_tracer("understage")
        self.capabilities: Sequence[Any] = (ModelInstrumentation.of(provider, content=content),)
        """The capabilities of pydantic-ai that make the spans of requests to models and of tool calls."""

    def continued(self, headers: Headers) -> None:
        """Continue the trace that an HTTP request names in the current context; wrong headers are ignored.

        A span of that trace which is current already stays, such as one of the web framework.
        """
        texts = {name.decode("latin-1"): value.decode("latin-1") for name, value in headers}
        remote = trace.get_current_span(_PROPAGATOR.extract(texts, Context()))
        found, here = remote.get_span_context(), trace.get_current_span().get_span_context()
        if found.is_valid and found.trace_id != here.trace_id:
            attach(trace.set_span_in_context(remote))

    def accepted(self, request: Any) -> str:
        """Return the `traceparent` of a kept run: that of its sender, else of a span of its acceptance."""
        sender, headers = None, dict[str, str]()
        if not trace.get_current_span().get_span_context().is_valid:
            span = self._tracer.start_span(f"{names.ACCEPT} {request.node.name}", kind=trace.SpanKind.PRODUCER)
            span.end()
            sender = trace.set_span_in_context(span)
        _PROPAGATOR.inject(headers, sender)
        return headers.get("traceparent", "")

    def refused(self, request: Any, error: Exception) -> None:
        """Make the span of a run that a full mailbox does not take, inside that of its sender."""
        run = self._span(request, None)
        run.fail(error)
        run.close()

    def begin(self, request: Any) -> TracedRun:
        """Begin the span of a run, inside its handler: what the handler sends belongs to the span."""
        scope = current.get()
        run = self._span(request, None)
        if scope is not None:
            cell = run.cell = scope.cell
            wait = max(0.0, cell.now() - scope.at)
            run.span.set_attributes({names.MAILBOX_WAIT: wait, names.INCARNATION: cell.incarnation})
        context = trace.set_span_in_context(run.span)
        if not request.node.counts_members:
            context = set_baggage(names.AGENT_NAME, request.node.name, context)
            context = set_baggage(names.CALL_ID, request.run_id, context)
            context = set_baggage(names.CONVERSATION, request.conversation_id, context)
        attach(context)  # for good: each handler has a context of its own, which ends with it
        _run.set(run)
        return run

    def _span(self, request: Any, parent: Context | None) -> TracedRun:
        node = request.node
        is_workflow = node.counts_members
        operation = names.INVOKE_WORKFLOW if is_workflow else names.INVOKE_AGENT
        facts = {
            names.OPERATION: operation,
            names.WORKFLOW_NAME if is_workflow else names.AGENT_NAME: node.name,
            names.CALL_ID: request.run_id,
            names.CONVERSATION: request.conversation_id,
            names.RUN_ID: request.run_id,
        }
        if request.parent_run_id:
            facts[names.PARENT_RUN_ID] = request.parent_run_id
        if request.kept is not None and request.kept.attempt:
            facts[names.ATTEMPT] = request.kept.attempt
        if self.content:
            facts[names.INPUT_MESSAGES] = _messages("user", *request.prompts)
        span = self._tracer.start_span(f"{operation} {node.name}", parent, attributes=facts)
        run = self.open[request.run_id] = TracedRun(self, request, None, span)
        return run

    def follow(self, system: ActorSystem) -> Callable[[], None]:
        """Tell spans what happens to their runs in a system; return what ends that, and the spans still open."""
        subscription = system.events.subscribe(partial(self._take, system), _EVENTS)

        def leave() -> None:
            subscription.cancel()
            for actor in tuple(self.crashed):
                self.decided(actor)

        return leave

    def decided(self, actor: str, incarnation: int | None = None) -> None:
        """End the spans of the runs that crashed an actor; `incarnation` is that after a restart."""
        for run in self.crashed.pop(actor, ()):
            if incarnation is not None:
                run.event(names.RESTART, actor=actor, incarnation=incarnation)
            run.close()

    def _take(self, system: ActorSystem, event: StampedEvent) -> None:
        here = _run.get()
        if isinstance(event, ActorRestarted):
            self.decided(event.actor, event.incarnation)
        elif isinstance(event, ActorStopped):
            self.decided(event.actor)
        elif isinstance(event, DeadLetter):
            self._lost(system, event, here)
        elif isinstance(event, MailboxOverflow) and here is not None:
            here.event(names.OVERFLOW, actor=event.actor, reason=event.policy)
        elif isinstance(event, RunRetried) and event.run_id in self.open:
            self.open[event.run_id].event(names.RETRY, error_type=event.error_type)

    def _lost(self, system: ActorSystem, event: DeadLetter, here: TracedRun | None) -> None:
        """Tell the run of a dead letter. A run that has not begun gets a span for it."""
        *_, letter = system.dead_letters
        request: Any = letter.message
        run_id = getattr(request, "run_id", None)
        if getattr(getattr(request, "node", None), "tracing", None) is self and run_id is not None:
            run = self.open.get(run_id) or self._span(request, trace_of(letter.carried) or Context())
            run.event(names.DEAD_LETTER, actor=event.actor, reason=event.reason)
            if run.cell is None:
                run.span.set_status(trace.Status(trace.StatusCode.ERROR, event.reason))
                run.close()
        elif here is not None:
            here.event(names.DEAD_LETTER, actor=event.actor, reason=event.reason)


def _messages(role: str, *contents: object) -> str:
    """Return the texts of messages and prompts, cut to 100,000 characters, as JSON by the conventions. Cannot fail."""
    texts = [limited_text(_text_of, one, _LONGEST) for one in contents]
    return json.dumps([{"role": role, "parts": [{"type": "text", "content": text}]} for text in texts])


def _text_of(content: object) -> str:
    return content.text if is_message(content) else value_text(content)
