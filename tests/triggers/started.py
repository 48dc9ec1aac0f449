"""What the tests of triggers share: a node that records its runs, and triggers started under a supervisor."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

from actors.supervision.backoff import Backoff
from actors.supervision.intensity import RestartIntensity
from actors.supervision.supervisor import Supervisor
from actors.triggers import Ready, TriggerPlan, TriggerRequest, plan_triggers
from tests.support.waiting import TIMEOUT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from actors.config.trigger import TriggerSpec
    from actors.runtime.ref import ActorRef
    from actors.runtime.system import ActorSystem
    from protocols.ids import RunId
    from protocols.triggers import Accepted, TriggerEvent


class RecordingNode:
    """Stands for a node: records each run, and may hold it or fail it."""

    def __init__(self) -> None:
        self.prompts: list[str] = []
        self.events: list[TriggerEvent] = []
        self.run_ids: list[RunId] = []
        self.running = 0
        self.most_running = 0
        self.gate: asyncio.Event | None = None
        """Runs wait for it, if there is one."""
        self.error: BaseException | None = None
        """What runs raise, if anything."""
        self._seen = 0
        self._arrived = asyncio.Event()

    async def __call__(self, prompt: str, *, run_id: RunId, event: TriggerEvent) -> str:
        self.prompts.append(prompt)
        self.events.append(event)
        self.run_ids.append(run_id)
        self._arrived.set()
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        try:
            if self.gate is not None:
                await self.gate.wait()
            if self.error is not None:
                raise self.error
            return "done"
        finally:
            self.running -= 1

    async def next_event(self) -> Any:
        """Return the next event that was not looked at, waiting for it if need be."""
        async with asyncio.timeout(TIMEOUT):
            while len(self.events) <= self._seen:
                self._arrived.clear()
                await self._arrived.wait()
        self._seen += 1
        return self.events[self._seen - 1]


class KeepingNode(RecordingNode):
    """Stands for a durable node: each run is kept when a test lets it, and ends when the test says so."""

    is_durable = True

    def __init__(self) -> None:
        super().__init__()
        self.commit: asyncio.Event | None = None
        """Runs are not kept before it, if there is one."""
        self.refusal: Exception | None = None
        """What `keep` raises, if anything."""
        self.kept: dict[RunId, asyncio.Future[str]] = {}
        """The answers of the runs that are kept."""

        self.asked: list[tuple[RunId, bool]] = []
        """The run of each call, and whether it would wait for room."""

    async def look_back(self, now: float, runs: object) -> float:
        return now

    def continue_trace(self, headers: object) -> None:
        """Have no trace."""

    async def keep(self, prompt: str, run_id: RunId, event: TriggerEvent, accepted: Accepted, *, waits: bool) -> bool:
        self.asked.append((run_id, waits))
        if self.refusal is not None:
            raise self.refusal
        if self.commit is not None:
            await self.commit.wait()
        if run_id in self.kept:
            return False
        self.kept[run_id] = asyncio.get_running_loop().create_future()
        self.prompts.append(prompt)
        self.events.append(event)
        self.run_ids.append(run_id)
        self._arrived.set()
        accepted(self.kept[run_id])
        return True


class StartedTriggers:
    """Triggers of a plan under a supervisor."""

    def __init__(self, plan: TriggerPlan, refs: dict[str, ActorRef[Any]], supervisor: ActorRef[Supervisor]) -> None:
        self.plan = plan
        self.refs = refs
        self.supervisor = supervisor

    async def ready(self) -> None:
        """Wait until all sources watch."""
        for name, ref in self.refs.items():
            if not name.endswith(" queue"):
                await ref.ask(Ready(), timeout=TIMEOUT)


async def start_triggers(
    system: ActorSystem,
    settings: Iterable[TriggerSpec],
    node: RecordingNode,
    *,
    root: Path | None = None,
    wall: Callable[[], float] | None = None,
) -> StartedTriggers:
    """Start triggers of the node `n`."""
    keeper = node if isinstance(node, KeepingNode) else None
    requests = [TriggerRequest("n", each, node, keeper=keeper) for each in settings]
    plan = plan_triggers(requests, root=root, wall=wall or time.time)
    return await start_plan(system, plan)


async def start_plan(system: ActorSystem, plan: TriggerPlan) -> StartedTriggers:
    """Start the actors of a plan."""
    specs = [child.spec(backoff=Backoff(min=child.backoff, max=5.0, jitter=0.0)) for child in plan.children]
    intensity = RestartIntensity(limit=1000, period=1.0)
    supervisor = await system.start(Supervisor, (specs,), {"intensity": intensity}).ready()
    refs = {child.name: child.ref for child in await supervisor.proxy().children()}
    return StartedTriggers(plan, refs, supervisor)


def crash_message() -> Any:
    """Return a message that crashes a source."""
    from actors.triggers.source import _WatchEnded  # pyright: ignore[reportPrivateUsage]

    return _WatchEnded(RuntimeError("broken"))
