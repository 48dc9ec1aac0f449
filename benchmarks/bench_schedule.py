"""How long does a day of schedules take on the manual clock?"""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING

from benchmarks.question import Contestant, Question, Target, Unit

if TYPE_CHECKING:
    from actors.config.trigger import TriggerSpec
    from protocols.ids import RunId
    from protocols.triggers import TriggerEvent

DAY = 86_400
"""Seconds."""
NOON = 1_717_416_000.0
"""Seconds since 1970 at which the day begins."""


async def ours(count: int) -> float:
    from actors.config.trigger import IntervalTrigger, ScheduleTrigger
    from actors.runtime.system import ActorSystem
    from actors.supervision.supervisor import Supervisor
    from actors.testing.clock import ManualClock
    from actors.triggers import TriggerRequest, plan_triggers

    runs: list[str] = []

    async def node(prompt: str, *, run_id: RunId, event: TriggerEvent) -> None:
        runs.append(event.source)

    clock = ManualClock()
    cron = {"type": "time", "prompt": "Sum up", "timezone": "Europe/Berlin"}
    settings: list[TriggerSpec] = [
        ScheduleTrigger.model_validate({**cron, "name": "minutely", "schedule": "* * * * *"}),
        ScheduleTrigger.model_validate({**cron, "name": "daily", "schedule": "30 2 * * *"}),
        IntervalTrigger(type="interval", name="often", every=10, prompt="Look"),
    ]
    start = clock.now()
    plan = plan_triggers(
        [TriggerRequest("node", each, node) for each in settings], wall=lambda: NOON + clock.now() - start
    )
    seconds = 0.0
    async with ActorSystem("bench", clock=clock) as system:
        await system.start(Supervisor, ([child.spec() for child in plan.children],)).ready()
        started = perf_counter()
        for _ in range(count):
            await clock.advance(DAY)
        seconds = perf_counter() - started
    expected = {"minutely": 1_440 * count, "daily": count, "often": 8_640 * count}
    found = {name: runs.count(name) for name in expected}
    if found != expected:
        msg = f"{found} runs instead of {expected}"
        raise RuntimeError(msg)
    return seconds


QUESTION = Question(
    title="A day of one cron line each minute, one each night and one interval of 10 s: 10,081 runs, none lost",
    unit=Unit.SECONDS,
    count=1,
    batches=1,
    rounds=3,
    contestants=(Contestant(name="ours", run=ours, requires="actors"),),
    targets=(Target(at_most=10.0),),
)
