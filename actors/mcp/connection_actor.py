"""The actor that owns one server of tools: it starts the server, is restarted when the server dies, and stops it."""

import asyncio
import contextlib
from functools import partial
from typing import TYPE_CHECKING

import msgspec

from actors.mcp.connection import DRAIN, McpConnection
from actors.mcp.transport import McpSource
from actors.runtime.actor import AsyncioActor
from actors.runtime.errors import ActorStoppingError
from actors.runtime.mailbox import MailboxConfig
from actors.supervision.backoff import Backoff
from actors.supervision.child import ChildSpec
from actors.supervision.intensity import RestartIntensity
from actors.supervision.supervisor import Supervisor
from protocols.errors import ToolServerError

if TYPE_CHECKING:
    from actors.runtime.owned_tasks import PendingTask

SHUTDOWN = DRAIN + 10.0
"""Seconds that a server gets to stop. The library closes its input, and signals it after 2 s and again after 4 s."""

_BACKOFF = Backoff(min=0.2, max=30.0)
_INTENSITY = RestartIntensity(limit=30, period=60.0)
"""More than the delays allow: a server that stays away is tried again for ever, and nobody else falls because of it."""
_MARGIN = 5.0


class GetConnection(msgspec.Struct, frozen=True):
    """Ask for the connection. The answer comes once there is one; it is good until the server dies."""


class _Lost(msgspec.Struct, frozen=True):
    """The connection has ended by itself, and everything of it has been cleaned up.

    It becomes a dead letter, which is kept for long: so it holds nothing of the connection.
    """

    incarnation: int
    why: str


class McpConnectionActor(AsyncioActor):
    """Owns the life of a server. It lends the connection to callers, whose calls so go on at the same time."""

    mailbox = MailboxConfig(capacity=1_000)

    def __init__(self, source: McpSource) -> None:
        super().__init__()
        self._source = source
        self._connection: McpConnection
        self._life: PendingTask[None]

    async def on_start(self) -> None:
        """Connect."""
        self._connection = McpConnection(self._source, self.system.clock)
        self._life = self.create_task(self._live(self._connection, self.cell.incarnation))
        try:
            await asyncio.shield(self._connection.opened)
        except asyncio.CancelledError:  # nobody wants it any more, or it has taken too long
            self._life.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._life
            raise

    async def _live(self, connection: McpConnection, incarnation: int) -> None:
        await connection.live()
        why = connection.lost
        if why is not None:
            with contextlib.suppress(ActorStoppingError):  # both ends come at the same time
                self.actor_ref.tell(_Lost(incarnation, why))

    def on_receive(self, message: object) -> object:
        """Lend the connection, or crash with it.

        Raises:
            ToolServerError: the connection was lost; the supervisor starts the next one.
        """
        if isinstance(message, GetConnection):
            if self._connection.is_over:
                self.stash()  # for the next life: whoever asks goes on waiting
                return None
            return self._connection
        if isinstance(message, _Lost):
            if message.incarnation == self.cell.incarnation:
                raise ToolServerError(message.why, server=self._source.name)
            return None
        self.unhandled(message)
        return None

    async def on_stop(self) -> None:
        """Disconnect; a server that was started here has ended when this returns."""
        self._connection.end()
        await self._life


class ServerFactory:
    """Makes the supervisor of one server; the engine keeps it, so it holds nothing that holds the agent."""

    def __init__(self, source: McpSource) -> None:
        self._source = source
        self.__name__ = f"mcp:{source.name}"
        self.max_concurrency = 1

    def __call__(self) -> Supervisor:
        """Make it."""
        source = self._source
        start = partial(McpConnectionActor, source)
        child = ChildSpec(
            start,
            name=source.name,
            restart="transient",
            shutdown=SHUTDOWN,
            start_timeout=source.start_timeout + _MARGIN,
        )
        return Supervisor([child], intensity=_INTENSITY, backoff=_BACKOFF)
