"""The actor behind a node, and the one place where a run is orchestrated: receive, execute, publish, offer, reply."""

import asyncio
import weakref
from collections.abc import Callable, Hashable
from time import perf_counter
from typing import Any, ClassVar

from actors.prompts.input_message import input_message
from actors.runs.events import (
    in_brief,
    message_received,
    run_cancelled,
    run_completed,
    run_failed,
    run_started,
    tell_begin,
)
from actors.runs.reconfigure import OpenRuns, Reconfigure
from actors.runs.request import AddContext, Runnable, RunRequest, Settle
from actors.runs.retry import retried
from actors.runtime.actor import AsyncioActor
from actors.runtime.cell import Cell, Mailbox, cell_of
from actors.runtime.envelope import Envelope
from actors.runtime.errors import IgnoreStart
from actors.runtime.mailbox import MailboxConfig
from actors.supervision.child import ChildKind
from protocols.control import Resume
from protocols.errors import RunError, name_node
from protocols.messages import ChatMessage

UNLIMITED = 1_000_000
"""Concurrent runs of a node without state."""


class NodeActor(AsyncioActor):
    """Runs the requests of one node. The requests hold the node, the actor does not."""

    is_address: ClassVar[bool] = True
    """True if what is sent to the node comes to this actor."""

    def __init__(self, node: Runnable, **options: Any) -> None:
        super().__init__(**options)
        cell = self._actor_cell
        self.runs = OpenRuns(cell.system.events)
        self._node = weakref.ref(node)
        if self.is_address:
            node.home.settle(cell.ref, cell.loop, is_owned=is_owned(cell))

    @property
    def redeliver(self) -> bool:  # type: ignore[override] # pyright: ignore[reportIncompatibleVariableOverride] - as the node is set now
        """True if a run whose handler crashed is done once more."""
        node = self._node()
        return node is not None and node.definition.settings.redeliver

    def on_receive(self, message: Any) -> Any:
        """Handle one request."""
        if type(message) is RunRequest:
            is_part, place = message.kept is not None and message.kept.is_part, message.node.place
            serving = _serve_part if is_part else serve
            if place is not None and not place.is_here and (is_part or message.kept is None):
                serving = place.pass_on
            return serving(self, message, self.runs)
        if type(message) is AddContext:
            place, keep = message.node.place, message.node.keep_context
            away = None if place is None or place.is_here else place
            return keep(message.text, message.session) if away is None else away.pass_on(self, message, self.runs)
        if type(message) is Settle:
            return self.runs.settled()
        if type(message) is Resume:
            return message.go_on()
        if type(message) is Reconfigure:
            return message.applied_by(self)
        return self.unhandled(message)


class NodeFactory:
    """Makes the actor of a node. The engine keeps the factory for restarts, so the factory holds the node weakly."""

    ends_with_process = True
    """True for an actor that is stopped when the interpreter exits, without a warning about a forgotten actor."""

    def __init__(self, node: Runnable, actor_class: Callable[[Any], AsyncioActor], max_concurrency: int) -> None:
        self._node = weakref.ref(node)
        self.is_serial = node.is_serial
        self._class = actor_class
        self.__name__ = node.name
        self.max_concurrency = max_concurrency
        self.child_kind: ChildKind = getattr(actor_class, "child_kind", "worker")

    def make_mailbox(self, who: str, config: MailboxConfig) -> Mailbox[Envelope]:
        """Make the mailbox of the actor."""
        node = self._node()
        return config.build(who) if node is None else node.make_mailbox(who, config, self._key)

    def _key(self, message: object) -> Hashable:
        node = self._node()
        return None if node is None else node.message_key(message)

    def __call__(self) -> AsyncioActor:
        """Make the actor.

        Raises:
            IgnoreStart: the node does not exist any more.
        """
        node = self._node()
        if node is None:
            raise IgnoreStart
        return self._class(node)


def is_owned(cell: "Cell") -> bool:
    """Return True if only a supervisor may start the actor again. A team leaves that to the next caller."""
    parent = cell.parent
    return parent is not None and not getattr(parent.actor, "lends_children", False)


async def serve(actor: AsyncioActor, request: RunRequest, runs: OpenRuns) -> Any:  # noqa: C901, PLR0912, PLR0915 - one function: a call costs as much as a step
    """Run a node for the current message of `actor`, and publish what happens.

    A failed run is a value: the caller gets the exception unchanged, and the actor continues, unless `crash_on` of the
    node contains its type. Any other `BaseException` is a crash.
    """
    started = perf_counter()
    node, events, retry = request.node, runs.events, request.node.definition.settings.retry
    is_told = False  # in brief; a run that ends at once is told at its end, which saves two fifths of a stats actor
    span = None if node.tracing is None else node.tracing.begin(request)
    runs.open += 1
    try:
        if events.is_heard:
            run_started(events, request)
        asked = input_message(request.prompts, request.conversation_id)
        if not isinstance(asked, ChatMessage):
            is_told = tell_begin(events, request)
            asked = await asked
        if node.message_received.subscribers:
            node.message_received.emit(asked)
        if events.is_heard:
            message_received(events, request, asked)
        answer = node.perform(request, asked) if retry is None else retried(actor, request, asked, retry)
        if not isinstance(answer, ChatMessage):
            is_told = is_told or tell_begin(events, request)
            answer = await answer
    except BaseException as error:
        if span is not None:
            span.end(error=error)
        if not is_told:
            tell_begin(events, request)
        if isinstance(error, Exception):
            _failed(actor, request, error, perf_counter() - started)
            return None
        _note_end(request, runs, error, perf_counter() - started)
        raise
    finally:
        runs.open -= 1
        if runs.is_awaited:
            runs.check()
    if events.count is not None:
        events.count(in_brief(request, answer, started, is_whole=not is_told))
    if events.is_heard:
        run_completed(events, request, answer, perf_counter() - started)
    node.send(answer, request)
    if span is not None:
        span.end(answer)
    if request.kept is not None:
        await request.kept.note(request.prompts, answer)
    return answer if request.route is None else request.route.passed(actor, request, answer)


async def _serve_part(actor: AsyncioActor, request: RunRequest, runs: OpenRuns) -> Any:
    """Run a part of a kept run, unless its answer is recorded."""
    try:
        answer = None if request.kept is None else request.kept.known(request.prompts)
    except RunError as error:
        name_node(error, request.node.name)
        return _tell_failure(actor, request, error)
    if answer is None:
        return await serve(actor, request, runs)
    return answer if request.route is None else request.route.passed(actor, request, answer)


def _note_end(request: RunRequest, runs: OpenRuns, error: BaseException, seconds: float) -> None:
    """Note a run that was cancelled, or that ends its actor."""
    if isinstance(error, asyncio.CancelledError):
        run_cancelled(runs.events, request, seconds)
    request.node.cancelled(request)


def _failed(actor: AsyncioActor, request: RunRequest, error: Exception, seconds: float) -> None:
    """Publish the exception of a run and give it to the caller, or raise it if it is a crash."""
    node, events = request.node, cell_of(actor).system.events
    run_failed(events, request, error, seconds, step=getattr(error, "failed_step", ""))
    name_node(error, node.name)
    if request.kept is not None:
        request.kept.failed(request.prompts, error)
    node.fail(error, request)
    if isinstance(error, (*node.definition.settings.crash_on, *cell_of(actor).crash_on)):
        raise error
    _tell_failure(actor, request, error)


def _tell_failure(actor: AsyncioActor, request: RunRequest, error: Exception) -> None:
    if request.route is None:
        actor.fail_reply(error)
    else:
        request.route.failed(actor, request, error)
