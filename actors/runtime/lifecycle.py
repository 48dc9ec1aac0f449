"""How an actor begins: its ref and its mailbox stay while the actor object is started and restarted.

Every change of life is a control step of the actor, run by a worker like a message: it overlaps no handler.
"""

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, cast

from actors.runtime.cell import ActorHooks, Cell, System, constructing, has_hook
from actors.runtime.crash import interrupt_all
from actors.runtime.cycle import WaitingFuture
from actors.runtime.errors import without_frames
from actors.runtime.future import AsyncioFuture
from actors.runtime.intake import push_control, wake
from actors.runtime.options import StartOptions, check_class
from actors.runtime.phase import ENDING, NEXT_TO_END, Phase
from actors.runtime.ref import ActorRef
from actors.runtime.stop import finish_start, stop_children
from actors.runtime.termination import (
    add_ready_waiter,
    not_started,
    ready,
    start_error,
    start_failed,
    take_ready_waiters,
)
from protocols.clock import TimerHandle
from protocols.events import ActorRestarted, ActorStarted


def new_cell(
    system: System, factory: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any] | None,
    options: StartOptions,
) -> Cell:  # fmt: skip
    """Make the record of an actor; `begin` starts it."""
    mailbox = getattr(factory, "mailbox", None)
    concurrency = getattr(factory, "max_concurrency", 1)
    timeout = getattr(factory, "ask_timeout", None)
    if mailbox is not None or timeout is not None or concurrency != 1:
        check_class(factory)
    config = system.config
    make_mailbox = getattr(factory, "make_mailbox", None)
    fitting = options.mailbox or mailbox or config.mailbox
    name = str(options.name or getattr(factory, "__name__", type(factory).__name__))
    cell = Cell(
        system, factory, args, kwargs, name,
        mailbox=fitting.build(name) if make_mailbox is None else make_mailbox(name, fitting),
        max_concurrency=1,
        ask_timeout=config.ask_timeout if timeout is None else timeout,
        start_timeout=config.start_timeout if options.start_timeout is None else options.start_timeout,
        parent=options.parent,
    )  # fmt: skip
    cell.max_concurrency = _concurrency(cell, options.max_concurrency or concurrency)
    cell.ref = ActorRef(cell)
    return cell


def _concurrency(cell: Cell, wanted: int | None) -> int:
    """Return how many messages are handled at a time: one if nothing else keeps some of them in order."""
    is_serial = getattr(cell.factory, "is_serial", False) and not hasattr(cell.mailbox, "before")
    return 1 if is_serial else int(wanted or 1)


def refit(cell: Cell, factory: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], mailbox: Any) -> None:
    """Make the next incarnation from something else; limits of concurrency and mailbox hold at once.

    Raises:
        ValueError: the mailbox would have to be of another kind; nothing has changed.
    """
    cell.mailbox.limit(mailbox or getattr(factory, "mailbox", None) or cell.system.config.mailbox)
    cell.factory, cell.args, cell.kwargs = factory, args, kwargs
    cell.max_concurrency = _concurrency(cell, getattr(factory, "max_concurrency", 1))


def begin(cell: Cell) -> None:
    """Make the actor object now, then run `on_start` before the first message. Raises what the constructor raises."""
    actor = _construct(cell)
    if cell.phase is not Phase.STOPPED:  # it may stop itself in its constructor
        _live(cell, actor)


def revive(cell: Cell) -> AsyncioFuture[Any]:
    """Start the next incarnation behind the same ref and mailbox; the future is that of `ready`."""
    assert cell.phase == Phase.HELD, f"{cell.name} is {cell.state}, it cannot be revived"
    cell.incarnation += 1
    cell.restarts += 1
    cell.killed = False
    cell.reason = None
    try:
        actor = _construct(cell)
    except BaseException as error:  # it is told to the supervisor, which decides
        failure = start_error(cell, error)
        not_started(cell, error, failure)
        cell.system.note_base_exception(error)
        failed: AsyncioFuture[Any] = AsyncioFuture(loop=cell.loop)
        failed.fail(failure)
        return failed
    if cell.phase >= Phase.STOPPED:  # it may stop itself in its constructor
        return ready(cell)
    future: WaitingFuture[Any] = WaitingFuture(cell.loop, (cell,))
    add_ready_waiter(cell, future)
    _live(cell, actor)
    return future


def _construct(cell: Cell) -> ActorHooks:
    """Make the actor object of the current incarnation."""
    token = constructing.set(cell)
    try:
        actor: ActorHooks = cell.factory(*cell.args, **(cell.kwargs or {}))
    finally:
        constructing.reset(token)
    cell.kind = type(actor)
    actor._actor_cell = cell  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] - the one name that the engine takes on it
    if getattr(actor, "blocking", False) and not inspect.iscoroutinefunction(actor.on_receive):
        actor.on_receive = cell.system.in_thread(actor.on_receive)  # type: ignore[method-assign]
    return actor


def _live(cell: Cell, actor: ActorHooks) -> None:
    cell.actor = actor
    if not has_hook(actor, "on_start"):
        _opened(cell)
        return
    cell.enter(Phase.STARTING)
    push_control(cell, partial(_run_start, cell))


def _start_overdue(cell: Cell) -> None:
    cell.start_timer = None
    interrupt_all(cell)


async def _run_start(cell: Cell) -> None:
    actor = cell.actor
    assert actor is not None
    cell.start_timer = cell.system.clock.call_later(cell.start_timeout, _start_overdue, cell)
    error = await _on_start(cell, actor)
    if cell.actor is not actor:
        return  # it was cut loose
    timer, cell.start_timer = cast("TimerHandle | None", cell.start_timer), None
    if timer is not None:
        timer.cancel()
    if error is None:
        _started(cell)
        return
    cell.system.note_base_exception(error)
    if cell.phase not in ENDING:
        cell.enter(NEXT_TO_END[cell.phase])
    await stop_children(cell)
    if cell.actor is actor:
        start_failed(cell, error, overdue=timer is None)


def _started(cell: Cell) -> None:
    if cell.phase is Phase.STARTING:
        _opened(cell)
        return
    if cell.phase is not Phase.UNSTARTED:  # else a step of supervision broke meanwhile, and nothing has started
        _answer_ready(cell)
    if cell.phase not in ENDING:
        finish_start(cell)


async def _on_start(cell: Cell, actor: ActorHooks) -> BaseException | None:
    try:
        if cell.phase >= Phase.SUSPENDING and not (cell.phase >= Phase.CLOSING and len(cell.mailbox)):
            return asyncio.CancelledError()  # told to end before it began, and nothing to drain
        result = actor.on_start()
        if isinstance(result, Awaitable):
            await result
    except BaseException as error:  # a failing start has one way out, whatever it raised
        return error
    return None


def _opened(cell: Cell) -> None:
    cell.enter(Phase.RUNNING)
    cell.cause = without_frames(cell.cause)
    cell.open = True
    if cell.scheduled or len(cell.mailbox):
        wake(cell)
    else:
        cell.idle = True
    events = cell.system.events
    if cell.incarnation == 1:
        if events.wants(ActorStarted):
            events.publish(ActorStarted, actor=cell.name, actor_type=type(cell.actor).__name__)
    elif events.wants(ActorRestarted):
        events.publish(ActorRestarted, actor=cell.name, incarnation=cell.incarnation, queued=len(cell.mailbox))
    _answer_ready(cell)


def _answer_ready(cell: Cell) -> None:
    for waiter in take_ready_waiters(cell):
        waiter.answer(cell.ref)
