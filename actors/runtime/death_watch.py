"""Who is told when an actor ends: its parent, watchers and links, which may live in different systems of one loop."""

from collections.abc import Callable
from functools import partial

from actors.runtime.cell import ActorHooks, Cell, ChildEnded
from actors.runtime.errors import WrongLoopError
from actors.runtime.intake import accept_system, push_control
from actors.runtime.phase import Phase
from actors.runtime.processing import run_control
from actors.runtime.stop import linked_ended
from actors.runtime.termination import terminate
from protocols.control import ExitReason, Terminated


def watch(watcher: Cell, target: Cell) -> None:
    """Have `watcher` told once when `target` ends for good; at once if it ended before. Only on one loop."""
    _check_loops(watcher, target, "watch")
    watcher.watching = watcher.watching or {}
    if target in watcher.watching:
        return  # it is, or the news is on its way
    watcher.watching[target] = None
    if target.phase is Phase.STOPPED:
        reason = ExitReason.ALREADY_DEAD
        accept_system(watcher, Terminated(target.ref, reason, target.incarnation, target.cause))
        return
    target.watchers = target.watchers or {}
    target.watchers[watcher] = None


def _check_loops(cell: Cell, target: Cell, what: str) -> None:
    if cell.loop is not target.loop:
        where = f"{what}: actor {target.name} lives on another event loop than {cell.name}"
        raise WrongLoopError(f"{where}; watch it from an actor on its own loop, and have that one tell")


def unwatch(watcher: Cell, target: Cell) -> None:
    """Have `watcher` not told, even if the news is already in its mailbox."""
    if target.watchers is not None:
        target.watchers.pop(watcher, None)
    if watcher.watching is not None:
        watcher.watching.pop(target, None)


def is_news(watcher: Cell, target: Cell) -> bool:
    """Return True if this incarnation of `watcher` waits for the end of `target`; from now on it does not."""
    if watcher.watching is None or target not in watcher.watching:
        return False  # it was unwatched meanwhile, or watched by an earlier incarnation
    del watcher.watching[target]
    return True


def link(one: Cell, other: Cell) -> None:
    """Have each of the two killed when the other ends abnormally. Only on one loop."""
    _check_loops(one, other, "link")
    for ended, left in ((one, other), (other, one)):
        left.links = left.links or {}
        left.links[ended] = None
    for ended, left in ((one, other), (other, one)):
        if ended.phase is Phase.STOPPED:
            linked_ended(left, ended)


def tell_end(cell: Cell) -> None:
    """Tell the watchers, the linked actors and the parent that an actor ended for good."""
    parent, reason = cell.parent, cell.reason
    assert reason is not None
    if parent is not None and parent.children is not None:
        parent.children.pop(cell, None)
    watchers, cell.watchers = cell.watchers, None
    for watcher in watchers or ():
        accept_system(watcher, Terminated(cell.ref, reason, cell.incarnation, cell.cause))
    links, cell.links = cell.links, None
    for other in links or ():
        linked_ended(other, cell)
    if parent is not None:
        post_child_event(parent, ChildEnded(cell, reason, cell.cause))


def post_child_event(parent: Cell, event: ChildEnded) -> None:
    """Tell a parent about one of its children; it decides before all messages."""
    actor = parent.actor
    if actor is None or not parent.can_decide:
        return
    step = partial(_supervise, parent, actor, partial(_decide, parent, event))
    if parent.turns and parent.open:
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
    if cell.turns and cell.open:
        run_control(cell, guarded)
    elif cell.actor is actor and cell.can_decide:
        push_control(cell, guarded)


def _supervise(cell: Cell, actor: ActorHooks, step: Callable[[], None]) -> None:
    if cell.actor is actor and cell.can_decide:
        step()
