"""A run that waits for a person: other runs have its place in the actor, and its time stands still.

The handler lives on, but no incarnation of its actor counts or ends it, so it outlives a restart. The end of
the actor for good, and an asker that gives up, end it as any other handler.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

from actors.runtime.clock import running_loop
from actors.runtime.envelope import RUNNING, Envelope
from actors.runtime.intake import wake
from actors.runtime.turn import Turn
from actors.supervision.replicas import ReplicaMailbox, is_serial
from protocols.budget import drawn
from protocols.control import Resume


async def parked(scope: Envelope, decided: "asyncio.Future[None]") -> None:
    """Wait for `decided` in the handler of `scope`. It continues as soon as its actor has a place."""
    cell = scope.cell
    if scope.turn is None:  # the first step of the handler
        await asyncio.sleep(0)
    turn: Any = scope.turn
    is_parked = _leave(turn)
    _above(_pause, scope)
    budgets = [ledger for ledger in drawn.get() if ledger.is_of_run]
    for ledger in budgets:
        ledger.pause(cell.now())
    try:
        try:
            await decided
        finally:
            for ledger in budgets:
                ledger.resume(cell.now())
            _above(_resume, scope)
        if is_parked:
            await _place(turn)
    finally:
        if is_parked and cell.parked is not None:
            cell.parked.discard(turn)
            cell.parked = cell.parked or None


def _leave(turn: Turn) -> bool:
    """Give the place of a handler to other messages, unless only the order of the mailbox keeps a memory consistent."""
    cell, with_router = turn.cell, _with_router(turn)
    if any(is_serial(one.cell) for one in with_router) or turn.cancelled or turn not in (cell.turns or ()):
        return False
    cell.parked = cell.parked or set()
    cell.parked.add(turn)
    for one in with_router:
        above = one.cell
        if above.turns is not None:
            above.turns.discard(one)
            above.turns = above.turns or None
        if one.holds_claim:
            one.holds_claim = False
            above.scheduled = False
        wake(above)
    return True


def _with_router(turn: Turn) -> list[Turn]:
    """Return a handler, and that of the router that waits for it if it is one of a replica."""
    mailbox = turn.cell.mailbox
    router = mailbox.router_turn(turn.envelope) if isinstance(mailbox, ReplicaMailbox) else None
    return [turn] if router is None else [turn, router]


async def _place(turn: Turn) -> None:
    """Wait until the actor, or its next incarnation, can handle one message more; this one comes first."""
    cell = turn.cell
    placed: asyncio.Future[None] = cell.loop.create_future()
    cell.mailbox.put_back([Envelope(Resume(partial(_go_on, turn, placed)), cell, at=cell.now())])
    cell.accepted += 1
    wake(cell)
    await placed


def _go_on(turn: Turn, placed: "asyncio.Future[None]") -> None:
    if placed.done():  # the asker gave up
        return
    for one in _with_router(turn):
        one.cell.turns = one.cell.turns or set()
        one.cell.turns.add(one)
    turn.envelope.incarnation = turn.cell.incarnation
    placed.set_result(None)


def _above(act: Callable[[Envelope], None], at: Envelope | None) -> None:
    """Do something with an ask and those that wait for it, the outermost first, each on its own event loop."""
    if at is None:
        return
    if at.cell.loop is not running_loop():
        with suppress(RuntimeError):  # that loop is closed
            at.cell.loop.call_soon_threadsafe(_above, act, at)
        return
    _above(act, at.parent)
    act(at)


def _pause(at: Envelope) -> None:
    deadlines, reply = at.cell.system.deadlines, at.reply
    if at in deadlines.paused:
        deadlines.paused[at][0] += 1
    elif reply is not None and at.deadline is not None and at.lane is not None:
        deadlines.paused[at] = [1, at.deadline - at.cell.now(), reply]
        at.lane.pop(reply, None)
        at.deadline = at.lane = None
        if at.inner:
            deadlines.part(at)


def _resume(at: Envelope) -> None:
    deadlines = at.cell.system.deadlines
    paused = deadlines.paused.get(at)
    if paused is None:
        return
    paused[0] -= 1
    if paused[0]:
        return
    del deadlines.paused[at]
    reply = paused[2]  # that of `at`, which its handler may have answered meanwhile
    if reply.done():
        return
    envelope: Envelope = reply.envelope or at
    left = max(paused[1], 0.0)
    due, outer = at.cell.now() + left, envelope.parent
    if outer is not None and _ends_before(outer, at, due):
        deadlines.share(outer, envelope, reply)
    else:
        deadlines.add_once(envelope, reply, left, due)


def _ends_before(outer: Envelope, at: Envelope, due: float) -> bool:
    """Return True if an ask ends with the one around it, because its own time is not shorter."""
    is_open = outer.state == RUNNING and outer.reply is not None and not outer.reply.done()
    return is_open and outer.cell.loop is at.cell.loop and outer.deadline is not None and outer.deadline <= due
