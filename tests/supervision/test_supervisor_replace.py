"""Children that get another spec while the supervisor runs: in place, or with another life behind the same ref."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from actors.runtime.actor import AsyncioActor
from actors.runtime.errors import MailboxFullError
from actors.runtime.mailbox import MailboxConfig
from actors.supervision.backoff import Backoff
from actors.supervision.child import ChildSpec, ChildSpecError
from actors.supervision.errors import ChildOperationError, SupervisionOptionError
from actors.supervision.intensity import RestartIntensity
from actors.supervision.strategies import Answer
from actors.testing.settle import settle
from tests.supervision.children import Log, Member, child, crash, lives, member, members, ref_of, states, supervise

if TYPE_CHECKING:
    from actors.runtime.system import ActorSystem
    from actors.testing.clock import ManualClock


class Gated(AsyncioActor):
    """Holds each message until its gate is open, and says which version handled it."""

    def __init__(self, version: str, gate: asyncio.Event, handled: list[tuple[str, Any]]) -> None:
        super().__init__()
        self.version, self.gate, self.handled = version, gate, handled

    async def on_receive(self, message: Any) -> str:
        """Wait and answer."""
        await self.gate.wait()
        self.handled.append((self.version, message))
        return self.version


async def test_a_replaced_child_keeps_its_ref_and_its_mail_and_what_is_in_hand_ends_first(
    actor_system: ActorSystem,
) -> None:
    gate, handled = asyncio.Event(), list[tuple[str, Any]]()
    sup = await supervise(actor_system, [ChildSpec(Gated, args=("old", gate, handled), name="a")])
    ref = await ref_of(sup, "a")
    answers = [ref.ask(number) for number in range(3)]
    await settle()

    replaced = sup.proxy().replace_child(ChildSpec(Gated, args=("new", gate, handled), name="a"))
    await settle()
    late = ref.ask("late")
    gate.set()

    assert await replaced == ref
    assert [await answer for answer in answers] == ["old", "new", "new"]
    assert await late == "new"
    assert [message for _, message in handled] == [0, 1, 2, "late"]
    assert (await child(sup, "a")).incarnation == 2


async def test_replacing_is_no_restart_for_the_intensity(actor_system: ActorSystem) -> None:
    log = Log()
    sup = await supervise(actor_system, members(log, "ab"), intensity=RestartIntensity(limit=0, period=5.0))

    for _ in range(5):
        await sup.proxy().replace_child(member(log, "a"))

    assert await lives(sup) == {"a": 6, "b": 1}
    assert sup.is_alive()


@pytest.mark.parametrize("restart", ["permanent", "transient", "temporary"])
async def test_a_child_of_every_restart_policy_can_be_replaced(actor_system: ActorSystem, restart: Any) -> None:
    log = Log()
    sup = await supervise(actor_system, members(log, "a", restart=restart))

    await sup.proxy().replace_child(member(log, "a", restart=restart))

    assert await states(sup) == {"a": "running"}
    assert log.take() == ["+a", "-a", "+a"]


async def test_a_child_that_waits_for_its_restart_is_replaced_at_once(
    actor_system: ActorSystem, manual_clock: ManualClock
) -> None:
    log = Log()
    sup = await supervise(actor_system, members(log, "a"), backoff=Backoff(min=10.0, max=10.0, jitter=0.0))
    ref = await ref_of(sup, "a")
    await crash(sup, "a")
    ref.tell("waits")

    assert await sup.proxy().replace_child(member(log, "a")) == ref

    assert await ref.ask("got") == ["waits"]
    await manual_clock.advance(100.0)
    assert await lives(sup) == {"a": 2}


async def test_a_stopped_child_is_started_by_replacing_it(actor_system: ActorSystem) -> None:
    log = Log()
    sup = await supervise(actor_system, members(log, "a"))
    await sup.proxy().terminate_child("a")

    ref = await sup.proxy().replace_child(member(log, "a"))

    assert ref is not None
    assert ref.is_alive()


async def test_a_child_that_is_terminated_while_it_is_replaced_stays_down(actor_system: ActorSystem) -> None:
    gate, handled = asyncio.Event(), list[tuple[str, Any]]()
    spec = ChildSpec(Gated, args=("old", gate, handled), name="a")
    sup = await supervise(actor_system, [spec])
    answer = (await ref_of(sup, "a")).ask(1)
    await settle()
    replaced = sup.proxy().replace_child(spec)
    await settle()

    terminated = sup.proxy().terminate_child("a")
    await settle()
    gate.set()

    assert await terminated
    assert await replaced is None
    assert await states(sup) == {"a": "stopped"}
    assert await answer == "old"


async def test_siblings_do_not_notice(actor_system: ActorSystem) -> None:
    log = Log()
    sup = await supervise(actor_system, members(log, "abc"), strategy="one_for_all")
    log.take()

    await sup.proxy().replace_child(member(log, "b"))

    assert log.take() == ["-b", "+b"]
    assert list(await states(sup)) == ["a", "b", "c"]


async def test_an_updated_child_lives_on_and_its_next_life_is_the_new_one(actor_system: ActorSystem) -> None:
    old, new = Log(), Log()
    sup = await supervise(actor_system, members(old, "a"))
    ref = await ref_of(sup, "a")

    assert await sup.proxy().update_child(member(new, "a", restart="transient")) is True

    assert old.take() == ["+a"]
    assert new.take() == []
    assert (await child(sup, "a")).restart == "transient"
    await crash(sup, "a")
    assert new.take() == ["+a"]
    assert ref == await ref_of(sup, "a")


async def test_limits_of_an_updated_child_hold_at_once(actor_system: ActorSystem) -> None:
    gate, handled = asyncio.Event(), list[tuple[str, Any]]()
    args = ("v", gate, handled)
    sup = await supervise(actor_system, [ChildSpec(Gated, args=args, name="a", mailbox=MailboxConfig(capacity=5))])
    ref = await ref_of(sup, "a")
    for number in range(4):
        ref.tell(number)
    await settle()

    await sup.proxy().update_child(ChildSpec(Gated, args=args, name="a", mailbox=MailboxConfig(capacity=2)))

    with pytest.raises(MailboxFullError):
        ref.tell("too much")
    gate.set()
    await settle()
    await ref.ask("room again")
    assert [message for _, message in handled] == [0, 1, 2, 3, "room again"]


@pytest.mark.parametrize("operation", ["update_child", "replace_child"])
async def test_what_cannot_be_is_refused_and_changes_nothing(actor_system: ActorSystem, operation: str) -> None:
    log = Log()
    sup = await supervise(actor_system, members(log, "a"))
    act = getattr(sup.proxy(), operation)

    with pytest.raises(ChildOperationError) as caught:
        await act(member(log, "b"))
    assert caught.value.answer is Answer.NOT_FOUND
    assert str(caught.value).startswith(f"supervisor 'Supervisor' cannot {operation.partition('_')[0]} child 'b'")
    with pytest.raises(ChildSpecError, match=r"restart must be one of .*, not 'never'"):
        await act({"actor_class": Member, "name": "a", "restart": "never"})
    with pytest.raises(ChildSpecError, match="another key or other lanes"):
        await act(member(log, "a", mailbox=MailboxConfig(priority=lambda _: 0)))

    assert log.take() == ["+a"]
    assert await lives(sup) == {"a": 1}


async def test_a_lower_intensity_counts_the_restarts_that_there_have_been(actor_system: ActorSystem) -> None:
    sup = await supervise(actor_system, members(Log(), "a"), intensity=RestartIntensity(limit=9, period=5.0))
    for _ in range(3):
        await crash(sup, "a")

    await sup.proxy().set_limits(RestartIntensity(limit=3, period=5.0), None)
    await crash(sup, "a")

    assert not sup.is_alive()


async def test_limits_that_cannot_be_are_refused(actor_system: ActorSystem) -> None:
    sup = await supervise(actor_system, members(Log(), "a"))

    with pytest.raises(SupervisionOptionError):
        await sup.proxy().set_limits(RestartIntensity(), "soon")

    assert await lives(sup) == {"a": 1}
