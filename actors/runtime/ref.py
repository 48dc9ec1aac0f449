"""The address of an actor: valid in every thread, over restarts, and after the end (when sending fails at once)."""

import asyncio
from collections.abc import Callable, Coroutine, Generator
from contextvars import copy_context
from typing import TYPE_CHECKING, Any, Final, Generic, Literal, TypeAlias, TypeVar, cast, overload

import pykka

from actors.runtime.cell import Cell, System
from actors.runtime.clock import running_loop
from actors.runtime.cycle import WaitingFuture, WatchedFuture
from actors.runtime.envelope import QUEUED, RUNNING, Envelope, current
from actors.runtime.errors import AskCycleError, BlockingCallError, WrongLoopError
from actors.runtime.future import AsyncioFuture, LoopFuture
from actors.runtime.intake import LONE, accept, accept_system, carried, envelope_here, send
from actors.runtime.options import check_timeout
from actors.runtime.phase import Phase
from actors.runtime.proxy import Proxy
from actors.runtime.stop import kill, stop
from actors.runtime.termination import ready
from protocols.context import carriers
from protocols.control import ActorState, DeadLetterReason, StopMode
from protocols.handle import Handle, Receives
from protocols.mailbox import MailboxStatistics

A = TypeVar("A", covariant=True)
M = TypeVar("M")
R = TypeVar("R")
_Plain: TypeAlias = "ActorRef[Receives[M, R]]"
_Async: TypeAlias = "ActorRef[Receives[M, Coroutine[Any, Any, R]]]"
_Silent: TypeAlias = "ActorRef[Receives[M, Coroutine[Any, Any, None] | None]]"
_No: TypeAlias = Literal[False] | None
Mode: TypeAlias = Literal["drain", "now"]


class _Default:
    def __repr__(self) -> str:
        return "<the actor's default>"


DEFAULT: Final = _Default()
_Wait: TypeAlias = float | _Default | None


class AskFuture(LoopFuture[Any]):
    """The reply of an ask: its asker may handle the message at once, see `Dispatcher.hand_over`."""

    __slots__ = ()

    def __await__(self) -> Generator[Any, None, Any]:
        envelope = self.envelope
        if envelope is not None and envelope.state == QUEUED:
            dispatcher = envelope.cell.system.dispatcher
            if len(dispatcher.ready) == 1:
                dispatcher.hand_over(envelope)
        return _wait(self)

    __iter__ = __await__


_wait = asyncio.Future[Any].__await__


class ActorRef(Handle, pykka.ActorRef[Any], Generic[A]):
    """Address of one actor of an `ActorSystem`; get it from `start()`.

    `tell`, `ask`, `stop` and `proxy` are Pykka's: awaited on the actor's event loop, blocking in any other thread. Refs
    of the same actor are equal.
    """

    __slots__ = ("_cell",)
    _of_the_engine = "ask_for notify"

    def __init__(self, cell: Cell) -> None:  # pyright: ignore[reportMissingSuperCall] - Pykka's takes an actor object
        self._cell = cell

    @property
    def actor_class(self) -> type[A]:  # type: ignore[override] # pyright: ignore[reportIncompatibleVariableOverride]
        """The class of the actor."""
        return cast("type[A]", self._cell.kind)

    @property
    def actor_urn(self) -> str:  # type: ignore[override] # pyright: ignore[reportIncompatibleVariableOverride]
        """A URN, unique for ever; made when first read."""
        return self._cell.system.urn_of(self._cell)

    @property
    def actor_inbox(self) -> Any:  # type: ignore[override] # pyright: ignore[reportIncompatibleVariableOverride]
        """The mailbox. For reading use `statistics()`."""
        return self._cell.mailbox

    @property
    def system(self) -> System:
        """The system that the actor lives in."""
        return self._cell.system

    @property
    def name(self) -> str:
        """Name of the actor in its system, or of its class."""
        return self._cell.name

    @property
    def state(self) -> ActorState:
        """Where the actor is in its life."""
        return self._cell.state

    @property
    def incarnation(self) -> int:
        """Which life of the actor this is, from 1."""
        return self._cell.incarnation

    def _actor_weakref(self) -> A:  # type: ignore[override] # pyright: ignore[reportIncompatibleVariableOverride]
        """Return the actor object of now; while there is none an empty one, which has the same methods."""
        cell = self._cell
        return cast("A", object.__new__(cell.kind) if cell.actor is None else cell.actor)

    def is_alive(self) -> bool:
        """Return True if the actor takes messages, also between two incarnations; False once it is stopping."""
        return self._cell.phase < Phase.CLOSING and not self._cell.system.is_forked

    def statistics(self) -> MailboxStatistics:
        """Return how full the mailbox is."""
        cell = self._cell
        oldest = cell.mailbox.oldest()
        age = cell.system.clock.now() - oldest.at if oldest is not None else 0.0
        return MailboxStatistics(len(cell.mailbox), cell.mailbox.capacity, max(0.0, age), cell.mailbox.closed)

    def tell(self: "_Plain[M, Any]", message: M) -> None:
        """Send a message and go on. Messages of one sender are handled in the order in which they were sent.

        In a thread, a full mailbox with policy `wait` blocks until there is room.

        Raises:
            ActorStoppingError: the actor has stopped or is stopping; the message is a dead letter. An `ActorDeadError`.
            MailboxFullError: the mailbox is full and refuses.
            RuntimeClosedError: the system or its loop is closed. Also `ActorDeadError`.
        """
        cell = self._cell
        if running_loop() is not cell.loop:
            cell.system.bridge.tell(cell, message)
            return
        scope = current.get()
        envelope = Envelope(message, cell, at=cell.now())
        context = copy_context()
        if scope is None:
            if (size := len(context)) > 1 or (size and LONE[0] not in context):
                envelope.carried = carried(context, message)
        else:
            envelope.sender = scope.cell
            if len(context) > 1:
                envelope.carried = carried(context, message)
            if scope.fenced:
                cell.system.dead_letters.add(envelope, DeadLetterReason.FENCED)
                return
        # What `accept` does first, without the call.
        fifo = cell.mailbox.fifo
        if fifo is None or len(fifo) >= cell.mailbox.capacity:
            accept(cell, envelope)
            return
        fifo.append(envelope)
        cell.accepted += 1
        if cell.idle:
            cell.idle = False
            cell.scheduled = True
            cell.schedule(cell)

    def notify(self, message: Any) -> None:
        """Send a message of the engine, on the loop: whatever the bound, without sender; a stopped actor ignores it."""
        accept_system(self._cell, message)

    async def send(self: "_Plain[M, Any]", message: M) -> None:
        """Tell as soon as the mailbox has space; who came first is served first.

        Raises:
            ActorStoppingError: the actor has stopped, or stops meanwhile.
        """
        cell = self._cell
        cell.system.check_loop()
        scope, envelope = current.get(), envelope_here(cell, message)
        if scope is not None and scope.fenced:
            cell.system.dead_letters.add(envelope, DeadLetterReason.FENCED)
        else:
            await send(cell, envelope)

    def forward(self, message: Any, reply: AsyncioFuture[Any]) -> None:
        """Send a message that answers an earlier ask (`AsyncioActor.take_reply`), with its deadline and cancellation.

        If the message is not accepted, the asker gets the error.
        """
        cell = self._cell
        if running_loop() is not cell.loop:
            if reply.get_loop() is not cell.loop:
                raise WrongLoopError(f"actor {cell.name} lives on another event loop than the ask that it would answer")
            cell.system.bridge.call(lambda: self.forward(message, reply))
            return
        envelope = envelope_here(cell, message, reply)
        if reply.done():
            cell.system.dead_letters.add(envelope, DeadLetterReason.CANCELLED)
            return
        before = getattr(reply, "envelope", None)
        if before is not None:
            if type(message) in carriers:
                envelope.carried = before.carried
            envelope.parent, envelope.deadline, envelope.lane = before.parent, before.deadline, before.lane
        reply.envelope = envelope
        try:
            accept(cell, envelope)
        except Exception as error:  # it belongs to the asker
            reply.release()
            reply.fail(error)

    @overload  # type: ignore[override]
    def ask(self: "_Silent[M]", message: M, *, block: Literal[True] | None = None, timeout: _Wait = DEFAULT) -> Any: ...
    @overload
    def ask(self: "_Async[M, R]", message: M, *, block: Literal[True], timeout: _Wait = DEFAULT) -> R: ...
    @overload
    def ask(self: "_Async[M, R]", message: M, *, block: _No = None, timeout: _Wait = DEFAULT) -> AsyncioFuture[R]: ...
    @overload
    def ask(self: "_Plain[M, R]", message: M, *, block: Literal[True], timeout: _Wait = DEFAULT) -> R: ...
    @overload
    def ask(self: "_Plain[M, R]", message: M, *, block: _No = None, timeout: _Wait = DEFAULT) -> AsyncioFuture[R]: ...
    def ask(self, message: Any, *, block: bool | None = None, timeout: _Wait = DEFAULT) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride] - None decides by where it is called
        """Send a message and get the reply: an awaitable on the actor's loop, the value itself in another thread.

        Args:
            message: any object; it is passed by reference, so send immutable ones.
            block: False gives a future in a thread, too; True on the loop is refused.
            timeout: seconds until the ask ends with `AskTimeoutError`; None waits for ever. An ask made while handling
                an ask never outlives it.

        Raises (by the future, or here when blocking):
            AskTimeoutError: no reply in time; the work is cancelled, or never started.
            AskCycleError: a handler waits for the reply, and the actor, directly or through others, for that handler.
            ActorDeadError: the actor ended before it handled the message.
            Exception: whatever the handler raised, with a note that names the actor and the message type.
            BlockingCallError, WrongLoopError: asked for in a way that could only hang (raised here).
        """
        cell = self._cell
        seconds: Any = cell.ask_timeout if timeout is DEFAULT else timeout
        if running_loop() is not cell.loop:
            return cell.system.bridge.ask(cell, lambda: self._ask(cell, message, seconds), block, seconds)
        if block:
            raise BlockingCallError(f"ask(block=True) to {self} would block its own loop; use `await ref.ask(...)`")
        if seconds is not None and (type(seconds) is not float or not seconds >= 0.0):
            check_timeout(seconds)
        return self._ask(cell, message, seconds)

    def ask_for(self, reply: LoopFuture[Any], message: Any, timeout: float | None) -> None:
        """Ask on the actor's loop, with a future that is made for the reply."""
        self._ask(self._cell, message, timeout, reply)

    def _ask(
        self, cell: Cell, message: Any, seconds: float | None, given: LoopFuture[Any] | None = None
    ) -> AsyncioFuture[Any]:
        """Ask on the loop; whatever goes wrong reaches the future."""
        scope = current.get()
        is_free = scope is None or (cell.turns is None and cell is not scope.cell)
        # Among many the way through the loop is the cheaper one: nothing but C code runs to await a LoopFuture.
        kind: Any = WatchedFuture if not is_free else LoopFuture if cell.system.dispatcher.ready else AskFuture
        reply: AsyncioFuture[Any] = given or kind(loop=cell.loop)
        now = cell.now()
        reply.envelope = envelope = Envelope(message, cell, reply, at=now)
        context = copy_context()
        if scope is None:
            if (size := len(context)) > 1 or (size and LONE[0] not in context):
                envelope.carried = carried(context, message)
        else:
            if len(context) > 1:
                envelope.carried = carried(context, message)
            seconds = self._ask_within(scope, envelope, seconds)
            if reply.done():
                return reply
        if seconds is not None:
            lane = cell.lanes.get(seconds)
            if lane is None:
                cell.system.deadlines.add(envelope, reply, seconds, now)
            else:
                envelope.deadline = lane[reply] = now + seconds
                envelope.lane = lane
        try:
            accept(cell, envelope)
        except Exception as error:  # an ask fails through its future
            reply.release()
            reply.fail(error)
        return reply

    def _ask_within(self, scope: Envelope, envelope: Envelope, seconds: float | None) -> float | None:
        """Note who asks, and return the time that the asker itself has left; one that was cut loose is refused."""
        envelope.sender = scope.cell
        if scope.state != RUNNING:
            return seconds
        if scope.fenced:
            envelope.reply.release()
            envelope.reply.fail(AskCycleError((scope.cell.name, "(cut loose)")))
            return None
        envelope.parent = scope
        if scope.deadline is None:
            return seconds
        left = scope.deadline - envelope.at
        if seconds is not None and seconds <= left:
            return seconds
        deadlines = self._cell.system.deadlines
        if scope.reply is None or scope.reply.done() or scope.cell.loop is not self._cell.loop:
            deadlines.add_once(envelope, envelope.reply, max(left, 0.0), scope.deadline)
        else:
            deadlines.share(scope, envelope, envelope.reply)
        return None

    @overload  # type: ignore[override]
    def stop(self, *, block: Literal[True], timeout: float | None = None, mode: Mode = "drain") -> bool: ...
    @overload
    def stop(self, *, block: _No = None, timeout: float | None = None, mode: Mode = "drain") -> AsyncioFuture[bool]: ...
    @overload
    def stop(self, *, block: bool | None, timeout: float | None = None, mode: Mode = "drain") -> Any: ...
    def stop(self, *, block: bool | None = None, timeout: float | None = None, mode: Mode = "drain") -> Any:  # pyright: ignore[reportIncompatibleMethodOverride] - as ask
        """Ask the actor to stop; the result is True once it has, False if it had stopped before.

        No message is accepted after this call. Asking again waits for the same end.

        Args:
            block: None waits the way its caller can: awaited on any event loop, blocking in a thread without one. False
                never waits.
            timeout: seconds until the running handler is cancelled and the rest of the mailbox dropped; None takes the
                system's. A handler that ignores its cancellation is cut loose after the grace period: this always ends.
            mode: ``drain`` handles what was accepted before; ``now`` lets the running handler finish and turns the rest
                into dead letters.
        """
        stop_mode = StopMode(mode)
        cell = self._cell
        check_timeout(timeout)
        seconds = cell.system.config.stop_timeout if timeout is None else timeout
        return self._end(block, lambda: stop(cell, stop_mode, seconds))

    def kill(self, *, block: bool | None = None) -> Any:
        """End the actor without asking it: its handler is cancelled, `on_stop` does not run. Waits like `stop`."""
        return self._end(block, lambda: kill(self._cell))

    def _end(self, block: bool | None, end: Callable[[], WaitingFuture[bool]]) -> Any:
        cell, scope = self._cell, current.get()

        def begin() -> WaitingFuture[bool]:
            future = end()
            future.sender = None if scope is None else scope.cell
            return future

        if running_loop() is not cell.loop:
            return cell.system.bridge.end(block, lambda: self._end(None, begin))
        if block:
            raise BlockingCallError(f"stop(block=True) of {self} would block its own loop; use `await ref.stop()`")
        if cell.phase is Phase.STOPPED:
            already: AsyncioFuture[bool] = LoopFuture(loop=cell.loop)
            already.answer(False)
            return already
        return begin()

    def ready(self) -> "AsyncioFuture[ActorRef[A]]":
        """Return a future of this ref, done when `on_start` has run: ``ref = await Counter.start(5).ready()``.

        It fails with `ActorStartError` (the cause chained) if the start fails. Cancelling it ends a half-started actor.
        """
        cell = self._cell
        if running_loop() is not cell.loop:
            started: AsyncioFuture[ActorRef[A]] = cell.system.bridge.future(self.ready)
            return started
        future: WaitingFuture[ActorRef[A]] = ready(cell)
        future.sender = None if (scope := current.get()) is None else scope.cell
        future.add_done_callback(
            lambda done: kill(cell) if done.cancelled() and cell.state is ActorState.STARTING else None
        )
        return future

    def proxy(self) -> Any:
        """Return Pykka's proxy: attribute reads and method calls give futures. Raises ActorDeadError after the end."""
        return Proxy(actor_ref=self)

    if not TYPE_CHECKING:  # type checkers refuse what is not there

        def __getattr__(self, name: str) -> Any:
            raise AttributeError(f"an ActorRef has no {name!r}; the actor's is ref.proxy().{name}", name=name, obj=self)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ActorRef) and other._cell is self._cell  # pyright: ignore[reportUnknownMemberType]

    def __hash__(self) -> int:
        return hash(self._cell)

    def __repr__(self) -> str:
        return f"<ActorRef for {self}>"

    def __str__(self) -> str:
        return f"{self._cell.name} ({self.actor_urn}, {self._cell.state})"
