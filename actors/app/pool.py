"""The `AgentPool` of `actors`: a pool with the history and the triggers of its manifest."""

from collections.abc import Generator
from typing import TYPE_CHECKING, Any, Self, TypeVar

from actors.app.history_service import HistoryService
from actors.app.journal_service import JournalService
from actors.app.ray_service import RayService
from actors.app.tracing_service import TracingService
from actors.app.trigger_service import TriggerService
from actors.pool import pool as bare
from actors.runs.durable import Ticket
from protocols.journal import NotDurableError

if TYPE_CHECKING:
    from actors.cluster.host import Host

Deps = TypeVar("Deps")


class AgentPool(bare.AgentPool[Deps]):
    """A pool that stores the history of its manifest and starts its triggers.

    Example:
        ```python
        async with AgentPool("agents.yml") as pool:
            message = await pool.get_agent("analyzer").run("What is this about?")

        async with AgentPool[None]() as pool:
            await pool.add_agent("planner", system_prompt="Plan.")
            await pool.add_agent("critic", system_prompt="Find the holes.")
            run = pool.create_team_run(["planner", "critic"])
            stats = await run.run_in_background("A party for ten people")
        ```
    """

    default_services = (TracingService, HistoryService, JournalService, RayService, TriggerService)

    if not TYPE_CHECKING:  # type checkers refuse `with` themselves

        def __enter__(self) -> None:
            raise TypeError(f"pool {self.name!r} lives on an event loop: use `async with` in place of `with`")

        def __exit__(self, *_exc: object) -> None: ...

    def __await__(self) -> Generator[Any, None, Self]:
        """Enter the pool until `close`, in a notebook or a shell: ``pool = await AgentPool("agents.yml")``."""
        return self.__aenter__().__await__()

    async def close(self) -> None:
        """Leave the pool, as the end of ``async with`` does; without effect on a pool that does not run."""
        if self.is_running:
            await self.__aexit__(None, None, None)

    @property
    def cluster(self) -> "Host":
        """This process among those of its cluster: `hosts()` lists them, `drain()` empties one.

        Raises:
            NotDurableError: the pool does not run, or its manifest has no `cluster`.
        """
        service = self.service(JournalService)
        if service is None or service.host is None:
            raise NotDurableError(
                f"pool {self.name!r} does not run, or is in one process: its manifest has no `cluster`"
            )
        host: Host = service.host
        return host

    def ticket(self, request_id: str) -> Ticket[Any]:
        """Return the ticket of a run that a durable node has kept under this name, also in an earlier process.

        Raises:
            NotDurableError: the pool does not run, or has no journal.
        """
        service = self.service(JournalService)
        if service is None or service.journal is None:
            raise NotDurableError(f"pool {self.name!r} does not run, or has no journal; tickets are of durable nodes")
        return service.ticket(request_id)
