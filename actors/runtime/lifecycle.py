"""The lives of an actor: its ref and its mailbox stay while the actor object is started, restarted and ended.

Every change of life is a control step of the cell itself, run by a worker like a message: it overlaps no handler.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from contextvars import Context, ContextVar
from types import CoroutineType
from typing import TYPE_CHECKING, Any, cast

from actors.runtime.child_cells import ChildCells
from actors.runtime.envelope import RUNNING, Envelope, current
from actors.runtime.errors import ActorStartError, IgnoreStart, StartTimeoutError
from actors.runtime.future import AsyncioFuture
from actors.runtime.log import error_line
from actors.runtime.options import check_class
from actors.runtime.turn import Turn
from protocols.control import ActorState, ExitReason, StopMode
from protocols.events import ActorRestarted, ActorStarted

if TYPE_CHECKING:
    from actors.runtime.actor import AsyncioActor
    from actors.runtime.options import StartOptions
    from actors.runtime.processing import Control
    from actors.runtime.system import ActorSystem
    from protocols.clock import TimerHandle

constructing: ContextVar[Cell | None] = ContextVar("understudy_constructing", default=None)
"""The cell whose actor object is being made; `AsyncioActor.__new__` takes it."""


class Cell(ChildCells):
    """What stays of an actor over all its incarnations. `ActorRef` is its public face."""

    __slots__ = ("args", "crash_on", "factory", "kwargs", "ready_waiters", "ref", "start_timeout", "start_timer")

    def __init__(
        self,
        system: ActorSystem,
        factory: Callable[..., AsyncioActor],
        args: tuple[Any, ...],
        kwargs: dict[str, Any] | None,
        options: StartOptions,
    ) -> None:
        kind: Any = factory
        self.system = system
        self.loop = system.loop
        self.now = system.clock.now
        self.lanes = system.deadlines.lanes
        self.schedule = system.dispatcher.schedule
        self.factory = factory
        self.args = args
        self.kwargs = kwargs
        self.name = str(options.name or getattr(factory, "__name__", type(factory).__name__))
        mailbox = getattr(kind, "mailbox", None)
        concurrency = getattr(kind, "max_concurrency", 1)
        timeout = getattr(kind, "ask_timeout", None)
        if mailbox is not None or timeout is not None or concurrency != 1:
            check_class(kind)
        self.max_concurrency = int(options.max_concurrency or concurrency or 1)
        self.mailbox = (options.mailbox or mailbox or system.config.mailbox).build(self.name)
        self.ask_timeout: float = system.config.ask_timeout if timeout is None else timeout
        self.start_timeout = options.start_timeout if options.start_timeout is not None else system.config.start_timeout
        self._start_path()
        self._start_ending(options.parent)
        self.start_timer: TimerHandle | None = None
        self.crash_on: tuple[type[BaseException], ...] = ()
        """What is a crash even for an actor whose failures are values (see `AsyncioActor.fail_reply`)."""
        self.ready_waiters: list[AsyncioFuture[Any]] | None = None
        self.actor = None
        self.ref = system.make_ref(self)

    def refit(
        self, factory: Callable[..., AsyncioActor], args: tuple[Any, ...], kwargs: dict[str, Any], mailbox: Any
    ) -> None:
        """Make the next incarnation from something else; limits of concurrency and mailbox hold at once.

        Raises:
            ValueError: the mailbox would have to be of another kind; nothing has changed.
        """
        self.mailbox.limit(mailbox or getattr(factory, "mailbox", None) or self.system.config.mailbox)
        self.factory, self.args, self.kwargs = factory, args, kwargs
        self.max_concurrency = int(getattr(factory, "max_concurrency", 1) or 1)

    # -- start ----------------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Make the actor object now, then run `on_start` (if it has one) before the first message.

        Raises:
            Exception: whatever the constructor raised; nothing is left of the actor then.
        """
        actor = self.construct()
        if self.state is not ActorState.STOPPED:  # it may stop itself in its constructor
            self._live(actor)

    def construct(self) -> AsyncioActor:
        """Make the actor object of the current incarnation."""
        token = constructing.set(self)
        try:
            actor = self.factory(*self.args, **(self.kwargs or {}))
        finally:
            constructing.reset(token)
        actor.attach(self)
        return actor

    def _live(self, actor: AsyncioActor) -> None:
        self.actor = actor
        if not actor.has_start_hook:
            self._opened()
            return
        self.starting = True
        self.start_timer = self.system.clock.call_later(self.start_timeout, self._start_overdue)
        self.push_control(self._run_start)

    async def _run_start(self) -> None:  # noqa: C901 - the ways in which a start can end
        actor = self.actor
        assert actor is not None
        error: BaseException | None = None
        try:
            if self.keeping or (self.state is ActorState.STOPPING and not len(self.mailbox)):
                raise asyncio.CancelledError  # noqa: TRY301 - told to end before it began, and nothing to drain
            result = actor.on_start()
            if isinstance(result, Awaitable):
                await result
        except BaseException as caught:  # a failing start has one way out, whatever it raised
            error = caught
        if self.actor is not actor:
            return  # it was cut loose
        timer, self.start_timer = self.start_timer, None
        overdue = timer is None
        if timer is not None:
            timer.cancel()
        if error is not None:
            self.finishing = True
            await self.stop_children()
            if self.actor is actor:
                self.start_failed(error, overdue=overdue)
        elif self.keeping or self.state is ActorState.STOPPING:
            self._opened_to_stop()
        else:
            self._opened()

    def _start_overdue(self) -> None:
        self.start_timer = None
        for turn in tuple(self.turns or ()):
            self.interrupt(turn)

    def _opened(self) -> None:
        self.state = ActorState.RUNNING
        self.starting = False
        self.open = True
        if self.scheduled or len(self.mailbox):
            self.wake()
        else:
            self.idle = True
        kind = ActorStarted if self.incarnation == 1 else ActorRestarted
        if self.system.events.wants(kind):
            self._publish_start()
        for waiter in self._take_ready_waiters():
            waiter.answer(self.ref)

    def _publish_start(self) -> None:
        events = self.system.events
        if self.incarnation == 1:
            events.publish(ActorStarted, actor=self.name, actor_type=type(self.actor).__name__)
        else:
            events.publish(ActorRestarted, actor=self.name, incarnation=self.incarnation, queued=len(self.mailbox))

    def _opened_to_stop(self) -> None:
        """The stop was asked for while `on_start` ran: drain what came before it, then finish."""
        self.starting = False
        for waiter in self._take_ready_waiters():
            waiter.answer(self.ref)
        if self.draining and len(self.mailbox):
            self.open = True
        else:
            self.push_finish()

    def start_failed(self, error: BaseException, *, overdue: bool) -> None:
        """End what could not start; its children have ended."""
        failure = self._start_error(error, overdue=overdue)
        waiters = self._take_ready_waiters()
        if self.state is ActorState.STOPPING:
            self._end_incarnation(self.reason or ExitReason.NORMAL, failure)
        elif self.keeping:
            self._hold(ActorState.RESTARTING)
        else:
            self._not_started(error, failure)
        for waiter in waiters:
            waiter.fail(failure)

    def _not_started(self, error: BaseException, failure: ActorStartError) -> None:
        ignored = isinstance(error, IgnoreStart)
        self.cause = failure
        if not ignored:
            self.system.report("actor could not start", self, error=error)
        if self.incarnation > 1:
            self._hold(ActorState.RESTARTING)
        else:
            self.terminate(ExitReason.IGNORE if ignored else ExitReason.START_FAILED, failure)

    def _start_error(self, error: BaseException, *, overdue: bool) -> ActorStartError:
        failure: ActorStartError
        if overdue:
            failure = StartTimeoutError(f"actor {self.name}: on_start took longer than {self.start_timeout} s")
        else:
            failure = ActorStartError(f"actor {self.name} could not start: {error_line(error)}")
        failure.__cause__ = error
        return failure

    def _drop_life(self) -> None:
        timer, self.start_timer = self.start_timer, None
        if timer is not None:
            timer.cancel()
        super()._drop_life()

    def _take_ready_waiters(self) -> list[AsyncioFuture[Any]]:
        waiters, self.ready_waiters = self.ready_waiters, None
        return [waiter for waiter in waiters or () if not waiter.done()]

    def fail_ready(self, cause: BaseException | None) -> None:
        """Tell whoever waits for the start that there will be none."""
        for waiter in self._take_ready_waiters():
            if isinstance(cause, ActorStartError):
                waiter.fail(cause)
                continue
            failure = ActorStartError(f"actor {self.name} ended before it had started")
            failure.__cause__ = cause
            waiter.fail(failure)

    def ready(self) -> AsyncioFuture[Any]:
        """Return a future of the ref, done when `on_start` is; it fails with `ActorStartError`."""
        future: AsyncioFuture[Any] = AsyncioFuture(loop=self.loop)
        if self.state is ActorState.STARTING or (self.state is ActorState.RESTARTING and self.actor is not None):
            self.ready_waiters = [*(self.ready_waiters or ()), future]
        elif self.state is ActorState.STOPPED and self.reason is not ExitReason.NORMAL:
            future.fail(self.cause or ActorStartError(f"actor {self.name} has ended ({self.reason})"))
        else:
            future.answer(self.ref)
        return future

    # -- restart (called by its supervisor) -----------------------------------------------------------------------

    def revive(self) -> AsyncioFuture[Any]:
        """Start the next incarnation behind the same ref and mailbox; the future is that of `ready`."""
        assert self.state is ActorState.RESTARTING, f"{self.name} is {self.state}, it cannot be revived"
        self.incarnation += 1
        self.fresh_life()
        future: AsyncioFuture[Any] = AsyncioFuture(loop=self.loop)
        try:
            actor = self.construct()
        except BaseException as error:  # it is told to the supervisor, which decides
            failure = self._start_error(error, overdue=False)
            self._not_started(error, failure)
            self.system.note_base_exception(error)
            future.fail(failure)
            return future
        self.ready_waiters = [*(self.ready_waiters or ()), future]
        self._live(actor)
        return future

    # -- control steps --------------------------------------------------------------------------------------------

    def _run_control(self, control: Control) -> bool | Turn:
        """Run one step of the cell's own life, in the scope of the actor."""
        envelope = Envelope(control, self, at=self.now(), state=RUNNING, incarnation=self.incarnation)
        context = Context()
        context.run(current.set, envelope)
        try:
            result: Any = context.run(control)
            if type(result) is not CoroutineType:
                return True
            coroutine = cast("Coroutine[Any, Any, None]", result)
            try:
                waiting = context.run(coroutine.send, None)
            except StopIteration:
                return True
        except BaseException as error:  # a broken control step must not take the worker with it
            self.failed_control(error)
            return True
        envelope.accepted = False
        turn = Turn(self, envelope, coroutine, context, waiting)
        envelope.turn = turn
        self.turns = {*(self.turns or ()), turn}
        return turn

    def stop(
        self, mode: StopMode, timeout: float | None, reason: ExitReason = ExitReason.NORMAL
    ) -> AsyncioFuture[bool]:
        """Ask the actor to end, and return a future that is done when it has."""
        self.request_stop(mode, timeout, reason)
        return self.stopped_future()
