"""How an actor is told to end: stop, kill, and the end of a parent; each within its time."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from typing import Any, Final, cast

from actors.runtime.cell import Cell, has_hook
from actors.runtime.cycle import WaitingFuture
from actors.runtime.intake import push_control, wake
from actors.runtime.phase import ENDING, NEXT_TO_END, ON_START, Phase
from actors.runtime.termination import close_mailbox, discard_queue, end_incarnation, stopped_future, terminate
from actors.runtime.turn import abandon_turn, arm, cancel_turns, disarm
from protocols.control import ExitReason, StopMode

_SLICE: Final = 0.004
"""Seconds of ending children after which the event loop runs other things."""
_MOST_AT_ONCE: Final = 256
"""Children that end in one step with their parent."""


def stop(cell: Cell, mode: StopMode, timeout: float | None) -> WaitingFuture[bool]:
    """Ask the actor to end, and return a future that is done when it has."""
    request_stop(cell, mode, timeout, ExitReason.NORMAL)
    return stopped_future(cell)


def request_stop(cell: Cell, mode: StopMode, timeout: float | None, reason: ExitReason) -> None:
    """Take no more messages and end, after what is queued (drain) or without it (now). Asking twice is harmless."""
    phase = cell.phase
    if phase is Phase.STOPPED:
        return
    if phase >= Phase.CLOSING:
        _hurry(cell, mode, timeout)
        return
    if cell.actor is None:
        end_incarnation(cell, reason, cell.cause)
        return
    drains = mode is StopMode.DRAIN and len(cell.mailbox) > 0 and phase is not Phase.RETIRING
    if phase in ON_START:
        cell.enter(Phase.CLOSING if drains else Phase.ABORTING)
    else:
        cell.enter(Phase.DRAINING if drains and phase is Phase.RUNNING else Phase.STOPPING)
    close_mailbox(cell)
    cell.reason = reason
    _arm_stop(cell, timeout, is_idle=not (drains or cell.turns))
    if drains:
        wake(cell)
        return
    discard_queue(cell)
    if phase is Phase.RUNNING:
        _push_finish(cell)


def _hurry(cell: Cell, mode: StopMode, timeout: float | None) -> None:
    if mode is StopMode.NOW:
        _drain_no_more(cell)
    if timeout is not None and not cell.killed:
        _arm_stop(cell, timeout)


def _drain_no_more(cell: Cell) -> None:
    if cell.phase is Phase.CLOSING:
        cell.enter(Phase.ABORTING)
    elif cell.phase is Phase.DRAINING:
        cell.enter(Phase.STOPPING)
        _push_finish(cell)
    discard_queue(cell)


def kill(cell: Cell, reason: ExitReason = ExitReason.KILLED) -> WaitingFuture[bool]:
    """End at once: handlers are cancelled, `on_stop` does not run. The future is done at the end."""
    _request_kill(cell, reason)
    return stopped_future(cell)


def _request_kill(cell: Cell, reason: ExitReason = ExitReason.KILLED) -> None:
    phase = cell.phase
    if phase is Phase.STOPPED or (cell.killed and phase >= Phase.CLOSING):
        return
    if cell.actor is None:
        end_incarnation(cell, reason, cell.cause)
        return
    cell.enter(Phase.STOPPING)
    cell.killed = True
    cell.reason = reason
    close_mailbox(cell)
    discard_queue(cell)
    _arm_stop(cell, 0.0)
    if phase not in ENDING:
        _push_finish(cell)


def kill_children(cell: Cell) -> None:
    """Kill the children, in no order, without waiting for them."""
    for child in tuple(cell.children or ()):
        if not child.killed:
            _request_kill(child)


def linked_ended(cell: Cell, other: Cell) -> None:
    """Share the abnormal end of a linked actor."""
    if cell.links is not None:
        cell.links.pop(other, None)
    if other.reason is not None and other.reason.is_abnormal:
        _request_kill(cell)


def stop_as_child(cell: Cell) -> WaitingFuture[bool]:
    """Stop in the way that the child spec asks for. An `on_start` that still runs is cancelled."""
    if cell.shutdown is StopMode.NOW:
        return kill(cell, ExitReason.SHUTDOWN)
    request_stop(cell, StopMode.NOW, cast("float | None", cell.shutdown), ExitReason.SHUTDOWN)
    if cell.phase in ON_START:
        cancel_turns(cell)
    return stopped_future(cell)


def suspend_as_child(cell: Cell) -> WaitingFuture[bool]:
    """End this incarnation as `stop_as_child` does, but keep ref and mailbox for a restart."""
    phase = cell.phase
    if cell.actor is None or phase in (Phase.SUSPENDING, Phase.RETIRING, Phase.STOPPED):
        return stopped_future(cell)
    if phase >= Phase.CLOSING:
        return stop_as_child(cell)
    cell.enter(Phase.SUSPENDING if phase is Phase.STARTING else Phase.RETIRING)
    cell.open = cell.idle = False
    cell.killed = cell.killed or cell.shutdown is StopMode.NOW
    _arm_stop(cell, 0.0 if cell.killed else cast("float | None", cell.shutdown))
    if phase is Phase.STARTING:
        cancel_turns(cell)
    elif phase is Phase.RUNNING:
        _push_finish(cell)
    return stopped_future(cell)


async def stop_children(cell: Cell) -> None:
    """Stop the children in reverse start order, each within its time, and wait for each.

    A parent that is killed, or cancelled while it waits, kills the children that are left.
    """
    left: tuple[Cell, ...] = ()
    kills = cell.killed
    while cell.children and tuple(cell.children) != left:
        left = tuple(cell.children)
        try:
            supervision = cell.supervision
            in_order = left if supervision is None else supervision.in_start_order(left)
            together = kills or (supervision is not None and supervision.stops_together)
            await end_all(in_order[::-1], _request_kill if kills else stop_as_child, kills=kills, together=together)
        except asyncio.CancelledError:
            disarm(cell)  # it has obeyed
            kills, left = True, ()


async def end_all(
    cells: Iterable[Cell], end: Callable[[Cell], object], *, kills: bool = False, together: bool = True
) -> None:
    """End actors, one after the other or together, and wait for each. The event loop runs on, however many they are."""
    left: list[Cell] = []
    began = time.monotonic()
    for cell in cells:
        if not _ends_at_once(cell, kills=kills):
            end(cell)
            left.append(cell)
            if not together:
                await stopped_future(left.pop())
        if time.monotonic() - began > _SLICE:
            await asyncio.sleep(0)
            began = time.monotonic()
    for cell in left:
        if cell.phase is not Phase.STOPPED:
            await stopped_future(cell)


def _ends_at_once(cell: Cell, *, kills: bool) -> bool:
    """End an actor that has nothing to run, and its children if all are such, without a turn for each of them."""
    children = tuple(cell.children or ())
    if len(children) > _MOST_AT_ONCE or not _has_nothing_to_run(cell, kills=kills):
        return False
    if any(child.children or not _has_nothing_to_run(child, kills=kills) for child in children):
        return False
    reason = ExitReason.KILLED if kills else ExitReason.SHUTDOWN
    in_order = children if cell.supervision is None else cell.supervision.in_start_order(children)
    cell.enter(Phase.STOPPING)  # it decides about no child any more
    for one in (*in_order[::-1], cell):
        one.killed = kills or one.shutdown is StopMode.NOW
        terminate(one, reason, None)
    return True


def _has_nothing_to_run(cell: Cell, *, kills: bool) -> bool:
    if not cell.idle or cell.turns or cell.actor is None:
        return False
    return kills or cell.shutdown is StopMode.NOW or not has_hook(cell.actor, "on_stop")


def drained(cell: Cell) -> bool:
    """End, as the mailbox is empty; returns False while handlers run."""
    if cell.turns:
        return False
    cell.enter(Phase.STOPPING)
    cell.open = False
    _push_finish(cell)
    return True


def finish_start(cell: Cell) -> None:
    """Let an incarnation end that was told to while `on_start` ran: what waits for it comes first."""
    if cell.phase is Phase.CLOSING and len(cell.mailbox):
        cell.enter(Phase.DRAINING)
        cell.open = True
    else:
        cell.enter(NEXT_TO_END[cell.phase])
        _push_finish(cell)


def _push_finish(cell: Cell) -> None:
    for child in [child for child in cell.children or () if child.actor is None]:
        stop_as_child(child)  # it gets no further life, so its messages wait for nothing
    push_control(cell, partial(_finish, cell), first=True)


async def _finish(cell: Cell) -> None:
    actor = cell.actor
    await stop_children(cell)
    if actor is not None and not cell.killed and has_hook(actor, "on_stop"):
        if cell.overdue:
            arm(cell, cell.system.config.grace, _cut_loose)
        await run_hook(cell, actor.on_stop, "on_stop")
        await stop_children(cell)
    if cell.actor is actor:  # else it was cut loose, and this may be the next life already
        end_incarnation(cell, cell.reason or ExitReason.NORMAL, cell.cause if cell.killed else None)


async def run_hook(cell: Cell, function: Callable[[], Any], name: str) -> None:
    """Run a hook of the user. What it raises is reported only: an end cannot fail."""
    try:
        result = function()
        if isinstance(result, Awaitable):
            await result
    except BaseException as error:  # whatever the user's code raises
        cell.system.report("a hook failed", cell, error=error, hook=name)
        cell.system.note_base_exception(error)


def _arm_stop(cell: Cell, timeout: float | None, *, is_idle: bool = False) -> None:
    """Give the actor `timeout` seconds to end by itself (None: no limit; 0: its handlers are cancelled now)."""
    disarm(cell)
    if timeout == 0:
        _overdue(cell)
    elif is_idle and timeout is not None:
        cell.stop_due = cell.now() + timeout  # most idle actors end without waiting, so they need no timer
    elif timeout is not None:
        arm(cell, timeout, _overdue)


def limit_step(cell: Cell, due: float) -> None:
    """Give the last step of an actor, which now waits, the time that is left, else the grace period."""
    left = due - cell.now()
    cell.overdue = left <= 0
    if cell.overdue:
        arm(cell, cell.system.config.grace, _cut_loose)
    else:
        arm(cell, left, _overdue)


def _overdue(cell: Cell) -> None:
    """Cancel the handlers, drop the queue and grant the grace period: the time to stop has passed.

    An actor without a turn has nothing to cut loose; it has the grace period for its hook, from its turn on.
    """
    cell.stop_timer = None
    if cell.phase not in (Phase.SUSPENDING, Phase.RETIRING):
        _drain_no_more(cell)
    cell.overdue = True
    if cell.turns:
        arm(cell, cell.system.config.grace, _cut_loose)
        cancel_turns(cell)


def _cut_loose(cell: Cell) -> None:
    """Fence the handlers that still run and leave them behind: the grace period has passed as well."""
    cell.stop_timer = None
    turns = tuple(cell.turns or ())
    if not turns:
        return
    if cell.children:
        kill_children(cell)
        arm(cell, cell.system.config.grace, _cut_loose)
        return
    cell.turns = None
    for turn in turns:
        abandon_turn(cell, turn)
    if any(turn.holds_claim for turn in turns):
        cell.scheduled = False  # the claim of the worker that is stuck; the next life needs it
    if any(not turn.envelope.accepted for turn in turns):
        end_incarnation(cell, cell.reason or ExitReason.NORMAL, None)
        return
    if cell.phase not in ENDING:
        cell.enter(NEXT_TO_END[cell.phase])
        _push_finish(cell)
    wake(cell)
