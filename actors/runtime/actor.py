"""`AsyncioActor`: Pykka's actor on an event loop. An idle actor has no task and no thread."""

import inspect
from collections.abc import Awaitable, Callable, Coroutine
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeVar, cast
from weakref import ref as weak

import pykka

from actors.runtime.background_loop import current_system
from actors.runtime.cell import ActorHooks, Cell, Mailbox, cell_of, constructing, is_started
from actors.runtime.death_watch import is_news, link, unwatch, watch
from actors.runtime.envelope import Envelope, current
from actors.runtime.errors import DeathPactError, StashOverflowError
from actors.runtime.future import AsyncioFuture
from actors.runtime.lifecycle import begin
from actors.runtime.mailbox import BoundedMailbox, MailboxConfig
from actors.runtime.outcome import stashed
from actors.runtime.owned_tasks import PendingTask, PendingTimer
from actors.runtime.ref import ActorRef
from actors.runtime.system import ActorSystem
from actors.runtime.thread_bridge import on_own_loop
from protocols.control import DeadLetterReason, Terminated
from protocols.durable import Durable
from protocols.errors import safe_repr

T = TypeVar("T")


if TYPE_CHECKING:
    # Pykka declares its hooks as plain functions that return None. Type checkers are not told of that base, so that
    # users may write them as `async def`.
    class _PykkaActor:
        def _handle_receive(self, message: Any) -> Any: ...

else:
    _PykkaActor = pykka.Actor


class _SystemView:
    """The system of an actor. An actor may have an attribute of this name instead; the engine does not read it."""

    def __get__(self, actor: ActorHooks, owner: type[ActorHooks]) -> ActorSystem:
        return cast("ActorSystem", cell_of(actor).system)


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

    An exception in a handler is a crash: the asker gets it, the supervisor decides; without one the actor ends.
    Raise `Reject` to refuse a message without a crash.
    """

    mailbox: ClassVar[MailboxConfig | None] = None
    """Size and overflow policy; None takes the system's."""
    max_concurrency: ClassVar[int] = 1
    """Messages handled at once. More than 1: reentrant, without order and without the check for ask cycles."""
    ask_timeout: ClassVar[float | None] = None
    """Seconds of an ask without a timeout; None takes the system's (30)."""
    blocking: ClassVar[bool] = False
    """True if `on_receive`, a plain `def`, blocks: it then runs in a bounded pool of threads."""
    redeliver: ClassVar[bool] = False
    """True if a message whose handler crashed is handled once more, by the next incarnation: at least once."""
    durable: ClassVar[Durable | None] = None
    """The messages that are kept in the journal of the system until they are handled, and how; see `Durable`."""
    death_pact: ClassVar[bool] = False
    """True if the end of a watched actor crashes this one, unless `on_terminated` is overridden."""

    def __new__(cls, *_args: Any, **_kwargs: Any) -> Self:
        """Take the cell that is being started, so that `__init__` can use `self.actor_ref`."""
        actor = super().__new__(cls)
        cell = constructing.get()
        if cell is not None:
            constructing.set(None)
            actor._actor_cell = cell
            cell.kind = cls
            if cls.durable is not None:
                cell.system.journal.keep(cell)
        return actor

    def __init__(self, *_args: Any, **_kwargs: Any) -> None:  # pyright: ignore[reportMissingSuperCall] - the cell holds what Pykka's would make
        """Do nothing, with any arguments, as Pykka's does; an override need not call it."""

    @staticmethod
    def _create_actor_inbox() -> Any:
        return BoundedMailbox("unstarted", MailboxConfig())

    @staticmethod
    def _create_future() -> AsyncioFuture[Any]:
        return AsyncioFuture()

    def _start_actor_loop(self) -> None:
        begin(self._actor_cell)

    @classmethod
    def start(cls, *args: Any, **kwargs: Any) -> ActorRef[Self]:  # pyright: ignore[reportIncompatibleMethodOverride] # a subclass of Pykka's
        """Start an actor with these constructor arguments and return its ref.

        Inside a running loop the actor lives on that loop, in the system of the running handler or the loop's default
        system; ``await ref.ready()`` waits for `on_start`. Elsewhere it lives on the one background loop, and the call
        returns when `on_start` has run. For a name or a mailbox use `ActorSystem.start` or a `ChildSpec`.

        Raises:
            Exception: whatever the constructor raised.
            ActorStartError: outside a loop, when `on_start` failed.
        """
        return current_system().start(cls, args, kwargs)

    system = _SystemView()
    """The system that the actor lives in."""

    @property
    def actor_ref(self) -> ActorRef[Self]:  # pyright: ignore[reportIncompatibleMethodOverride] # a subclass of Pykka's
        """The actor's own ref; valid in `__init__`."""
        return cast("ActorRef[Self]", self._actor_cell.ref)

    @property
    def actor_urn(self) -> str:  # pyright: ignore[reportIncompatibleVariableOverride]
        """A URN, unique for ever."""
        return self.actor_ref.actor_urn

    @property
    def actor_inbox(self) -> Mailbox[Envelope]:  # pyright: ignore[reportIncompatibleVariableOverride]
        """The mailbox."""
        return self._actor_cell.mailbox

    def __str__(self) -> str:
        return str(self._actor_cell.ref) if is_started(self) else f"{type(self).__name__} (not started)"

    def on_terminated(self, terminated: Terminated) -> Any:
        """Called once when a watched actor stops, after its last message. See `death_pact`."""
        if self.death_pact:
            message = f"actor {self._actor_cell.name} does not outlive {terminated.ref}"
            raise DeathPactError(message) from terminated.cause

    def _handle_receive(self, message: Any) -> Any:
        """Handle a message of a proxy, or the end of a watched actor."""
        if isinstance(message, Terminated):
            return self.on_terminated(message) if is_news(self._actor_cell, _cell_of(message.ref)) else None
        return super()._handle_receive(message)  # pyright: ignore[reportUnknownVariableType] # untyped in Pykka

    def stop(self) -> None:
        """Stop after the messages that wait now; the same as ``self.actor_ref.stop(block=False)``."""
        self.actor_ref.stop(block=False)

    @property
    def is_cancelled(self) -> bool:
        """True if the current message need not be finished: its asker gave up, or the actor must end.

        For handlers that block: no `CancelledError` reaches them.
        """
        envelope = current.get()
        if envelope is None:
            return False
        return envelope.abandoned is not None or (envelope.turn is not None and envelope.turn.cancelled)

    def take_reply(self) -> AsyncioFuture[Any] | None:
        """Return the future of the current ask, to answer it later or to `ActorRef.forward` it; None without one.

        An actor that ends, or crashes, before it has done either fails the ask with `ActorStoppingError`.
        """
        cell = self._actor_cell
        envelope = _in_hand(cell, "take_reply")
        reply, envelope.reply = envelope.reply, None
        if reply is not None:
            owed = cell.owed = set() if cell.owed is None else cell.owed
            owed.add(weak(reply, owed.discard))  # a WeakSet would make a chain of ten 7 % slower
        if envelope.inner:
            envelope.cell.system.deadlines.part(envelope)
        return cast("AsyncioFuture[Any] | None", reply)

    @on_own_loop
    def fail_reply(self, error: Exception) -> None:
        """Answer the current message with an error, without a crash; a message without asker becomes a dead letter.

        Raises:
            Exception: `error`, if the child spec names its type in `crash_on`: that is a crash of this actor.
        """
        if isinstance(error, self._actor_cell.crash_on):
            raise error
        envelope = current.get()
        reply = self.take_reply()
        if reply is not None:
            reply.release()
            reply.fail(error)
        elif envelope is not None:
            self._actor_cell.system.dead_letters.add(envelope, DeadLetterReason.FAILED, error)

    @on_own_loop
    def watch(self, ref: ActorRef[Any]) -> None:
        """Have `on_terminated` called exactly once when that actor ends for good; at once if it ended before."""
        watch(self._actor_cell, _cell_of(ref))

    @on_own_loop
    def unwatch(self, ref: ActorRef[Any]) -> None:
        """Take a watch back, even if the news of the end waits in the mailbox."""
        unwatch(self._actor_cell, _cell_of(ref))

    @on_own_loop
    def link(self, ref: ActorRef[Any]) -> None:
        """Link two actors: when one of them ends abnormally, the other is killed."""
        link(self._actor_cell, _cell_of(ref))

    @on_own_loop
    def schedule(self, delay: float, message: Any, *, interval: float | None = None) -> PendingTimer:
        """Send `message` to this incarnation after `delay` seconds, then every `interval` seconds if given."""
        return PendingTimer(self._actor_cell, delay, message, interval)

    @on_own_loop
    def create_task(self, coroutine: Coroutine[Any, Any, T]) -> PendingTask[T]:
        """Run a coroutine next to the handlers, until this incarnation ends. Its errors are reported.

        It must not touch the actor's state: let it return a value, and use `pipe_to_self`.
        """
        return PendingTask(self._actor_cell, coroutine)

    @on_own_loop
    def pipe_to_self(
        self, work: Awaitable[T], to_message: Callable[[T | None, BaseException | None], Any]
    ) -> PendingTask[None]:
        """Wait for something next to the handlers, and send its outcome to this incarnation.

        Args:
            work: anything that can be awaited.
            to_message: makes the message of (result, None) or (None, error).
        """
        life = self._actor_cell.incarnation

        async def pipe() -> None:
            try:
                message = to_message(await work, None)
            except Exception as error:  # the outcome is a message
                message = to_message(None, error)
            if self._actor_cell.incarnation == life and self._actor_cell.actor is self:
                self.actor_ref.tell(message)

        task = PendingTask(self._actor_cell, pipe())
        if inspect.iscoroutine(work):
            task.when_done(work.close)  # a task that is cancelled before its first step never awaits it
        return task

    @on_own_loop
    def stash(self) -> None:
        """Put the current message aside until `unstash`; its asker keeps waiting.

        Raises:
            StashOverflowError: the stash is full; the message is not kept.
        """
        cell = self._actor_cell
        envelope, limit = _in_hand(cell, "stash"), cell.system.config.stash
        cell.stash = cell.stash or []
        if len(cell.stash) >= limit:
            raise StashOverflowError(f"actor {cell.name}: the stash is full ({limit} messages)")
        cell.stash.append(stashed(envelope))

    @on_own_loop
    def unstash(self) -> None:
        """Put all stashed messages back in front of the mailbox, in their order."""
        cell = self._actor_cell
        stash, cell.stash = cell.stash, None
        cell.mailbox.put_back(stash or [])


def _in_hand(cell: Cell, method: str) -> Envelope:
    envelope = current.get()
    if envelope is None or envelope.cell is not cell:
        raise RuntimeError(f"{method}: there is no message in hand here")
    return envelope


def _cell_of(ref: object) -> Cell:
    cell = getattr(ref, "_cell", None)
    if not isinstance(cell, Cell):
        raise TypeError(f"{safe_repr(ref)} is no actor ref; give what `start` returned")
    return cell
