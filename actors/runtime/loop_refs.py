"""Where the actors of one node live: one for each event loop that the node is used from."""

import asyncio
import contextlib
import weakref
from collections.abc import Callable
from functools import partial
from typing import Any

from actors.runtime.actor import AsyncioActor
from actors.runtime.background_loop import current_system
from actors.runtime.cell import Cell, System
from actors.runtime.clock import running_loop
from actors.runtime.options import StartOptions
from actors.runtime.outcome import end_cause
from actors.runtime.ref import ActorRef
from protocols.handle import Named

ActorFactory = Callable[[], AsyncioActor]


class LoopRefs:
    """The refs of one node, by event loop.

    An actor without a supervisor is started here on first use, and ends when its node is garbage. An actor that a
    supervisor starts announces itself with `settle`.
    """

    __slots__ = ("_finalizers", "_owned", "lease", "refs")

    def __init__(self) -> None:
        self.lease: object = None
        """Held as long as the node lives, so that a team which has its actor as a child lives as long."""
        self.refs: dict[asyncio.AbstractEventLoop | None, ActorRef[Any]] = {}
        """The actors, also those that have ended."""
        self._finalizers: dict[asyncio.AbstractEventLoop, weakref.finalize[..., Any]] = {}
        self._owned: set[asyncio.AbstractEventLoop | None] = set()

    def settle(self, ref: ActorRef[Any], loop: asyncio.AbstractEventLoop, *, is_owned: bool) -> None:
        """Take note of the actor of a loop, and whether a supervisor owns it."""
        self.refs[loop] = ref
        (self._owned.add if is_owned else self._owned.discard)(loop)

    def find(self) -> ActorRef[Any] | None:
        """Return the living actor on the running loop, or None."""
        ref = self.refs.get(running_loop())
        return ref if ref is not None and ref.is_alive() else None

    def end_cause(self) -> BaseException | None:
        """Return the failure that ended the actor on the running loop; None if it lives or was stopped."""
        ref = self.refs.get(running_loop())
        return None if ref is None else end_cause(ref._cell)  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] - the engine's own

    @property
    def is_owned(self) -> bool:
        """True if the actor on the running loop is, or was, the child of a supervisor."""
        return running_loop() in self._owned

    def start(
        self, factory: ActorFactory, owner: Named, system: System | None = None, parent: Cell | None = None
    ) -> ActorRef[Any]:
        """Start the actor on the running loop, in a system or under a parent; it ends with `owner` at the latest."""
        loop = asyncio.get_running_loop()
        self._forget_closed()
        options = StartOptions(owner.name, parent=parent, is_registered=False)
        system = system or (current_system() if parent is None else parent.system)
        ref: ActorRef[Any] = system.start(factory, options=options)
        self._owned.discard(loop)  # the parent lets it end, and the next caller starts it again
        finalizer = weakref.finalize(owner, _stop_soon, ref, loop)
        finalizer.atexit = False
        self._forget(loop)
        self._finalizers[loop] = finalizer
        return ref

    def _forget_closed(self) -> None:
        for loop in [loop for loop in self.refs if loop is not None and loop.is_closed()]:
            self._owned.discard(loop)
            self._forget(loop)
            del self.refs[loop]

    def _forget(self, loop: asyncio.AbstractEventLoop) -> None:
        if (finalizer := self._finalizers.pop(loop, None)) is not None:
            finalizer.detach()

    def elsewhere(self) -> asyncio.AbstractEventLoop | None:
        """Return the loop of another thread on which the node lives, or None."""
        here = running_loop()
        alive = (loop for loop, ref in tuple(self.refs.items()) if loop is not here and ref.is_alive())
        return next((loop for loop in alive if loop is not None and loop.is_running()), None)


def _stop_soon(ref: ActorRef[Any], loop: asyncio.AbstractEventLoop) -> None:
    with contextlib.suppress(RuntimeError):  # the loop, and with it the actor, has ended
        loop.call_soon_threadsafe(partial(ref.stop, block=False))
