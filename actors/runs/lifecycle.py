"""`NodeLifecycle`: opening and closing a node, its actor on each event loop, and its resources."""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import Annotated, Any, Self

import msgspec
from msgspec.structs import force_setattr

from actors.runs.request import DEFAULT_TIMEOUT, Runnable
from actors.runs.resources import OpenResources
from actors.runtime.cell import Cell
from actors.runtime.ref import ActorRef
from actors.supervision.retry import Retry
from protocols.budget import BUDGET, Budget
from protocols.checks import FAILURES, FLAG, TEXT, TIME_LIMIT, choice, instance_of
from protocols.durable import DURABLE, Durable, Placement, durable_of
from protocols.errors import NodeStartError, error_text


class NodeSettings(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """Settings that every node has. A `Check` in an annotation says what the setting may hold."""

    description: Annotated[str | None, TEXT] = None
    """What the node is good for. Pickers read it, and models that use the node as a tool."""
    display_name: Annotated[str | None, TEXT] = None
    """Name for people."""
    timeout: Annotated[float | None, TIME_LIMIT] = DEFAULT_TIMEOUT
    """Seconds that a run may take unless it says otherwise, waiting for earlier runs included. None for no limit."""
    budget: Annotated[Budget | None, BUDGET] = None
    """What models may be asked for by all runs of the node together, as long as it lives."""
    crash_on: Annotated[tuple[type[Exception], ...], FAILURES] = ()
    """Exceptions of a run that crash the actor of the node, so that its supervisor restarts it."""
    redeliver: Annotated[bool, FLAG] = False
    """True if a run whose handler crashed is done once more by the next incarnation: it happens at least once."""
    retry: Annotated[Retry | None, instance_of("Retry(attempts, on, backoff), or None for one attempt", Retry)] = None
    """How often a run tries again after a failure; None for never."""
    durable: Annotated[Durable | None, DURABLE] = None
    """How accepted messages are kept until they are handled; None for in memory only. True is ``Durable()``."""

    placement: Annotated[Placement | None, choice("single", "anywhere")] = None
    """Where it lives in a cluster: in one process at a time, or in each that asks it. None for what it needs."""

    def __post_init__(self) -> None:
        force_setattr(self, "durable", durable_of(self.durable))


class Definition(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """What a node is made with. A node holds one definition, and a reload gives the node another one.

    The subclasses name what a kind of node needs: `AgentDefinition`, `TeamDefinition`.
    """

    settings: NodeSettings


class NodeLifecycle(Runnable):
    """Opening and closing of a node."""

    definition: Definition

    def __init__(self, definition: Definition) -> None:
        super().__init__(definition)
        self._entered = 0
        self._is_closed = False
        self._opened: OpenResources | None = None

    def _actor_parent(self) -> Cell | None:
        """Return the actor under which an actor is started that no supervisor starts; None for none."""
        return None

    @property
    def max_concurrency(self) -> int:
        """How many runs of this node go on at the same time; with replicas, in each of them."""
        return 1

    @property
    def replicas(self) -> int:
        """How many actors share the runs of the node."""
        return getattr(self.definition.settings, "replicas", 1)

    @property
    def most_runs(self) -> int:
        """How many runs go on at the same time in all replicas together."""
        return self.max_concurrency * self.replicas

    def ref(self) -> ActorRef[Any]:
        """Return the node's actor on the running loop, starting it if need be."""
        raise NotImplementedError

    def resources(self) -> Sequence[AbstractAsyncContextManager[Any]]:
        """Return what the node enters when it opens and leaves when it closes."""
        return ()

    @property
    def is_closed(self) -> bool:
        """True if the node was closed and takes no more runs."""
        return self._is_closed

    @property
    def is_opened_in_parallel(self) -> bool:
        """True if the resources are entered at the same time."""
        return True

    async def open(self) -> None:
        """Start the actor on this loop and enter the resources. Opening twice needs closing twice.

        Raises:
            NodeStartError: a resource could not be opened. The others are closed again; the cause is chained.
        """
        self._is_closed = False
        try:
            if not self._entered:
                await self.ref().ready()
                self._opened = await self.prepared()
        except Exception as error:
            await self._stop()
            if isinstance(error, NodeStartError):
                raise
            raise self._not_opened(error) from error
        self._entered += 1

    def _not_opened(self, error: Exception) -> NodeStartError:
        return NodeStartError(f"node {self.name!r} could not be opened: {error_text(error)}", node=self.name)

    async def close(self) -> None:
        """Let accepted runs end, stop the actor unless a supervisor owns it, and leave the resources.

        Closing once more than opened is harmless. Later runs fail with NodeStoppedError.
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
        """Enter the resources, for a node that will take over this definition.

        Raises:
            NodeStartError: a resource could not be opened. The others are closed again; the cause is chained.
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

    def reconfigure(self, other: "NodeLifecycle", opened: OpenResources | None = None) -> OpenResources | None:
        """Take over the definition of another node of the same kind, from the next run on.

        Name, actors, connections and subscribers stay. Open runs end with the definition that they began with.

        Args:
            other: an unused node.
            opened: the resources of `other`, already open; this node closes them from now on.

        Returns:
            The resources of this node until now. The caller closes them when the open runs are finished.
        """
        self.definition = other.definition
        before, self._opened = self._opened, opened
        return before

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(self, *_exc: object) -> None:
        await self.close()
