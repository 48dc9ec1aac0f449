"""A message whose handler crashed is handled once more, if the actor says so: at least once, never a third time."""

import asyncio
from typing import Any

import pytest

from actors.runtime.actor import AsyncioActor
from actors.runtime.errors import AskTimeoutError
from actors.runtime.options import StartOptions
from actors.runtime.ref import ActorRef
from actors.runtime.system import ActorSystem
from actors.supervision.backoff import Backoff
from actors.supervision.child import ChildSpec
from actors.supervision.supervisor import Supervisor
from actors.testing.clock import ManualClock
from actors.testing.settle import settle

log: list[Any] = []


@pytest.fixture(autouse=True)
def empty() -> None:
    log.clear()


class Fragile(AsyncioActor):
    """Crashes at the first attempt of each message, or at all of them."""

    redeliver = True

    async def on_receive(self, message: str) -> str:
        """Note the attempt."""
        log.append((message, self.actor_ref.incarnation))
        if message == "wait":
            await asyncio.Event().wait()
        if message == "always" or log.count((message, 1)) + log.count((message, 2)) + log.count((message, 3)) == 1:
            raise RuntimeError(f"broken by {message}")
        return f"done {message}"


async def child(system: ActorSystem, kind: Any = Fragile, **spec: Any) -> ActorRef[Any]:
    backoff = Backoff(min=1.0, max=8.0, jitter=0.0)
    sup = system.start(Supervisor, ([ChildSpec(kind, name="c", **spec)],), {"backoff": backoff})
    await sup.ready()
    return next(iter(children_of(sup)))


def children_of(sup: ActorRef[Any]) -> list[ActorRef[Any]]:
    children = sup._cell.children  # pyright: ignore[reportPrivateUsage]
    return [cell.ref for cell in children or ()]


def balance(ref: ActorRef[Any]) -> tuple[int, int, int, int, int]:
    cell = ref._cell  # pyright: ignore[reportPrivateUsage]
    assert cell.accepted == cell.handled + cell.failed + cell.dead + len(cell.mailbox)
    return cell.accepted, cell.handled, cell.failed, cell.dead, len(cell.mailbox)


async def test_the_next_incarnation_handles_the_message_and_the_asker_gets_its_answer(
    actor_system: ActorSystem, manual_clock: ManualClock
) -> None:
    ref = await child(actor_system)
    first, second = ref.ask("a", timeout=None), ref.ask("b", timeout=None)
    await settle()
    assert not first.done()
    assert balance(ref) == (3, 0, 1, 0, 2)

    await manual_clock.advance(20)

    assert (await first, await second) == ("done a", "done b")
    assert log == [("a", 1), ("a", 2), ("b", 2), ("b", 3)]
    assert balance(ref) == (4, 2, 2, 0, 0)
    assert not list(actor_system.dead_letters)


async def test_a_message_that_crashes_again_fails(actor_system: ActorSystem, manual_clock: ManualClock) -> None:
    ref = await child(actor_system)
    asked = ref.ask("always", timeout=None)
    ref.tell("always")
    await manual_clock.advance(60)

    with pytest.raises(RuntimeError, match="broken by always"):
        await asked
    assert len(log) == 4
    assert [letter.reason for letter in actor_system.dead_letters] == ["failed"]
    assert balance(ref) == (4, 0, 4, 0, 0)


async def test_a_message_whose_asker_gives_up_during_the_restart_is_not_handled_again(
    actor_system: ActorSystem, manual_clock: ManualClock
) -> None:
    ref = await child(actor_system)
    asked = ref.ask("a", timeout=0.5)
    await manual_clock.advance(20)

    with pytest.raises(AskTimeoutError):
        await asked
    assert log == [("a", 1)]
    assert balance(ref) == (2, 0, 1, 1, 0)


class Reentrant(Fragile):
    """Handles several at once."""

    max_concurrency = 5


async def test_a_handler_that_the_crash_of_another_one_cancels_runs_again_as_well(
    actor_system: ActorSystem, manual_clock: ManualClock
) -> None:
    ref = await child(actor_system, Reentrant)
    ref.tell("wait")
    asked = ref.ask("a", timeout=None)
    await manual_clock.advance(20)

    assert await asked == "done a"
    assert sorted(log) == [("a", 1), ("a", 2), ("wait", 1), ("wait", 2)]
    cell = ref._cell  # pyright: ignore[reportPrivateUsage]
    assert cell.accepted - cell.handled - cell.failed - cell.dead - len(cell.mailbox) == 1  # the handler that waits


@pytest.mark.parametrize("spec", [{"restart": "temporary"}, {"on_exception": {RuntimeError: "resume"}}])
async def test_without_a_next_incarnation_the_asker_gets_the_failure(actor_system: ActorSystem, spec: Any) -> None:
    ref = await child(actor_system, **spec)
    with pytest.raises(RuntimeError, match="broken by a"):
        await ref.ask("a")
    assert log == [("a", 1)]


async def test_without_a_supervisor_nothing_is_handled_again(actor_system: ActorSystem) -> None:
    ref = actor_system.start(Fragile, options=StartOptions(name="alone"))
    with pytest.raises(RuntimeError, match="broken by a"):
        await ref.ask("a")
    assert log == [("a", 1)]
