"""The `AgentPool` of `actors`: a pool with the history and the triggers of its manifest."""

from os import PathLike
from typing import Any, TypeVar

from actors.app.history_service import HistoryService
from actors.app.trigger_service import TriggerService
from actors.config.manifest import Manifest
from actors.pool import pool as bare
from actors.pool.node_supervisor import EXIT_TIMEOUT
from actors.runtime.system import ActorSystem

Deps = TypeVar("Deps")


class AgentPool(bare.AgentPool[Deps]):
    """A pool that stores the history of its manifest and starts its triggers. See `actors.pool.pool.AgentPool`.

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

    def __init__(  # noqa: PLR0913 - keywords, all of them optional
        self,
        manifest: str | PathLike[str] | Manifest | None = None,
        *,
        model: Any = None,
        shared_deps: Deps | None = None,
        connect_nodes: bool = True,
        parallel_load: bool = True,
        system: ActorSystem | None = None,
        exit_timeout: float = EXIT_TIMEOUT,
    ) -> None:
        super().__init__(
            manifest,
            model=model,
            shared_deps=shared_deps,
            connect_nodes=connect_nodes,
            parallel_load=parallel_load,
            system=system,
            exit_timeout=exit_timeout,
            services=(HistoryService, TriggerService),
        )
