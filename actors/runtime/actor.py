"""`AsyncioActor`: Pykka's actor on an event loop. An idle actor has no task and no thread."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeVar, cast

import pykka

from actors.runtime.background_loop import start_anywhere
from actors.runtime.cell import ActorHooks, Cell, constructing
from actors.runtime.clock import running_loop
from actors.runtime.death_watch import is_news, link, unwatch, watch
from actors.runtime.envelope import Envelope, current
from actors.runtime.errors import DeathPactError, StashOverflowError
from actors.runtime.future import AsyncioFuture
from actors.runtime.lifecycle import begin
from actors.runtime.log import safe_repr
from actors.runtime.mailbox import BoundedMailbox, MailboxConfig
from actors.runtime.outcome import stashed
from actors.runtime.owned_tasks import PendingTask, PendingTimer
from actors.runtime.termination import terminate
from protocols.control import DeadLetterReason, Terminated

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

    from actors.runtime.cell import Mailbox
    from actors.runtime.ref import ActorRef
    from actors.runtime.system import ActorSystem

T = TypeVar("T")


if TYPE_CHECKING:
    # Pykka declares its hooks as plain functions that return None. Type checkers are not told of that base, so that
    # users may write them as `async def`.
    class _PykkaActor:
        def _handle_receive(self, message: Any) -> Any: ...

else:
    _PykkaActor = pykka.Actor


class AsyncioActor(ActorHooks, _PykkaActor):
    """An actor whose handlers run on the event loop, one at a time, as `def` or `async def`.

    Example:
        ```python
        class Counter(AsyncioActor):
            def __init__(self, start: int = 0) -> None:
                super().__init__()
                self.n = start

            async def on_receive(self, message: int) -> int:
                self.n += message
                return self.n

        ref = Counter.start(5)
        assert await ref.ask(1) == 6
        await ref.stop()
        ```

    An exception in a handler is a crash: its asker gets the exception, the supervisor decides (without one the actor
    ends). To refuse a message without crashing, raise `Reject`.
    """

    mailbox: ClassVar[MailboxConfig | None] = None
    """Size and overflow policy; None takes the system's."""
    max_concurrency: ClassVar[int] = 1
    """Messages handled at the same time. More than 1: reentrant, without order and without the check for ask cycles."""
    ask_timeout: ClassVar[float | None] = None
    """Deadline in seconds of asks that name none; None takes the system's (30)."""
    blocking: ClassVar[bool] = False
    """Whether `on_receive`, a plain `def`, blocks: it then runs in a bounded pool of threads."""
    death_pact: ClassVar[bool] = False
    """Whether the end of a watched actor crashes this one, if `on_terminated` is not overridden."""
    _stash: list[Envelope] | None = None

    def __new__(cls, *_args: Any, **_kwargs: Any) -> Self:
        """Take the cell that is being started, so that `__init__` can use `self.actor_ref` already."""
        actor = super().__new__(cls)
        cell = constructing.get()
        if cell is not None:
            constructing.set(None)
            actor._cell = cell
        return actor

    def __init__(self) -> None:  # pyright: ignore[reportMissingSuperCall] - the cell holds what Pykka's would make
        """Override it freely; there is nothing that this one must do."""

    # -- Pykka's three hooks --------------------------------------------------------------------------------------

    @staticmethod
    def _create_actor_inbox() -> Any:
        return BoundedMailbox("unstarted", MailboxConfig())

    @staticmethod
    def _create_future() -> AsyncioFuture[Any]:
        return AsyncioFuture(loop=running_loop())

    def _start_actor_loop(self) -> None:
        begin(self.cell)

    # -- start ----------------------------------------------------------------------------------------------------

    @classmethod
    def start(cls, *args: Any, **kwargs: Any) -> ActorRef[Self]:  # pyright: ignore[reportIncompatibleMethodOverride] # a subclass of Pykka's
        """Start an actor with these constructor arguments and return its ref.

        Inside a running loop it lives on that loop, in the system of the handler that runs or else the loop's
        default system, and the call returns before `on_start` has run (``await ref.ready()`` waits for it). Elsewhere
        it lives on the one background loop, and the call returns when `on_start` has run. For a name, a
        mailbox or a supervisor use `ActorSystem.start` or a `ChildSpec`.

        Raises:
            Exception: whatever the constructor raised.
            ActorStartError: outside a loop, when `on_start` failed.
        """
        return cast("ActorRef[Self]", start_anywhere(cls, args, kwargs))

    @property
    def cell(self) -> Cell:
        """The engine's side of this actor.

        Raises:
            RuntimeError: it was made by calling the class instead of `start`.
        """
        if self._cell is None:
            msg = f"{type(self).__name__} was not started; use {type(self).__name__}.start(...)"
            raise RuntimeError(msg)
        return self._cell

    def attach(self, cell: Cell) -> None:
        """Bind the actor object to its cell (a factory may have made it before)."""
        super().attach(cell)
        if self.blocking and not inspect.iscoroutinefunction(self.on_receive):
            self.on_receive = self.system.in_thread(self.on_receive)  # type: ignore[method-assign]

    @property
    def system(self) -> ActorSystem:
        """The system that the actor lives in."""
        return cast("ActorSystem", self.cell.system)

    @property
    def actor_ref(self) -> ActorRef[Self]:  # pyright: ignore[reportIncompatibleMethodOverride] # a subclass of Pykka's
        """The actor's own ref; valid in `__init__` already."""
        return cast("ActorRef[Self]", self.cell.ref)

    @property
    def actor_urn(self) -> str:  # pyright: ignore[reportIncompatibleVariableOverride]
        """A URN that is unique for ever."""
        return self.actor_ref.actor_urn

    @property
    def actor_inbox(self) -> Mailbox[Envelope]:  # pyright: ignore[reportIncompatibleVariableOverride]
        """The mailbox."""
        return self.cell.mailbox

    def __str__(self) -> str:
        return str(self._cell.ref) if self._cell is not None else f"{type(self).__name__} (not started)"

    # -- hooks ----------------------------------------------------------------------------------------------------

    def on_terminated(self, terminated: Terminated) -> Any:
        """Told once of the end of each watched actor, after all messages that it had sent; see `death_pact`."""
        if self.death_pact:
            msg = f"actor {self.cell.name} does not outlive {terminated.ref}"
            raise DeathPactError(msg) from terminated.cause

    def on_child_event(self, event: Any) -> Any:
        """Give up a child whose incarnation has ended; a supervisor overrides this."""
        if not event.child.mailbox.closed:
            terminate(event.child, event.reason, event.cause)

    def handle_internal(self, message: Any) -> Any:
        """Handle a message of a proxy, or the end of a watched actor (called by the engine)."""
        if isinstance(message, Terminated):
            return self.on_terminated(message) if is_news(self.cell, _cell_of(message.ref)) else None
        return super()._handle_receive(message)  # pyright: ignore[reportUnknownVariableType] # untyped in Pykka

    # -- what an actor can do -------------------------------------------------------------------------------------

    def stop(self) -> None:
        """Stop after what is queued now; the same as ``self.actor_ref.stop(block=False)``."""
        self.actor_ref.stop(block=False)

    @property
    def is_cancelled(self) -> bool:
        """Whether the message in hand need not be finished: nobody waits for it any more, or the actor is told to end.

        For handlers that block, which no `CancelledError` reaches: look at it between two pieces of work.
        """
        envelope = current.get()
        if envelope is None:
            return False
        return envelope.abandoned is not None or (envelope.turn is not None and envelope.turn.cancelled)

    def take_reply(self) -> AsyncioFuture[Any] | None:
        """Take over answering the message in hand: answer it later, or hand it on with `ActorRef.forward`.

        Returns:
            The asker's future, or None if it was a tell or the reply was taken already.
        """
        envelope = current.get()
        if envelope is None or envelope.cell is not self._cell:
            msg = "take_reply: there is no message in hand here"
            raise RuntimeError(msg)
        reply, envelope.reply = envelope.reply, None
        return cast("AsyncioFuture[Any] | None", reply)

    def fail_reply(self, error: Exception) -> None:
        """Answer the message in hand with an error without crashing; with nobody waiting it becomes a dead letter.

        For actors for which a failed piece of work is a value, such as the nodes: the asker gets `error` itself.

        Raises:
            Exception: `error`, if the child spec names its type in `crash_on`: that is a crash of this actor.
        """
        if isinstance(error, self.cell.crash_on):
            raise error
        envelope = current.get()
        reply = self.take_reply()
        if reply is not None:
            reply.release()
            reply.fail(error)
        elif envelope is not None:
            self.system.dead_letters.add(envelope, DeadLetterReason.FAILED, error)

    def watch(self, ref: ActorRef[Any]) -> None:
        """Be told (`on_terminated`) exactly once when that actor has ended for good; at once if it has already."""
        watch(self.cell, _cell_of(ref))

    def unwatch(self, ref: ActorRef[Any]) -> None:
        """Not be told any more, even if that actor has ended and the news is already waiting."""
        unwatch(self.cell, _cell_of(ref))

    def link(self, ref: ActorRef[Any]) -> None:
        """Share the fate of another actor: when one of the two ends abnormally, the other is killed."""
        link(self.cell, _cell_of(ref))

    def schedule(self, delay: float, message: Any, *, interval: float | None = None) -> PendingTimer:
        """Send `message` to this actor after `delay` seconds, then every `interval` seconds if given.

        A timer belongs to its incarnation: it ends with it, so the next one never gets it.
        """
        return PendingTimer(self.cell, delay, message, interval)

    def create_task(self, coroutine: Coroutine[Any, Any, T]) -> PendingTask[T]:
        """Run a coroutine beside the handlers. It belongs to this incarnation and is cancelled with it.

        It must not touch the actor's state; let it return something and use `pipe_to_self`. What it raises is reported.
        """
        return PendingTask(self.cell, coroutine)

    def pipe_to_self(
        self, work: Awaitable[T], to_message: Callable[[T | None, BaseException | None], Any]
    ) -> PendingTask[None]:
        """Wait for something beside the handlers and send its outcome, as a message, to this incarnation.

        Args:
            work: anything that can be awaited.
            to_message: makes the message of (result, None) or (None, error).
        """
        life = self.cell.incarnation

        async def pipe() -> None:
            try:
                message = to_message(await work, None)
            except Exception as error:  # the outcome is a message
                message = to_message(None, error)
            if self.cell.incarnation == life and self._cell is not None and self._cell.actor is self:
                self.actor_ref.tell(message)

        task = PendingTask(self.cell, pipe())
        if inspect.iscoroutine(work):
            task.when_done(work.close)  # a task that is cancelled before its first step never awaits it
        return task

    def stash(self) -> None:
        """Set the message in hand aside; its asker goes on waiting. `unstash` brings it back.

        Raises:
            StashOverflowError: the stash is full; the message in hand is not kept.
        """
        envelope = current.get()
        if envelope is None or envelope.cell is not self._cell:
            msg = "stash: there is no message in hand here"
            raise RuntimeError(msg)
        limit = self.system.config.stash
        if self._stash is None:
            self._stash = []
        if len(self._stash) >= limit:
            msg = f"actor {self.cell.name}: the stash is full ({limit} messages)"
            raise StashOverflowError(msg)
        self._stash.append(stashed(envelope))

    def unstash(self) -> None:
        """Put all stashed messages back in front of the mailbox, in their order."""
        self.cell.mailbox.put_back(self.take_stash())

    def take_stash(self) -> list[Envelope]:
        """Empty the stash and return what was in it, oldest first."""
        stash, self._stash = self._stash, None
        return stash or []


def _cell_of(ref: object) -> Cell:
    cell = getattr(ref, "_cell", None)
    if not isinstance(cell, Cell):
        msg = f"{safe_repr(ref)} is no actor ref; give what `start` returned"
        raise TypeError(msg)
    return cell
