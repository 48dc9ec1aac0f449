"""An asker that handles its message itself: nobody can tell it from the way through the loop."""

import asyncio
import contextvars
import inspect
import sys
from collections.abc import Callable
from typing import Any

import pytest

from actors.runtime.actor import AsyncioActor
from actors.runtime.dispatcher import Dispatcher
from actors.runtime.errors import ActorCrashedError, AskCycleError
from actors.runtime.ref import ActorRef
from actors.runtime.system import ActorSystem
from actors.testing import settle
from tests.support.actors import Echo

pytestmark = pytest.mark.usefixtures("no_leaked_actors")
variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="nothing")


class Calls(AsyncioActor):
    """Calls the message, and awaits what it returns."""

    async def on_receive(self, message: Callable[[], Any]) -> Any:
        result = message()
        return await result if asyncio.iscoroutine(result) else result


@pytest.fixture(params=["at once", "through the loop"], autouse=True)
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "through the loop":

        def never(_: Dispatcher) -> bool:
            return False

        monkeypatch.setattr(Dispatcher, "hands_over", never)
    return str(request.param)


async def warm(ref: ActorRef[Any]) -> None:
    """Let there be an idle worker."""
    await ref.ask(lambda: None)
    await settle()


async def test_an_ask_that_nothing_is_before_takes_no_round_of_the_loop(actor_system: ActorSystem, way: str) -> None:
    ref = actor_system.start(Echo)
    await ref.ask("first")
    await settle()
    told: list[str] = []
    asked = ref.ask("x")
    answer = await asked
    asyncio.get_running_loop().call_soon(told.append, "loop")
    assert (answer, told) == ("x", [])

    asked = ref.ask("y")
    asyncio.get_running_loop().call_soon(told.append, "ready before")
    await asked
    assert told == ["loop", "ready before"]


async def test_the_loop_has_its_turn_under_an_endless_asker(actor_system: ActorSystem, way: str) -> None:
    ref = actor_system.start(Echo)
    await ref.ask("first")
    await settle()
    asks, done = 0, asyncio.Event()

    def wake() -> None:
        asyncio.get_running_loop().call_soon(done.set)

    asyncio.get_running_loop().call_later(0, wake)
    while not done.is_set():
        await ref.ask(asks)
        asks += 1
    assert asks <= (130 if way == "at once" else 4)


async def test_a_handler_sees_neither_context_nor_task_nor_exception_nor_stack_of_its_asker(
    actor_system: ActorSystem,
) -> None:
    ref = actor_system.start(Calls)
    await warm(ref)
    variable.set("of the asker")

    def look() -> tuple[Any, ...]:
        depth, frame = 0, inspect.currentframe()
        while frame is not None:
            depth, frame = depth + 1, frame.f_back
        return variable.get(), asyncio.current_task(), sys.exc_info()[1], depth

    async def deep(levels: int) -> Any:
        return await deep(levels - 1) if levels else await ref.ask(look)

    for levels in (0, 200, 600):
        try:
            raise KeyError("of the asker")  # noqa: TRY301
        except KeyError:
            seen = await deep(levels)
        assert seen[0] == "nothing"
        assert seen[1] is not asyncio.current_task()
        assert seen[2] is None
        seen = await deep(levels)
        assert seen[3] < 250


async def test_a_handler_that_cancels_its_task_hits_neither_its_asker_nor_the_next_handler(
    actor_system: ActorSystem,
) -> None:
    ref, other = actor_system.start(Calls), actor_system.start(Calls)
    await warm(ref)

    def cancel() -> str:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        return "cancelled"

    async def nap() -> str:
        await asyncio.sleep(0)
        return "slept"

    async def cancelled_nap() -> str:
        cancel()
        await asyncio.sleep(0)
        return "slept"

    for _ in range(3):
        assert await ref.ask(cancel) == "cancelled"
        assert await other.ask(nap) == "slept"
        with pytest.raises(ActorCrashedError, match="CancelledError"):
            await ref.ask(cancelled_nap)
        ref = actor_system.start(Calls)
        assert await other.ask(nap) == "slept"


async def test_a_handler_that_waits_goes_on_in_the_task_in_which_it_began(actor_system: ActorSystem) -> None:
    ref, gate = actor_system.start(Calls), asyncio.Event()
    await warm(ref)
    kept: list[Any] = []

    async def wait() -> bool:
        task = asyncio.current_task()
        kept.append(task)
        async with asyncio.timeout(60), asyncio.TaskGroup() as group:
            group.create_task(gate.wait())
        return asyncio.current_task() is task

    async def ask() -> Any:
        return await ref.ask(wait)

    asker = asyncio.create_task(ask())
    await settle()
    gate.set()
    assert await asker
    assert len(kept) == 1


async def test_a_task_that_a_handler_has_kept_serves_no_other_handler(actor_system: ActorSystem) -> None:
    ref, other, gate = actor_system.start(Calls), actor_system.start(Calls), asyncio.Event()
    await warm(ref)
    task: Any = await ref.ask(asyncio.current_task)
    waiting = asyncio.ensure_future(other.ask(gate.wait))
    await settle()
    task.cancel()
    await settle()
    gate.set()
    assert await waiting


async def test_an_asker_that_was_cancelled_starts_nothing(actor_system: ActorSystem) -> None:
    ref, began = actor_system.start(Calls), list[str]()
    await warm(ref)

    async def ask() -> None:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        await ref.ask(lambda: began.append("began"))

    with pytest.raises(asyncio.CancelledError):
        await asyncio.create_task(ask())
    await settle()
    assert began == []


@pytest.mark.parametrize("has_waited", [False, True])
async def test_a_cycle_is_refused_where_it_closes(has_waited: bool, actor_system: ActorSystem) -> None:
    first, second = actor_system.start(Calls, name="first"), actor_system.start(Calls, name="second")
    await warm(first)
    refused: list[str] = []

    async def back() -> str:
        try:
            return str(await first.ask(lambda: "never"))
        except AskCycleError:
            refused.append("second")
            return "refused"

    async def forth() -> str:
        if has_waited:
            await asyncio.sleep(0)
            await second.ask(lambda: None)
        return str(await second.ask(back))

    assert await first.ask(forth) == "refused"
    assert refused == ["second"]


async def test_equal_askers_take_turns(actor_system: ActorSystem) -> None:
    ref, served = actor_system.start(Echo), list[int]()

    async def ask(number: int) -> None:
        for _ in range(50):
            served.append(await ref.ask(number))

    async with asyncio.TaskGroup() as group:
        for number in range(3):
            group.create_task(ask(number))
    ahead = [abs(served[:at].count(0) - served[:at].count(2)) for at in range(len(served))]
    assert max(ahead) <= 1
