"""Who is told when an actor ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

from protocols.control import ActorState, ExitReason, Terminated

if TYPE_CHECKING:
    from actors.runtime.lifecycle import Cell


class DeathWatch:
    """Watches and links between actors, which may live in different systems of one loop."""

    def watch(self, watcher: Cell, target: Cell) -> None:
        """Have `watcher` told once when `target` has ended for good; at once if it has."""
        if watcher.watching is None:
            watcher.watching = {}
        elif target in watcher.watching:
            return  # it is, or the news is on its way
        watcher.watching[target] = None
        if target.state is ActorState.STOPPED:
            reason = ExitReason.ALREADY_DEAD
            watcher.accept_system(Terminated(target.ref, reason, target.incarnation, target.cause))
            return
        if target.watchers is None:
            target.watchers = {}
        target.watchers[watcher] = None

    def unwatch(self, watcher: Cell, target: Cell) -> None:
        """Have `watcher` not told, even if the news is already in its mailbox."""
        if target.watchers is not None:
            target.watchers.pop(watcher, None)
        if watcher.watching is not None:
            watcher.watching.pop(target, None)

    def is_news(self, watcher: Cell, terminated: Terminated) -> bool:
        """Whether this life of `watcher` still waits for that end; from now on it does not."""
        target: Cell = terminated.ref._cell  # noqa: SLF001 - the engine's own
        if watcher.watching is None or target not in watcher.watching:
            return False  # it was unwatched meanwhile, or watched by an earlier life
        del watcher.watching[target]
        return True

    def link(self, one: Cell, other: Cell) -> None:
        """Have each of the two killed when the other ends abnormally."""
        one.links = {**(one.links or {}), other: None}
        other.links = {**(other.links or {}), one: None}
        for ended, left in ((one, other), (other, one)):
            if ended.state is ActorState.STOPPED:
                left.linked_ended(ended)
