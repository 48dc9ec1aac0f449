"""The tasks of the workers: one that a handler has touched never serves another actor."""

from __future__ import annotations

import asyncio
import sys
import weakref
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.runtime.actor import AsyncioActor
from actors.runtime.system import ActorSystem
from actors.testing import settle
from tests.runtime.conftest import check_whole

kept: list[Any] = []


class Keeps(AsyncioActor):
    """Does to its task what the message says, with or without a wait."""

    async def on_receive(self, message: tuple[str, bool]) -> Any:
        what, waits = message
        task = asyncio.current_task()
        assert task is not None
        if what == "cancel":
            if waits:
                await asyncio.sleep(0)
            task.cancel()
            return task
        if what == "keep":
            kept.append(task)
        elif what == "callback":
            task.add_done_callback(lambda _: kept.append("done"))
        else:
            scopes.setdefault(task, []).append("row")
        if waits:
            await asyncio.sleep(0)
        return None


scopes: weakref.WeakKeyDictionary[Any, list[str]] = weakref.WeakKeyDictionary()


class Looks(AsyncioActor):
    """Waits, and says what it found in the scope of its task."""

    async def on_receive(self, message: Any) -> Any:
        found = list(scopes.get(asyncio.current_task(), ()))
        await asyncio.sleep(0)
        await message.wait()
        return found


@settings(max_examples=80, deadline=None)
@given(
    before=st.lists(
        st.tuples(st.sampled_from(["cancel", "keep", "callback", "scope"]), st.booleans()), min_size=1, max_size=5
    ),
)
def test_the_task_of_a_handler_is_never_that_of_another_actor(before: list[tuple[str, bool]]) -> None:
    kept.clear()

    async def main() -> None:
        async with ActorSystem("law") as system:
            gate = asyncio.Event()
            for message in before:
                system.start(Keeps).tell(message)
            asked = [system.start(Looks).ask(gate, timeout=None) for _ in range(3)]
            await settle()
            for task in [one for one in kept if one != "done"]:
                task.cancel("stray")
            await settle()
            gate.set()
            assert await asyncio.gather(*asked) == [[], [], []]
            await settle()
            assert kept.count("done") == sum(what == "callback" for what, _ in before)
            await check_whole(system)

    asyncio.run(main())


async def test_a_handler_that_cancels_its_own_task_too_late_hits_no_message_of_its_actor(
    actor_system: ActorSystem,
) -> None:
    ref = actor_system.start(Keeps)
    asks = [ref.ask(message, timeout=None) for message in [("cancel", False), ("scope", True), ("cancel", True)]]

    await asyncio.gather(*asks, ref.ask(("scope", True), timeout=None))

    assert ref.is_alive()


async def test_a_handler_that_leaves_its_task_alone_costs_no_task(actor_system: ActorSystem) -> None:
    class Waits(AsyncioActor):
        async def on_receive(self, message: Any) -> None:
            async with asyncio.timeout(20):
                await asyncio.sleep(0)
            await asyncio.wait_for(asyncio.sleep(0), 20)

    ref = actor_system.start(Waits)
    await ref.ask("first")
    before = {id(task) for task in actor_system.dispatcher.tasks}
    for number in range(50):
        await ref.ask(number)

    assert {id(task) for task in actor_system.dispatcher.tasks} == before


async def test_an_event_loop_that_runs_again_inside_a_handler_does_not_stop_the_others() -> None:
    # What `nest_asyncio` patches cannot be built from public parts, so the test takes the two steps of the dispatcher.
    system = ActorSystem("nested")
    worker = system.dispatcher

    class Nests(AsyncioActor):
        def on_receive(self, message: Any) -> None:
            seen.append((worker.active, len(worker.tasks)))
            vars(worker)["_may_nest"] = True
            asked.append(system.start(Keeps).ask(("scope", False)))
            relieve: Any = vars(type(worker))["_relieve"]
            relieve(worker)
            seen.append((worker.active, len(worker.tasks)))

    seen: list[tuple[int, int]] = []
    asked: list[Any] = []
    await system.start(Nests).ask("go")

    assert seen == [(1, 1), (2, 2)]
    await asked[0]
    await check_whole(system)
    await system.close()


@pytest.mark.skipif(sys.version_info < (3, 12), reason="eager tasks came with Python 3.12")
def test_an_eager_task_factory_nests_no_steps() -> None:
    class Fans(AsyncioActor):
        async def on_receive(self, message: Any) -> Any:
            return await asyncio.gather(*[ref.ask(number) for number, ref in enumerate(message)])

    class Waits(AsyncioActor):
        async def on_receive(self, message: Any) -> Any:
            await asyncio.sleep(0)
            return message

    async def main() -> None:
        asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)  # type: ignore[attr-defined,unused-ignore]
        async with ActorSystem("eager") as system:
            refs = [system.start(Waits) for _ in range(2_000)]
            assert await system.start(Fans).ask(refs) == list(range(2_000))
            await check_whole(system)

    asyncio.run(main())
