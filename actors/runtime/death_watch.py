"""Watches and links between actors, which may live in different systems of one loop."""

from actors.runtime.cell import Cell, ChildEnded
from actors.runtime.child_cells import post_child_event
from actors.runtime.errors import WrongLoopError
from actors.runtime.intake import accept_system
from actors.runtime.phase import Phase
from actors.runtime.stop import linked_ended
from protocols.control import ExitReason, Terminated


def watch(watcher: Cell, target: Cell) -> None:
    """Have `watcher` told once when `target` ends for good; at once if it ended before. Only on one loop."""
    _check_loops(watcher, target, "watch")
    if watcher.watching is None:
        watcher.watching = {}
    elif target in watcher.watching:
        return  # it is, or the news is on its way
    watcher.watching[target] = None
    if target.phase is Phase.STOPPED:
        reason = ExitReason.ALREADY_DEAD
        accept_system(watcher, Terminated(target.ref, reason, target.incarnation, target.cause))
        return
    if target.watchers is None:
        target.watchers = {}
    target.watchers[watcher] = None


def _check_loops(cell: Cell, target: Cell, what: str) -> None:
    if cell.loop is not target.loop:
        text = (
            f"{what}: actor {target.name} lives on another event loop than {cell.name}; "
            "watch it from an actor on its own loop, and have that one tell"
        )
        raise WrongLoopError(text)


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
        if left.links is None:
            left.links = {}
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
