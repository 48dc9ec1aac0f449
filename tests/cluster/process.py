"""One process of a cluster: a pool with a system and a clock of its own, on a database that it shares."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any, Self

from actors import ActorSystem, AgentPool
from actors.agents.agent import Agent
from actors.app.journal_service import JournalService
from actors.storage.cluster_memory import MemoryClusterStore, MemoryDatabase
from protocols.journal import Commit, JournalError

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


class MortalStore(MemoryClusterStore):
    """A store of a process that may die: afterwards nothing of it is written or read any more."""

    is_dead = False

    def write(self, *args: Any, **keywords: Any) -> Commit[Any]:
        return Commit() if self.is_dead else super().write(*args, **keywords)

    async def read(self, query: Any) -> Any:
        self._check()
        return await super().read(query)

    async def control(self, *args: Any, **keywords: Any) -> Any:
        self._check()
        return await super().control(*args, **keywords)

    def _check(self) -> None:
        if self.is_dead:
            raise JournalError("the process is dead")

    def die(self) -> None:
        tables, self.is_dead = self._tables, True
        super().die()
        self._tables = tables

    async def close(self) -> None:
        if not self.is_dead:
            await super().close()


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
        self.store = MortalStore(database, shards=SHARDS, gate=gate)
        self.system = ActorSystem("host", clock=clock)
        self._clock = clock
        self._nodes = make()
        services: Any = [partial(JournalService, make=lambda _: self.store)]
        self.pool: AgentPool[None] = AgentPool(
            services=services, system=self.system, cluster=CLUSTER, exit_timeout=1.0, **keywords
        )

    async def __aenter__(self) -> Self:
        for node in self._nodes:
            await self.pool.add_node(node)
        await self.pool.__aenter__()
        return self

    async def __aexit__(self, *exc: object) -> None:
        leaving = asyncio.ensure_future(self.pool.__aexit__(None, None, None))
        while not leaving.done():
            await self._clock.advance(0.25)
        await leaving
        await self.system.close()

    async def die(self) -> None:
        """End without a word: no handler comes to its end, and nothing more is written."""
        host, watch = self.service.host, vars(self.service)["_watch"]
        await watch.end()
        self.store.die()
        await host.leases.end()
        host.leases.leases.clear()
        for task in (*host.tasks,):
            task.cancel()
        for node in self._nodes:
            if (ref := node.home.find()) is not None:
                await ref.kill(block=False)
        for mailbox in self.service.all_mailboxes.values():
            await mailbox.close(0)
        self.service.mailboxes.clear()  # at the end of the test they are not closed again

    @property
    def service(self) -> JournalService:
        found = self.pool.service(JournalService)
        assert found is not None
        return found

    def is_home(self, node: str) -> bool:
        """Return True if a node lives here."""
        return bool(self.pool[node].place.is_here)

    def __getitem__(self, node: str) -> Any:
        return self.pool[node]


def clerk(name: str, work: Any, *, is_durable: bool = True) -> Agent[Any, str]:
    """Make a node that lives in one process at a time."""
    return Agent.from_callback(work, name=name, max_concurrency=1, durable=is_durable or None, placement="single")


async def asked(clock: ManualClock, node: Any, prompt: str, seconds: float = 0.1, **options: Any) -> Any:
    """Ask a node while the clock moves; return its answer, or raise its failure."""
    reply = asyncio.ensure_future(node.run(prompt, **options))
    await clock.advance(seconds)
    return (await reply).content
