"""What a restart keeps: the ref, the mailbox, its order; not the message in hand."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import pykka
import pytest

from actors.runtime.actor import AsyncioActor
from actors.runtime.options import StartOptions
from actors.supervision.backoff import Backoff
from actors.supervision.child import ChildSpec
from actors.supervision.supervisor import Supervisor
from actors.testing import settle
from protocols.control import ActorState
from tests.runtime.conftest import StartChild, cell_of
from tests.support.actors import RecordingActor, Restarter

if TYPE_CHECKING:
    from actors.runtime.ref import ActorRef
    from actors.runtime.system import ActorSystem


@pytest.mark.conformance("R65", "R70")
async def test_what_waits_behind_a_crash_is_handled_once_each_in_order_fifty_times(start_child: StartChild) -> None:
    log: list[Any] = []
    ref = start_child(RecordingActor, log)
    for number in range(50):
        ref.tell(ValueError("crash"))
        ref.tell(number)
    asked = ref.ask("last")

    assert await asked == "last"
    assert [entry for entry in log if entry != "on_failure"] == [*range(50), "last"]
    assert ref.incarnation == 51


@pytest.mark.conformance("R69")
async def test_the_message_in_hand_at_a_crash_is_not_run_again(
    actor_system: ActorSystem, start_child: StartChild
) -> None:
    runs: list[int] = []

    class Breaks(AsyncioActor):
        def on_receive(self, message: int) -> None:
            runs.append(message)
            raise ValueError(message)

    start_child(Breaks).tell(7)
    await settle()

    assert runs == [7]
    letter = next(iter(actor_system.dead_letters))
    assert (letter.message, letter.reason, str(letter.cause)) == (7, "failed", "7")


@pytest.mark.conformance("R66")
async def test_a_crash_loop_that_ends_for_good_leaves_nothing_unsettled(actor_system: ActorSystem) -> None:
    parent = actor_system.start(Restarter, (3,))
    ref = actor_system.start(RecordingActor, ([],), options=StartOptions(parent=cell_of(parent)))
    for _ in range(5):
        ref.tell(ValueError("crash"))
    asked = ref.ask("asked", timeout=None)
    await settle()

    cell = cell_of(ref)
    assert ref.state is ActorState.STOPPED
    assert asked.done()
    assert (cell.accepted, cell.handled, cell.failed, cell.dead) == (6, 0, 4, 2)


class Named(AsyncioActor):
    """Has a proxy of itself, and attributes of its life."""

    def __init__(self) -> None:
        super().__init__()
        self.own: Any = self.actor_ref.proxy()
        self.life = self.actor_ref.incarnation

    def crash(self) -> None:
        message = "bug"
        raise ValueError(message)

    def learn(self, name: str) -> None:
        setattr(self, name, self.life)

    def later(self) -> Any:
        return self.own.life


@pytest.mark.conformance("R70", "R71")
@pytest.mark.parametrize("make", [Named, partial(Named)], ids=["class", "factory"])
async def test_a_proxy_serves_all_lives_of_its_actor(actor_system: ActorSystem, make: Any) -> None:
    parent = actor_system.start(Restarter, (1,))
    ref: ActorRef[Any] = actor_system.start(make, options=StartOptions(parent=cell_of(parent)))
    proxy = ref.proxy()
    assert await (await proxy.later()) == 1
    with pytest.raises(ValueError, match="bug"):
        await proxy.crash()

    await proxy.learn("word")

    assert [await proxy.word, await proxy.life, await (await proxy.later())] == [2, 2, 2]
    assert proxy == ref.proxy()
    assert "learn" in dir(proxy)
    assert (ref.actor_class, actor_system.get_by_class(Named)) == (Named, [ref])


async def test_a_proxy_can_be_made_between_two_lives(actor_system: ActorSystem) -> None:
    backoff = Backoff(min=60.0, max=60.0)
    supervisor = actor_system.start(Supervisor, ([ChildSpec(partial(Named), name="child")],), {"backoff": backoff})
    child = (await supervisor.proxy().get_child("child")).ref
    with pytest.raises(ValueError, match="bug"):
        await child.proxy().crash()
    await settle()
    assert child.state is ActorState.RESTARTING
    for proxy in (child.proxy(), pykka.ActorProxy(actor_ref=child)):
        assert callable(proxy.learn)
