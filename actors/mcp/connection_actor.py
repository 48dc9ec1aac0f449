"""The actor that owns one tool server: it starts and stops the server, and restarts when the server dies."""

import asyncio
import contextlib
from functools import partial

import msgspec

from actors.mcp.connection import DRAIN, McpConnection
from actors.mcp.transport import McpSource
from actors.runtime.actor import AsyncioActor
from actors.runtime.errors import ActorStoppingError
from actors.runtime.mailbox import MailboxConfig
from actors.runtime.owned_tasks import PendingTask
from actors.supervision.backoff import Backoff
from actors.supervision.child import ChildSpec
from actors.supervision.intensity import RestartIntensity
from actors.supervision.supervisor import Supervisor
from protocols.errors import ToolServerError

SHUTDOWN = DRAIN + 10.0
"""Seconds that a server gets to stop. The library closes its input, and signals it after 2 s and again after 4 s."""

_BACKOFF = Backoff(min=0.2, max=30.0)
_INTENSITY = RestartIntensity(limit=30, period=60.0)
"""More than the delays allow. An unreachable server is retried forever, and does not stop other actors."""
_MARGIN = 5.0


class GetConnection(msgspec.Struct, frozen=True):
    """Request the connection. The reply arrives when the server is ready, and stays valid until the server exits."""


class _Disconnected(msgspec.Struct, frozen=True):
    """The connection ended by itself and is cleaned up.

    The message may become a dead letter, which lives long, so it holds nothing of the connection.
    """

    incarnation: int
    why: str


class McpConnectionActor(AsyncioActor):
    """Owns the life of a server. It lends the connection to callers, so their calls run at the same time."""

    mailbox = MailboxConfig(capacity=1_000)

    def __init__(self, source: McpSource) -> None:
        super().__init__()
        self._source = source
        self._connection: McpConnection
        self._life: PendingTask[None]

    async def on_start(self) -> None:
        """Connect."""
        self._connection = McpConnection(self._source, self.system.clock)
        self._life = self.create_task(self._live(self._connection, self._actor_cell.incarnation))
        try:
            await asyncio.shield(self._connection.opened)
        except asyncio.CancelledError:  # the start was stopped, or took too long
            self._life.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._life
            raise

    async def _live(self, connection: McpConnection, incarnation: int) -> None:
        await connection.live()
        why = connection.lost
        if why is not None:
            with contextlib.suppress(ActorStoppingError):  # both ends come at the same time
                self.actor_ref.tell(_Disconnected(incarnation, why))

    def on_receive(self, message: object) -> object:
        """Return the connection, or crash with it.

        Raises:
            ToolServerError: the connection was lost. The supervisor starts the next one.
        """
        if isinstance(message, GetConnection):
            if self._connection.is_over:
                self.stash()  # for the next incarnation, so the caller waits
                return None
            return self._connection
        if isinstance(message, _Disconnected):
            if message.incarnation == self._actor_cell.incarnation:
                raise ToolServerError(message.why, server=self._source.name)
            return None
        self.unhandled(message)
        return None

    async def on_stop(self) -> None:
        """Disconnect, and wait for the end of a server that was started here."""
        self._connection.end()
        await self._life


class ServerFactory:
    """Makes the supervisor of one server. The engine keeps the factory, so it must not hold the agent."""

    ends_with_process = True
    """True for an actor that is stopped when the interpreter exits; see `NodeFactory`."""

    def __init__(self, source: McpSource) -> None:
        self._source = source
        self.__name__ = f"mcp:{source.name}"

    def __call__(self) -> Supervisor:
        """Make the supervisor."""
        source = self._source
        child = ChildSpec(
            partial(McpConnectionActor, source),
            name=source.name,
            restart="transient",
            shutdown=SHUTDOWN,
            start_timeout=source.start_timeout + _MARGIN,
        )
        return Supervisor([child], intensity=_INTENSITY, backoff=_BACKOFF)
