"""Parents and children: who stops whom, who is told, and who may decide that an ended child lives again."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any, Final, cast

from actors.runtime.termination import Termination
from protocols.control import ActorState, ExitReason, StopMode

if TYPE_CHECKING:
    from collections.abc import Callable

    from actors.runtime.actor import AsyncioActor
    from actors.runtime.future import AsyncioFuture
    from actors.runtime.lifecycle import Cell

_DECIDING: Final = (ActorState.RUNNING, ActorState.STARTING, ActorState.RESTARTING)


class ChildCells(Termination):
    """The half of a cell that it has as somebody's child and somebody's parent."""

    __slots__ = ()

    # -- as a parent ----------------------------------------------------------------------------------------------

    async def stop_children(self) -> None:
        """Stop the children in reverse order of their start, each within its own time, and wait for each.

        Whoever is killed, or cancelled while it waits, kills those that are left and waits for them.
        """
        left: tuple[Cell, ...] = ()
        kill = self.killed
        while self.children and tuple(self.children) != left:
            left = tuple(self.children)
            try:
                in_order = left if self.actor is None else self.actor.in_start_order(left)
                await self._stop_all_of(in_order[::-1], kill=kill)
            except asyncio.CancelledError:
                kill, left = True, ()

    async def _stop_all_of(self, children: tuple[Cell, ...], *, kill: bool) -> None:
        if kill:
            for future in [child.kill() for child in children]:
                await future
        elif self.actor is not None and self.actor.stops_children_together:
            for future in [child.stop_as_child() for child in children]:
                await future
        else:
            for child in children:
                await child.stop_as_child()

    def holds(self, child: Cell, reason: ExitReason) -> bool:
        """Whether this actor, as a parent, is going to restart a child that ended so."""
        return self.actor is not None and self.actor.holds(child, reason)

    def resumes(self, child: Cell, error: BaseException) -> bool:
        """Whether this actor, as a parent, lets a child go on whose handler raised this."""
        return self.actor is not None and self.actor.resumes(child, error)

    @property
    def can_decide(self) -> bool:
        """Whether this actor, as a parent, can still restart children."""
        return self.actor is not None and self.state in _DECIDING and not self.finishing and not self.keeping

    def post_child_event(self, event: Any) -> None:
        """Tell this actor, a supervisor, about one of its children; it goes before all user messages."""
        actor = self.actor
        if actor is None or not self.can_decide:
            return
        step = partial(self._supervise, actor, partial(actor.on_child_event, event))
        if self.turns and self.state is ActorState.RUNNING:
            self.loop.call_soon(self._run_control, step)
        else:
            self.push_control(step)

    def supervise(self, actor: AsyncioActor, step: Callable[[], None]) -> None:
        """Take a plain step of supervision for an incarnation; nothing happens if that has ended.

        To be called by a callback of the loop. While a handler waits the step is taken now, otherwise as the next one,
        so a supervisor whose handler takes long does not leave its children waiting.
        """
        guarded = partial(self._supervise, actor, step)
        if self.turns and self.state is ActorState.RUNNING:
            self._run_control(guarded)
        elif self.actor is actor and self.can_decide:
            self.push_control(guarded)

    def _supervise(self, actor: AsyncioActor, step: Callable[[], None]) -> None:
        if self.actor is actor and self.can_decide:
            step()

    # -- as a child -----------------------------------------------------------------------------------------------

    def stop_as_child(self) -> AsyncioFuture[bool]:
        """Stop in the way that the child spec asks for. An `on_start` that still runs is cancelled."""
        if self.shutdown is StopMode.NOW:
            return self.kill(ExitReason.SHUTDOWN)
        self.request_stop(StopMode.NOW, cast("float | None", self.shutdown), ExitReason.SHUTDOWN)
        self._cancel_start()
        return self.stopped_future()

    def suspend_as_child(self) -> AsyncioFuture[bool]:
        """End this incarnation as `stop_as_child` does, but keep ref and mailbox for a restart."""
        if self.actor is None or self.keeping or self.state is ActorState.STOPPED:
            return self.stopped_future()
        if self.state is ActorState.STOPPING:
            return self.stop_as_child()
        self.state = ActorState.RESTARTING
        self.keeping = True
        self.open = self.idle = False
        if self.shutdown is StopMode.NOW:
            self.killed = True
            for turn in tuple(self.turns or ()):
                turn.cancel()
        self.arm_stop(0.0 if self.killed else cast("float | None", self.shutdown))
        self._cancel_start()
        if not self.starting:
            self.push_finish()
        return self.stopped_future()

    def _cancel_start(self) -> None:
        if self.starting and not self.finishing:
            for turn in tuple(self.turns or ()):
                turn.cancel()
