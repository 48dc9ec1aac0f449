"""`NodeLifecycle`: what a node holds open: its actor on each event loop, and what was entered with it."""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, ClassVar, Self

from actors.runs.resources import OpenResources
from actors.runtime.loop_refs import LoopRefs
from actors.runtime.ref import ActorRef
from protocols.errors import NodeStartError


class NodeLifecycle:
    """Opening and closing of a node."""

    made_of: ClassVar[tuple[str, ...]] = ("description", "_display_name", "timeout", "crash_on")
    """Attributes that a node of the same kind takes over with `become`."""

    name: str

    def __init__(self) -> None:
        """Begin closed."""
        self.home = LoopRefs()
        """Where the actors of the node live."""
        self._entered = 0
        self._is_closed = False
        self._opened: OpenResources | None = None

    def ref(self) -> ActorRef[Any]:
        """Return the node's actor on the running loop, starting it if need be."""
        raise NotImplementedError

    def resources(self) -> Sequence[AbstractAsyncContextManager[Any]]:
        """What is entered when the node is opened and left when it is closed."""
        return ()

    @property
    def is_closed(self) -> bool:
        """Whether it takes no runs any more, because it has been closed."""
        return self._is_closed

    @property
    def is_opened_in_parallel(self) -> bool:
        """Whether the resources are entered all at once."""
        return True

    async def open(self) -> None:
        """Start the actor on this loop and enter what the node needs. Opening twice needs closing twice.

        Raises:
            NodeStartError: something could not be opened; what had been opened is closed again, the cause is chained.
        """
        self._is_closed = False
        if not self._entered:
            await self._enter()
        self._entered += 1

    async def _enter(self) -> None:
        try:
            await self.ref().ready()
            self._opened = await self.prepared()
        except NodeStartError:
            await self._stop()
            raise
        except Exception as error:
            await self._stop()
            raise self._not_opened(error) from error

    def _not_opened(self, error: Exception) -> NodeStartError:
        return NodeStartError(f"node {self.name!r} could not be opened: {error}", node=self.name)

    async def close(self) -> None:
        """Give back what `open` took, let accepted runs end, and stop the actor, unless a supervisor owns it.

        Closing once more than opened is harmless. Runs that are asked for later fail with NodeStoppedError.
        """
        self._entered = max(0, self._entered - 1)
        if self._entered:
            return
        self._is_closed = True
        try:
            await self._stop()
        finally:
            opened, self._opened = self._opened, None
            if opened is not None:
                await opened.close()

    async def _stop(self) -> None:
        ref = self.home.find()
        if ref is not None and not self.home.is_owned:
            await ref.stop()

    async def prepared(self) -> OpenResources:
        """Enter what the node needs, for another one that is going to become like it.

        Raises:
            NodeStartError: something could not be opened; what had been opened is closed again, the cause is chained.
        """
        stack = OpenResources()
        try:
            await stack.enter(self.resources(), is_parallel=self.is_opened_in_parallel)
        except BaseException as error:
            await stack.close()
            if not isinstance(error, Exception):
                raise
            raise self._not_opened(error) from error
        return stack

    def become(self, other: Self, opened: OpenResources | None = None) -> OpenResources | None:
        """Be made of what another node of the same kind is made of, from the next run on.

        Name, actors, connections and subscribers stay. Runs in hand end as they began.

        Args:
            other: not used by anybody.
            opened: what it needs, entered; closed with this node from now on.

        Returns:
            What this node needed until now, for the caller to close when the runs in hand have ended.
        """
        for attribute in self.made_of:
            setattr(self, attribute, getattr(other, attribute))
        before, self._opened = self._opened, opened
        self.renewed()
        return before

    def renewed(self) -> None:
        """Do what is due when the node is made of something else."""

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(self, *_exc: object) -> None:
        await self.close()
