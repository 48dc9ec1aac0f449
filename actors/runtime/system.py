"""An actor system: the actors of one event loop, their names, their end. A process, and a loop, may have several."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, Self, TypeVar, cast

import msgspec

from actors.runtime.cell import ActorHooks, Cell, ChildEnded, has_hook
from actors.runtime.clock import LoopClock, running_loop
from actors.runtime.crash import interrupt
from actors.runtime.cycle import WaitingFuture
from actors.runtime.daemon_thread import DaemonExecutor
from actors.runtime.dead_letters import DeadLetters
from actors.runtime.deadline import Deadlines
from actors.runtime.death_watch import post_child_event, tell_end
from actors.runtime.dispatcher import Dispatcher, engine_task, rouse
from actors.runtime.envelope import current
from actors.runtime.errors import ActorStartError, ForkedRuntimeError, RuntimeClosedError, WrongLoopError
from actors.runtime.event_stream import EventStream
from actors.runtime.lifecycle import begin, new_cell
from actors.runtime.log import LimitedLogger, error_line
from actors.runtime.options import DEFAULT, StartOptions, SystemConfig, check_timeout
from actors.runtime.phase import Phase
from actors.runtime.ref import ActorRef
from actors.runtime.registry import Registry, default_systems, systems
from actors.runtime.shutdown import STOP_ACTORS, Shutdown
from actors.runtime.stop import end_all, request_stop
from actors.runtime.termination import terminate
from actors.runtime.thread_bridge import ThreadBridge
from actors.runtime.tree import ActorNode, ActorRow, rows_of, tree_of
from actors.runtime.turn import Turn
from protocols.clock import Clock
from protocols.control import ExitReason, StopMode
from protocols.durable import Keeper, keeper_of
from protocols.errors import of_kind
from protocols.handle import Handle

A = TypeVar("A", bound="ActorHooks")
T = TypeVar("T")


class ActorSystem(Handle, Registry):
    """Owns actors that live on one `loop`, by default the running one. It starts no thread, sets no signal handler.

    `AsyncioActor.start` uses the default system of the running loop. Make one for names, limits and an end of your own:

    Example:
        ```python
        async with ActorSystem("orders") as system:
            ref = system.start(Counter, (5,), name="counter")
            await ref.ask(1)
        ```
    """

    _of_the_engine = (
        "add begin_close bridge cells check_loop check_name check_open child_ended deadlines forget has_ended hurry "
        "interrupt is_closing is_forked is_torn_down late_replies log_limited note_base_exception orphans pool report "
        "reporter schedule start_cell torn_down urn_of"
    )

    def __init__(
        self,
        name: str = "system",
        *,
        config: SystemConfig | None = None,
        clock: Clock | None = None,
        dispatcher: Callable[[asyncio.AbstractEventLoop, str], Dispatcher] = Dispatcher,
        loop: asyncio.AbstractEventLoop | None = None,
        journal: Keeper | None = None,
    ) -> None:
        super().__init__()
        self.name = name
        self.config = config or SystemConfig()
        """Limits and defaults of the actors."""
        self.journal = keeper_of(journal)
        """Keeps what durable actors accept, from `async with` to the end of the system."""
        self.loop = loop or asyncio.get_running_loop()
        self.clock: Clock = clock or LoopClock(self.loop)
        """Measures every time; a `ManualClock` in tests."""
        self.is_closing = False
        self.is_closed = False
        self.late_replies = 0
        self.exit_reason: BaseException | None = None
        """The SystemExit, KeyboardInterrupt or final failure that started the end of this system."""
        self.reporter = LimitedLogger(name)
        self.reporter.on_failure = self.note_base_exception
        self.events = EventStream(name, self._subscriber_failed)
        self.dead_letters = DeadLetters(self, self.config.dead_letters)
        self.deadlines = Deadlines(self.clock)
        self.bridge = ThreadBridge(self)
        self.pool = DaemonExecutor(self.config.blocking_threads, "understage-blocking")
        self.dispatcher = dispatcher(self.loop, name)
        """Gives actors their turns; a `DeterministicDispatcher` in tests."""
        self.dispatcher.watch_teardown(self.torn_down)
        self.schedule: Callable[[Cell], None] = self.dispatcher.schedule
        self.shutdown = Shutdown(self.clock, self.reporter)
        """What happens when the system ends, in phases; add phases and tasks of your own."""
        self.shutdown.add_phase(STOP_ACTORS, timeout=None)
        self._closing: asyncio.Future[list[str]] | None = None
        systems.add(self)

    @classmethod
    def of(cls, loop: asyncio.AbstractEventLoop, name: str = "default") -> "ActorSystem":
        """Return the default system of a loop, making it on first use."""
        system = cast("ActorSystem | None", default_systems.get(loop))
        if system is None or system.is_closed:
            for gone in [other for other in default_systems if other.is_closed()]:
                del default_systems[gone]
            system = default_systems[loop] = cls(name, loop=loop)
        return system

    def start(
        self,
        actor_class: Callable[..., A],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
        *,
        name: str | None = None,
        options: StartOptions = DEFAULT,
    ) -> ActorRef[A]:
        """Start an actor. On the loop this returns at once (see `ActorRef.ready`), in a thread when `on_start` has run.

        Args:
            actor_class: the class, or a function that makes the actor; called now, and again at each restart.
            args: positional arguments.
            kwargs: keyword arguments.
            name: short for ``StartOptions(name=...)``.
            options: name, mailbox, supervisor, limits.

        Raises:
            AlreadyStartedError: the name is taken.
            RuntimeClosedError: the system is closing or closed.
            WrongLoopError: another event loop runs here than that of the system.
            Exception: an error of the constructor.
        """
        if name is not None:
            options = msgspec.structs.replace(options, name=name)
        if running_loop() is self.loop:
            return cast("ActorRef[A]", self.start_cell(actor_class, args, kwargs, options).ref)
        self.check_open()
        started = self.bridge.call(lambda: self.start_cell(actor_class, args, kwargs, options).ref.ready())  # noqa: PLW0108 - there
        return cast("ActorRef[A]", started)

    def start_cell(
        self, factory: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any] | None, options: StartOptions
    ) -> Cell:
        """Start an actor and return its cell (for supervisors)."""
        if self.is_closing or self.is_closed:
            raise RuntimeClosedError(f"system {self.name} is closing and starts no actors")
        if not callable(cast("object", factory)):
            raise ActorStartError(f"cannot start {factory!r}: it is no actor class and no function that makes an actor")
        name = options.name if options.is_registered else None
        self.check_name(name)
        cell = new_cell(self, factory, args, kwargs, options)
        self.add(cell, name)
        try:
            begin(cell)
        except BaseException:
            terminate(cell, ExitReason.START_FAILED, None)
            raise
        return cell

    def in_thread(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return an async function that runs `function` in the bounded pool of threads of this system."""
        return self.pool.wrap(function)

    def check_open(self) -> None:
        """Raise if nothing can be sent from a thread: ForkedRuntimeError, RuntimeClosedError."""
        if self.is_forked:
            raise ForkedRuntimeError(f"system {self.name} was started before the process forked; start it in the child")
        if self.is_closed or self.loop.is_closed():
            raise RuntimeClosedError(f"system {self.name} is closed")

    def check_loop(self) -> None:
        """Raise WrongLoopError unless the caller runs on the loop of this system."""
        if running_loop() is not self.loop:
            raise WrongLoopError(f"system {self.name} lives on another event loop than the one that runs here")

    def interrupt(self, turn: Turn) -> None:
        """Cancel a waiting handler."""
        interrupt(turn)

    def child_ended(self, event: ChildEnded, parent: Cell) -> None:
        """Tell a parent that an incarnation of its child ended."""
        post_child_event(parent, event)

    def has_ended(self, cell: Cell) -> None:
        """Forget an actor that ended for good; tell the watchers, the linked actors and the parent."""
        self.forget(cell)
        self.events.forget(cell.ref)
        tell_end(cell)

    def is_torn_down(self) -> bool:
        """Return True if the loop is being torn down; all actors have ended then."""
        return self.dispatcher.is_torn_down and self.torn_down()

    def note_base_exception(self, error: BaseException) -> None:
        """Begin the orderly end of the system after a SystemExit or KeyboardInterrupt; the loop lives on."""
        if of_kind(error, SystemExit, KeyboardInterrupt) and not self.is_closing:
            self.exit_reason = error
            self.begin_close()

    def report(self, event: str, cell: Cell | None, *, error: BaseException | None = None, **fields: Any) -> None:
        """Write an error line about an actor, at a limited rate."""
        text = None if error is None else error_line(error)
        name = cell.name if cell is not None else ""
        self.reporter.limited(self.clock.now(), event, logging.ERROR, actor=name, error=text, **fields)

    def _subscriber_failed(self, event: str, error: BaseException) -> None:
        self.report(event, None, error=error)
        self.note_base_exception(error)

    def log_limited(self, event: str, **fields: Any) -> None:
        """Write a warning that may repeat often."""
        self.reporter.limited(self.clock.now(), event, **fields)

    def tree(self) -> tuple[ActorNode, ...]:
        """Return a snapshot of the supervision tree: the actors without a supervisor, each with its children."""
        return tree_of(self.rows())

    def rows(self) -> Iterator[ActorRow]:
        """Return the actors of the tree, supervisors before their children.

        Each is looked at when it is taken; let the loop turn between, and those that end meanwhile are left out.
        """
        return rows_of(self.cells)

    async def stop_all(self, *, timeout: float | None = None, mode: str = "drain") -> list[str]:
        """Stop all actors at once, as `ActorRef.stop` does; supervisors stop their children.

        Returns:
            The names of the actors whose handler ignored its cancellation and was cut loose.
        """
        self.check_loop()
        check_timeout(timeout)
        stop_mode = StopMode(mode)
        await self.bridge.take_in()
        before = {cell: cell.abandoned_turns for cell in self.cells}
        seconds = self.config.stop_timeout if timeout is None else timeout
        roots = [cell for cell in reversed(tuple(self.cells)) if cell.parent is None]
        await self._until(end_all(roots, lambda cell: request_stop(cell, stop_mode, seconds, ExitReason.SHUTDOWN)))
        return [cell.name for cell, count in before.items() if cell.abandoned_turns > count]

    def begin_close(self, timeout: float | None = None) -> asyncio.Future[list[str]]:
        """Begin to end the system and return at once; what `close` waits for. Asking again changes nothing."""
        check_timeout(timeout)
        if self._closing is None:
            self.is_closing = True
            self._closing = engine_task(self.loop, self._close(timeout), f"{self.name}-close")
            rouse(self.loop)
        return self._closing

    def hurry(self) -> None:
        """End the patience of a system that is closing: running handlers are cancelled now, queued mail is dropped."""
        self.shutdown.hurry()
        rouse(self.loop)
        for cell in tuple(self.cells):
            request_stop(cell, StopMode.NOW, 0.0, ExitReason.SHUTDOWN)

    async def close(self, *, timeout: float | None = None) -> list[str]:
        """Run the phases of `shutdown`, in one of which all actors stop; closing twice waits for the same end.

        Returns:
            The names of actors whose handlers ignored their cancellation, `timeout` seconds after the stop.
        """
        if self.is_closed:
            return []
        self.check_loop()
        return await self._until(asyncio.shield(self.begin_close(timeout)))

    async def _until(self, work: Awaitable[T]) -> T:
        """Wait for the end of all actors. A handler of one of them is refused, since it would wait for itself."""
        scope = current.get()
        if scope is None:
            return await work
        end: WaitingFuture[T] = WaitingFuture(
            self.loop, [cell for cell in self.cells if cell.parent is None], ends=True
        )
        end.sender = scope.cell
        asyncio.ensure_future(work).add_done_callback(end.end_as)
        return await end

    async def _close(self, timeout: float | None) -> list[str]:
        stuck: list[str] = []

        async def stop_actors() -> None:
            stuck.extend(await self.stop_all(timeout=timeout))

        self.shutdown.add_task(STOP_ACTORS, "all", stop_actors)
        await self.shutdown.run()
        self._closed()
        return stuck

    def _closed(self) -> None:
        self.is_closing = self.is_closed = True
        self.bridge.close()
        self.pool.shutdown(cancel_futures=True)
        self.dispatcher.close()
        systems.discard(self)
        if default_systems.get(self.loop) is self:
            del default_systems[self.loop]

    def torn_down(self) -> bool:
        """End everything at once without hooks, as the loop is being torn down."""
        if self.is_closed:
            return True
        is_own = default_systems.get(self.loop) is not self  # else no user closes it
        alive = [cell.name for cell in self.cells if is_own or cell.turns or len(cell.mailbox) or _cleans_up(cell)]
        error = RuntimeClosedError(f"the event loop of system {self.name} is being closed")
        for cell in reversed(tuple(self.cells)):
            if cell.phase is not Phase.STOPPED:
                cell.killed = True
                terminate(cell, ExitReason.KILLED, error)
        if alive:
            self.reporter.line(logging.WARNING, "the event loop ended before on_stop could run", actors=alive[:20])
        self._closed()
        return True

    async def __aenter__(self) -> Self:
        await self.journal.open(self)
        return self

    async def __aexit__(self, *_exc: object) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"<ActorSystem {self.name!r} with {len(self.cells)} actors>"


def _cleans_up(cell: Cell) -> bool:
    return cell.actor is not None and has_hook(cell.actor, "on_stop")
