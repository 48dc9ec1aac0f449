"""One process of a cluster: a pool with a system and a clock of its own, on a database that it shares."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Self

from actors import ActorSystem, AgentPool
from actors.agents.agent import Agent
from actors.app.journal_service import JournalDelivery, JournalService
from actors.storage.cluster_memory import MemoryClusterStore, MemoryDatabase

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from actors.nodes.node import AnyNode
    from actors.storage.cluster_memory import Gate
    from actors.testing.clock import ManualClock

TTL = 6.0
SHARDS = 8
CLUSTER = {"url": "postgresql://u@h/d", "shards": SHARDS, "ttl": TTL}


def shared(clock: ManualClock) -> MemoryDatabase:
    """Return a database whose time is that of a clock."""
    return MemoryDatabase(now=lambda: 1_000.0 + clock.now())


class Process:
    """A pool of nodes that a function makes; leaving it gives its shards back."""

    def __init__(
        self,
        database: MemoryDatabase,
        clock: ManualClock,
        make: Callable[[], Sequence[AnyNode]],
        *,
        gate: Gate | None = None,
        **keywords: Any,
    ) -> None:
        self.store = MemoryClusterStore(database, shards=SHARDS, gate=gate)
        self.system = ActorSystem("host", clock=clock)
        self._nodes = make()
        services: Any = [partial(JournalService, make=lambda _: self.store), JournalDelivery]
        self.pool: AgentPool[None] = AgentPool(
            services=services, system=self.system, cluster=CLUSTER, exit_timeout=1.0, **keywords
        )

    async def __aenter__(self) -> Self:
        for node in self._nodes:
            await self.pool.add_node(node)
        await self.pool.__aenter__()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.pool.__aexit__(None, None, None)
        await self.system.close()

    @property
    def service(self) -> JournalService:
        found = self.pool.service(JournalService)
        assert found is not None
        return found

    def is_home(self, node: str) -> bool:
        """Return True if a node lives here."""
        mailbox: Any = self.pool[node].durable
        return mailbox.is_here

    def __getitem__(self, node: str) -> Any:
        return self.pool[node]


def clerk(name: str, work: Any) -> Agent[Any, str]:
    return Agent.from_callback(work, name=name, max_concurrency=1, durable=True)
