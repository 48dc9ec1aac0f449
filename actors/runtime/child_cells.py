"""Steps of supervision: a parent decides about its children before its messages, and while its handler waits."""

from collections.abc import Callable
from functools import partial

from actors.runtime.cell import ActorHooks, Cell, ChildEnded
from actors.runtime.intake import push_control
from actors.runtime.phase import Phase
from actors.runtime.processing import run_control
from actors.runtime.termination import terminate


def post_child_event(parent: Cell, event: ChildEnded) -> None:
    """Tell a parent about one of its children; it decides before all messages."""
    actor = parent.actor
    if actor is None or not parent.can_decide:
        return
    step = partial(_supervise, parent, actor, partial(_decide, parent, event))
    if parent.turns and parent.phase is Phase.RUNNING:
        parent.loop.call_soon(run_control, parent, step)
    else:
        push_control(parent, step)


def _decide(parent: Cell, event: ChildEnded) -> None:
    if parent.supervision is not None:
        parent.supervision.ended(event)
    elif not event.child.mailbox.closed:
        terminate(event.child, event.reason, event.cause)


def supervise(cell: Cell, actor: ActorHooks, step: Callable[[], None]) -> None:
    """Take a step of supervision, unless that incarnation ended: now while a handler waits, else as the next step."""
    guarded = partial(_supervise, cell, actor, step)
    if cell.turns and cell.phase is Phase.RUNNING:
        run_control(cell, guarded)
    elif cell.actor is actor and cell.can_decide:
        push_control(cell, guarded)


def _supervise(cell: Cell, actor: ActorHooks, step: Callable[[], None]) -> None:
    if cell.actor is actor and cell.can_decide:
        step()
