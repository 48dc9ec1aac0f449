"""The statistics of a pool: what its nodes run, what that costs, and what failed."""

from typing import Self, cast

from actors.pool.registry import NodeRegistry
from actors.pool.services import PoolService
from actors.runtime.background_loop import current_system
from actors.runtime.ref import ActorRef
from actors.stats.projection import StatsSnapshot
from actors.stats.stats_actor import ReadStats, StatsActor


class StatsService(PoolService):
    """Counts the events of a pool's system, from before its nodes start until they have stopped. See `StatsActor`.

    Example:
        ```python
        async with AgentPool("agents.yml", services=[*AgentPool.default_services, StatsService]) as pool:
            await pool["analyzer"].run("What is this about?")
            snapshot = await pool.service(StatsService).read_stats()
            print(snapshot.total.messages, snapshot.total.cost)
        ```
    """

    def __init__(self, pool: NodeRegistry) -> None:
        self._system = pool.system or current_system()
        self._actor: ActorRef[StatsActor]

    async def __aenter__(self) -> Self:
        name = "stats" if self._system.get("stats") is None else None  # each pool of a system has its own
        self._actor = await self._system.start(StatsActor, name=name).ready()
        return self

    async def __aexit__(self, *_exc: object) -> None:
        await self._actor.stop()

    async def read_stats(self) -> StatsSnapshot:
        """Return the numbers of everything that has happened in the system since the pool was entered.

        Raises:
            ActorStoppingError: the pool was left.
        """
        return cast("StatsSnapshot", await self._actor.ask(ReadStats()))
