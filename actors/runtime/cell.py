"""The record of one live actor, and the protocols at which the parts of the engine meet.

The parts are functions over the record: `intake` and `processing` handle messages, `outcome` settles them;
`lifecycle`, `stop`, `crash` and `termination` lead the actor from one phase to the next.
"""

import asyncio
import inspect
from collections import OrderedDict, deque
from collections.abc import Callable, Coroutine
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar, cast
from weakref import ReferenceType

from actors.runtime.errors import UnhandledMessageError
from actors.runtime.event_stream import EventStream
from actors.runtime.phase import TRANSITIONS, Phase, state_of
from protocols.clock import Clock, TimerHandle
from protocols.control import ActorState, ExitReason, StopMode
from protocols.mailbox import Overflow

E = TypeVar("E")

Control = Callable[[], Coroutine[Any, Any, None] | None]
"""A step of an actor's own life. It runs like a message, before all messages."""


class Mailbox(Protocol[E]):
    """What the engine needs of a mailbox; docs/add-a-mailbox.md shows how to write one.

    All calls come from the event loop of the actor. `E` is the `Envelope`.
    """

    who: str
    """Name of the actor, for errors."""
    config: Any
    """The `MailboxConfig` it was made from."""
    capacity: int
    """Most messages that wait."""
    overflow: Overflow
    closed: bool
    """True if the mailbox refuses messages."""
    fifo: deque[E] | None
    """The queue itself, if messages need neither `put`, `take` nor `ack`; None for the engine to call them."""

    def put(self, envelope: E, /) -> E | None:
        """Accept a message and return the one that lost its place, or None. Raises like `BoundedMailbox.put`."""

    def put_system(self, envelope: E, /) -> None:
        """Accept a message of the engine behind all others, even when full or closed."""

    def put_back(self, envelopes: list[E], /) -> None:
        """Put accepted messages in front of the others, in their order."""

    def take(self) -> E | None:
        """Take the next message, or None."""

    def ack(self, envelope: E, /) -> None:
        """Note that a message is settled: handled, failed or a dead letter."""

    def oldest(self) -> E | None:
        """Return the message that has waited longest, or None."""

    def limit(self, config: Any, /) -> None:
        """Follow other limits. Raises ValueError if another kind of mailbox is needed."""

    def close(self) -> None:
        """Refuse messages from now on. What waits stays."""

    def reopen(self) -> None:
        """Take messages again, for the next incarnation."""

    def clear(self) -> list[E]:
        """Take out everything, oldest first."""
        ...

    def __len__(self) -> int: ...


class _NotStarted:
    """Stands for the cell of an actor that was made by calling its class."""

    def __get__(self, actor: Any, owner: type[Any]) -> "Cell":
        name = owner.__name__
        raise RuntimeError(f"{name} was not started; use {name}.start(...)")


class ActorHooks:
    """What the engine calls on an actor object, with what an actor does that overrides nothing.

    All that the engine keeps of an actor is in its cell, so users may name their attributes as they like.
    """

    _actor_cell: "Cell" = cast("Cell", _NotStarted())

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for name in ("on_receive", "on_start", "on_stop", "on_failure", "on_terminated"):
            if inspect.isasyncgenfunction(getattr(cls, name, None)):
                raise TypeError(f"{cls.__name__}.{name} is an async generator, which nobody reads: it must not `yield`")

    def on_receive(self, message: Any) -> Any:
        """Handle a message; what is returned (or awaited) is the reply. May be `async def`.

        Raises:
            UnhandledMessageError: by default for every message. Not a crash: it goes to the asker, or to dead letters.
        """
        self.unhandled(message)

    def unhandled(self, message: Any) -> None:
        """Raise UnhandledMessageError; call it at the end of your own `on_receive`."""
        name = self._actor_cell.name if is_started(self) else ""
        text = f"actor {name} ({type(self).__name__}) has no handler for {type(message).__name__}"
        raise UnhandledMessageError(text, message=message)

    def on_start(self) -> Any:
        """Run before the first message; may be `async def`. An error here ends the actor."""

    def on_stop(self) -> Any:
        """Run after the last message of an orderly end, also before an orderly restart; may be `async def`."""

    def on_failure(self, exception_type: type[BaseException], exception_value: BaseException, traceback: Any) -> Any:
        """Run after a crash instead of `on_stop`; may be `async def`."""


class Supervision(Protocol):
    """What a supervisor decides about its children. It belongs to one incarnation."""

    stops_together: bool
    """True if children are stopped all at once, not one after the other."""

    def ended(self, event: "ChildEnded", /) -> None:
        """Decide about a child that ended. It may run between the awaits of a handler."""

    def holds(self, child: "Cell", reason: ExitReason, /) -> bool:
        """Return True if a child that ended so keeps its ref and its mailbox for a restart."""
        ...

    def resumes(self, child: "Cell", error: BaseException, /) -> bool:
        """Return True if the child continues after this error without a restart."""
        ...

    def in_start_order(self, children: "tuple[Cell, ...]", /) -> "tuple[Cell, ...]":
        """Sort the children so that the last one to stop comes first."""
        ...


def is_started(actor: ActorHooks) -> bool:
    """Return True unless the actor was made by calling its class."""
    return "_actor_cell" in vars(actor)


def cell_of(actor: ActorHooks) -> "Cell":
    """Return the cell of an actor object. Raises RuntimeError if it was not started."""
    return actor._actor_cell  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] - the one name that the engine takes on it


def has_hook(actor: ActorHooks, name: str) -> bool:
    """Return True if the actor has a hook of its own, from its class or patched in later."""
    return getattr(getattr(actor, name), "__func__", None) is not getattr(ActorHooks, name)


class System(Protocol):
    """What a cell needs of its actor system; `ActorSystem` describes each member."""

    name: str
    config: Any  # SystemConfig
    loop: asyncio.AbstractEventLoop
    clock: Clock
    events: EventStream
    dead_letters: Any  # DeadLetters
    deadlines: Any  # Deadlines
    bridge: Any  # ThreadBridge
    dispatcher: Any  # Dispatcher
    journal: Any  # Keeper
    is_closed: bool
    is_forked: bool
    late_replies: int
    schedule: "Callable[[Cell], None]"

    def start(
        self, actor_class: Callable[..., Any], args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None, *,
        name: str | None = None, options: Any = ...,
    ) -> Any:  # fmt: skip
        """Start an actor and return its ref."""

    def in_thread(self, function: Callable[..., Any], /) -> Callable[..., Any]:
        """Return an async function that runs a plain one in a thread."""
        ...

    def check_open(self) -> None:
        """Raise if nothing can be sent from a thread."""

    def check_loop(self) -> None:
        """Raise WrongLoopError unless the caller runs on the loop of this system."""

    def urn_of(self, cell: "Cell", /) -> str:
        """Return the URN of an actor."""
        ...

    def report(self, event: str, cell: "Cell | None", *, error: BaseException | None = None, **fields: Any) -> None:
        """Write an error line about an actor."""

    def log_limited(self, event: str, **fields: Any) -> None:
        """Write a warning that may repeat often."""

    def note_base_exception(self, error: BaseException, /) -> None:
        """Begin the end of the system after a SystemExit or KeyboardInterrupt."""

    def is_torn_down(self) -> bool:
        """Return True if the loop is being torn down; all actors have ended then."""
        ...

    def interrupt(self, turn: Any, /) -> None:
        """Cancel a waiting handler."""

    def child_ended(self, event: "ChildEnded", parent: "Cell", /) -> None:
        """Tell a parent that an incarnation of its child ended."""

    def has_ended(self, cell: "Cell", /) -> None:
        """Forget an actor that ended for good; tell the watchers, the linked actors and the parent."""


@dataclass(slots=True, eq=False, repr=False)
class Cell:
    """What stays of an actor over all its incarnations. `ActorRef` is its public face."""

    system: System
    factory: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: dict[str, Any] | None
    name: str
    mailbox: Mailbox[Any]
    max_concurrency: int
    ask_timeout: float
    start_timeout: float
    parent: "Cell | None"
    shutdown: float | StopMode | None = None
    """How the parent stops it: seconds, None for no limit, `StopMode.NOW` for kill."""
    crash_on: tuple[type[BaseException], ...] = ()
    """What is a crash even for an actor whose failures are values (see `AsyncioActor.fail_reply`)."""

    # Copies of what the system has, because each message needs them.
    loop: asyncio.AbstractEventLoop = field(init=False)
    now: Callable[[], float] = field(init=False)
    lanes: dict[float, dict[Any, float]] = field(init=False)
    schedule: "Callable[[Cell], None]" = field(init=False)
    """Queues this cell for a worker."""

    # Where it is in its life.
    ref: Any = None
    """The one `ActorRef`."""
    kind: type[ActorHooks] = ActorHooks
    """The class of the actor object of now, or of the last one."""
    urn: str | None = None
    """See `Registry.urn_of`."""
    actor: ActorHooks | None = None
    """The actor object; None between two incarnations."""
    supervision: Supervision | None = None
    """What decides about the children; None for an actor that gives up each child that ends."""
    stash: list[Any] | None = None
    """Messages that the actor has put aside."""
    phase: Phase = Phase.NEW
    killed: bool = False
    """True if the incarnation ends at once: handlers are cancelled, hooks do not run."""
    overdue: bool = False
    """True if its time to stop has passed: what still runs has the grace period, counted from its own turn."""
    incarnation: int = 1
    restarts: int = 0
    reason: ExitReason | None = None
    cause: BaseException | None = None
    start_timer: TimerHandle | None = None
    stop_timer: TimerHandle | None = None
    stop_due: float | None = None
    """When its time to stop is over, while nothing of it runs that a timer could end."""
    ready_waiters: list[Any] | None = None
    stopped_waiters: list[Any] | None = None

    # Its messages: accepted = handled + failed + dead + those that wait.
    accepted: int = 0
    handled: int = 0
    failed: int = 0
    dead: int = 0
    abandoned_turns: int = 0
    open: bool = False
    """True if messages are taken out of the mailbox now."""
    scheduled: bool = False
    """True if a worker has this cell, or the cell is queued for one."""
    idle: bool = False
    """True if the next message must schedule the cell."""
    control: deque[Control] | None = None
    turns: set[Any] | None = None
    """The suspended handlers, each a `Turn`."""
    parked: set[Any] | None = None
    """Suspended handlers that have no part in the incarnations while they wait for a person."""
    senders: OrderedDict[Any, Any] | None = None
    """Messages that wait for space in the mailbox, with what tells their senders; see `intake`."""

    # Its relations.
    children: "dict[Cell, None] | None" = None
    watchers: "dict[Cell, None] | None" = None
    watching: "dict[Cell, None] | None" = None
    links: "dict[Cell, None] | None" = None
    belongings: set[Any] | None = None
    """Timers and tasks that end with the incarnation."""
    owed: set[ReferenceType[Any]] | None = None
    """Replies that the incarnation has taken over."""

    def __post_init__(self) -> None:
        system = self.system
        self.loop = system.loop
        self.now = system.clock.now
        self.lanes = system.deadlines.lanes
        self.schedule = system.schedule

    def enter(self, phase: Phase) -> None:
        """Enter the next phase; only `TRANSITIONS` are possible."""
        assert phase in TRANSITIONS[self.phase], f"{self.name}: {self.phase.name} -> {phase.name}"
        self.phase = phase

    @property
    def state(self) -> ActorState:
        """The phase as users see it; a crashed actor that will not be restarted is stopping."""
        phase = Phase.STOPPING if self.phase is Phase.CRASHED and self.mailbox.closed else self.phase
        return state_of(phase, self.incarnation)

    @property
    def can_decide(self) -> bool:
        """True if this actor, as a parent, can still restart children."""
        return self.actor is not None and self.phase in (Phase.STARTING, Phase.RUNNING, Phase.DRAINING)


class ChildEnded:
    """Tells a parent that an incarnation of its child ended by itself."""

    __slots__ = ("cause", "child", "incarnation", "reason")

    def __init__(self, child: Cell, reason: ExitReason, cause: BaseException | None) -> None:
        self.child = child
        self.reason = reason
        self.cause = cause
        self.incarnation = child.incarnation


constructing: ContextVar[Cell | None] = ContextVar("understage_constructing", default=None)
"""The cell whose actor object is being made; `AsyncioActor.__new__` takes it."""
