"""Nothing that a trigger has accepted is lost: each event is run, or a dead letter with a reason, whatever happens."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING, Any

from hypothesis import given, settings
from hypothesis import strategies as st

from actors.config.trigger import ConnectionTrigger
from actors.config.value import QueueSpec
from actors.runtime.system import ActorSystem
from actors.testing.clock import ManualClock
from actors.testing.scheduler import close
from actors.testing.settle import settle
from actors.triggers import TriggerRequest, plan_triggers
from protocols.errors import NodeStoppedError
from protocols.messages import ChatMessage
from protocols.triggers import ConnectionEvent, ConnectionFact, FunctionReturned, TriggerError, TriggerEvent
from tests.triggers.started import RecordingNode, StartedTriggers, crash_message, start_plan
from tests.triggers.test_connection_source import Flow

if TYPE_CHECKING:
    from actors.config.value import OverflowName
    from actors.triggers.trigger import Trigger, TriggerStatistics
    from protocols.ids import RunId

STEPS = [
    *("accept", "offer", "happen"),
    *("run fails", "run crashes", "node is gone", "node works", "node hangs", "source crashes", "time passes"),
]


class Node(RecordingNode):
    """A node that also notes how each run ended."""

    def __init__(self) -> None:
        super().__init__()
        self.is_open = asyncio.Event()
        self.gate = self.is_open
        self.ended: Counter[str] = Counter()
        self.completed: set[str] = set()

    async def __call__(self, prompt: str, *, run_id: RunId, event: TriggerEvent) -> str:
        try:
            answer = await super().__call__(prompt, run_id=run_id, event=event)
        except BaseException:
            self.ended["failed"] += 1
            raise
        self.ended["completed"] += 1
        self.completed.add(told_of(event) or "")
        return answer


class Scene:
    """A trigger under a supervisor, and everything that was given to it."""

    def __init__(self, stage: StartedTriggers, node: Node, flow: Flow, clock: ManualClock) -> None:
        self.stage, self.node, self.flow, self.clock = stage, node, flow, clock
        self.trigger: Trigger = stage.plan.triggers[0]
        self.accepted: list[str] = []
        self.offers: dict[str, asyncio.Task[Any]] = {}
        self._number = 0

    async def play(self, step: str) -> None:
        self._number += 1
        text = f"{step} {self._number}"
        event = FunctionReturned(source="t", time=0.0, function="f", text=text)
        match step:
            case "accept":
                try:
                    await self.trigger.accept(event)
                except TriggerError:
                    return
                self.accepted.append(text)
            case "offer":
                self.offers[text] = asyncio.ensure_future(self.trigger.offer(event))
                self.accepted.append(text)
                await asyncio.sleep(0)
            case "happen":
                self._happen(text)
            case "source crashes":
                self.stage.refs["n/c"].tell(crash_message())
            case "time passes":
                await self.clock.advance(10)
            case _:
                self._change(step)

    def _happen(self, text: str) -> None:
        fact = ConnectionFact(
            connection="k", sender="a", ends=("b",), targets=("b",), message=ChatMessage(text, "user"),
            freeze=lambda: text,
        )  # fmt: skip
        self.accepted += [text] * len(self.flow.listeners)
        for told in tuple(self.flow.listeners):
            told(fact)

    def _change(self, step: str) -> None:
        self.node.is_open.set()
        self.node.error = None
        match step:
            case "run fails":
                self.node.error = ValueError("no")
            case "run crashes":
                self.node.error = GeneratorExit()
            case "node is gone":
                self.node.error = NodeStoppedError("gone")
            case "node hangs":
                self.node.is_open.clear()
            case _:
                return


def balances(numbers: TriggerStatistics) -> bool:
    ended = numbers.completed + numbers.failed + numbers.dead_lettered
    return numbers.accepted == ended + numbers.running + numbers.queued


def told_of(message: Any) -> str | None:
    """Return the text of the event that a dead letter is or carries; None for one that is about something else."""
    event: object = message if isinstance(message, TriggerEvent) else getattr(message, "event", None)
    return event.text if isinstance(event, FunctionReturned | ConnectionEvent) else None


@settings(max_examples=80)
@given(
    steps=st.lists(st.sampled_from(STEPS), max_size=40),
    overflow=st.sampled_from(["reject", "drop_oldest", "drop_newest", "wait"]),
    concurrency=st.integers(1, 3),
    end=st.sampled_from(["run", "stop", "kill"]),
)
def test_nothing_accepted_is_lost_over_restarts_overflow_and_stops(
    steps: list[str], overflow: OverflowName, concurrency: int, end: str
) -> None:
    async def scene() -> None:
        clock = ManualClock()
        system = ActorSystem("law", clock=clock)
        try:
            node, flow = Node(), Flow()
            config = ConnectionTrigger(
                type="connection", name="c", event="message_forwarded", concurrency=concurrency, backoff=1,
                queue=QueueSpec(capacity=2, overflow=overflow),
            )  # fmt: skip
            plan = plan_triggers([TriggerRequest("n", config, node, flow)])
            played = Scene(await start_plan(system, plan), node, flow, clock)
            for step in steps:
                await played.play(step)
                # An event that waits for space is counted when it has it, or when its sender is told of the loss.
                assert overflow == "wait" or balances(played.trigger.statistics())
            await finish(played, system, end)
            check(played, system, is_exact=(overflow, end) != ("wait", "kill"))
        finally:
            await close(system, clock)  # also what a failed check has left at work

    asyncio.run(scene())


async def finish(played: Scene, system: ActorSystem, end: str) -> None:
    if end == "run":
        played.node.error = None
        played.node.is_open.set()
        await played.clock.advance(60)
    if end == "kill":
        for name in ("n/c", "n/c queue"):
            played.stage.refs[name].kill(block=False)
    elif end == "stop":
        played.node.is_open.set()
    ended = played.stage.supervisor.stop(block=False)
    for _ in range(100):  # a source may wait for space in a queue that waits for its restart
        await played.clock.advance(60)
        if ended.done():
            break
    assert ended.done()
    await asyncio.gather(*played.offers.values(), return_exceptions=True)
    await settle()


def check(played: Scene, system: ActorSystem, *, is_exact: bool) -> None:
    """Check that each accepted event has ended or is a dead letter: one of both, and once, if `is_exact`.

    A source that is killed in the moment in which the full queue takes its event tells of a loss; the event may run.
    """
    numbers = played.trigger.statistics()
    assert balances(numbers)
    assert (numbers.running, numbers.queued) == (0, 0)
    assert numbers.completed == played.node.ended["completed"]
    letters = [told_of(letter.message) for letter in system.dead_letters if letter.reason]
    lost = [text for text in letters if text is not None]
    assert set(played.accepted) == played.node.completed | set(lost)
    assert len(played.accepted) == numbers.completed + len(lost) or not is_exact
