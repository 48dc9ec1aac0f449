"""Cycles of waits: judged when a handler begins to wait, whatever it waits for; nothing else is refused."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, cast

import pytest

from actors.runtime.actor import AsyncioActor
from actors.runtime.errors import AskCycleError, SelfStopError
from actors.runtime.mailbox import MailboxConfig
from actors.supervision.child import ChildSpec
from actors.supervision.supervisor import Supervisor
from actors.testing.settle import settle
from protocols.mailbox import Overflow

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from actors.runtime.ref import ActorRef
    from actors.runtime.system import ActorSystem

    Behaviour = Callable[["Does"], Any]


class Does(AsyncioActor):
    """Does what its message, a function of the actor, says."""

    mailbox = MailboxConfig(capacity=2, overflow=Overflow.WAIT)

    def on_receive(self, message: Behaviour) -> Any:
        return message(self)


async def told(ref: ActorRef[Any], what: Behaviour) -> Any:
    """Ask an actor to do something, and wait for it without a limit."""
    return await ref.ask(what, timeout=None)


async def value(_: object) -> str:
    return "value"


async def waits_directly(future: Awaitable[Any]) -> Any:
    return await future


async def waits_in_task(future: Awaitable[Any]) -> Any:
    return await asyncio.create_task(waits_directly(future))


async def waits_in_gather(future: Awaitable[Any]) -> Any:
    return (await asyncio.gather(future, asyncio.sleep(0)))[0]


async def waits_in_wait(future: Awaitable[Any]) -> Any:
    done, _ = await asyncio.wait([asyncio.ensure_future(future)])
    return done.pop().result()


async def waits_in_shield(future: Awaitable[Any]) -> Any:
    return await asyncio.shield(future)


async def waits_in_wait_for(future: Awaitable[Any]) -> Any:
    return await asyncio.wait_for(future, None)


async def waits_in_group(future: Awaitable[Any]) -> Any:
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(waits_directly(future))
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from None


async def waits_later(future: Awaitable[Any]) -> Any:
    await asyncio.sleep(0)
    return await future


WAYS = [
    waits_directly, waits_in_task, waits_in_gather, waits_in_wait, waits_in_shield, waits_in_wait_for, waits_in_group,
    waits_later,
]  # fmt: skip


@pytest.mark.conformance("R84")
@pytest.mark.parametrize("wait", WAYS)
async def test_an_ask_to_oneself_is_refused_however_the_handler_waits(
    actor_system: ActorSystem, wait: Callable[[Awaitable[Any]], Awaitable[Any]]
) -> None:
    ref = actor_system.start(Does, name="me")

    with pytest.raises(AskCycleError) as caught:
        await told(ref, lambda actor: wait(actor.actor_ref.ask(value, timeout=None)))

    assert caught.value.chain == ("me", "me")


@pytest.mark.conformance("R85")
@pytest.mark.parametrize("wait", WAYS)
async def test_two_that_ask_each_other_are_refused_however_they_wait(
    actor_system: ActorSystem, wait: Callable[[Awaitable[Any]], Awaitable[Any]]
) -> None:
    one, two = (actor_system.start(Does, name=name) for name in ("one", "two"))

    def back(_: object) -> Any:
        return wait(one.ask(value, timeout=None))

    with pytest.raises(AskCycleError) as caught:
        await told(one, lambda _: wait(two.ask(back, timeout=None)))

    assert caught.value.chain == ("one", "two", "one")


@pytest.mark.conformance("R85")
async def test_asks_that_cross_are_refused(actor_system: ActorSystem) -> None:
    one, two = (actor_system.start(Does, name=name) for name in ("one", "two"))
    both = asyncio.Barrier(2)

    async def ask(other: ActorRef[Any]) -> Any:
        await both.wait()
        return await other.ask(value, timeout=None)

    replies = [told(one, lambda _: ask(two)), told(two, lambda _: ask(one))]
    outcomes = await asyncio.gather(*replies, return_exceptions=True)

    assert sum(isinstance(outcome, AskCycleError) for outcome in outcomes) == 1  # the other one meets its crash


@pytest.mark.conformance("R84")
async def test_what_a_handler_does_not_wait_for_is_no_cycle(actor_system: ActorSystem) -> None:
    ref = actor_system.start(Does, name="me")
    answers: list[Any] = []

    async def poll(actor: Does) -> None:
        answers.append(await actor.actor_ref.ask(value))
        answers.append(await actor.actor_ref.stop())

    async def begins(actor: Does) -> asyncio.Task[None]:
        task = asyncio.create_task(poll(actor))
        for _ in range(5):
            await asyncio.sleep(0)  # the task has asked, and this handler goes on
        return task

    handed_on = await told(ref, lambda actor: actor.actor_ref.ask(value))
    mapped = await told(ref, lambda actor: actor.actor_ref.ask(value).map(str.upper))
    later = await ref.ask(begins)

    assert [await handed_on, await mapped] == ["value", "VALUE"]
    await later
    assert answers == ["value", True]


@pytest.mark.conformance("R85")
async def test_a_child_that_asks_its_starter_fails_to_start(actor_system: ActorSystem) -> None:
    class Child(Does):
        async def on_start(self) -> None:
            await owner.ask(value, timeout=None)

    async def make(_: object) -> None:
        await actor_system.start(Child, name="child").ready()

    owner = actor_system.start(Does, name="owner")
    with pytest.raises(Exception, match="could not start") as caught:
        await told(owner, make)

    cause = caught.value.__cause__
    assert isinstance(cause, AskCycleError)
    assert cause.chain == ("owner", "child", "owner")


@pytest.mark.conformance("R85")
async def test_a_stop_hook_that_asks_who_waits_for_the_stop_is_refused(actor_system: ActorSystem) -> None:
    refusals: list[BaseException] = []

    class Polite(Does):
        async def on_stop(self) -> None:
            try:
                await boss.ask(value, timeout=None)
            except AskCycleError as error:
                refusals.append(error)

    polite = actor_system.start(Polite, name="polite")
    boss = actor_system.start(Does, name="boss")

    assert await told(boss, lambda _: waits_directly(polite.stop())) is True
    assert [getattr(error, "chain", None) for error in refusals] == [("boss", "polite", "boss")]


@pytest.mark.conformance("R17")
@pytest.mark.parametrize("end", ["close", "stop_all"])
@pytest.mark.parametrize("wait", [waits_directly, waits_in_shield, waits_in_task])
async def test_a_handler_that_waits_for_the_end_of_its_system_is_refused_and_the_end_comes(
    actor_system: ActorSystem, end: str, wait: Callable[[Awaitable[Any]], Awaitable[Any]]
) -> None:
    ref = actor_system.start(Does, name="boss")

    with pytest.raises(SelfStopError) as caught:
        await told(ref, lambda actor: wait(getattr(actor.system, end)()))

    assert caught.value.chain == ("boss", "boss")
    await actor_system.close()
    assert not ref.is_alive()


@pytest.mark.conformance("R17")
async def test_a_handler_may_end_the_system_without_waiting(actor_system: ActorSystem) -> None:
    async def ends(actor: Does) -> asyncio.Task[list[str]]:
        task = asyncio.create_task(actor.system.close())
        await asyncio.sleep(0)
        return task

    closing = await actor_system.start(Does).ask(ends)

    assert await closing == []


@pytest.mark.conformance("R85")
@pytest.mark.parametrize("size", [1, 3])
async def test_a_ring_of_full_mailboxes_is_refused(actor_system: ActorSystem, size: int) -> None:
    ring = [actor_system.start(Does, name=f"a{number}") for number in range(size)]

    def fill(number: int) -> Callable[[object], Any]:
        async def floods(_: object) -> None:
            for _n in range(3):
                await ring[(number + 1) % size].send(value)

        return floods

    def both(number: int) -> Callable[[object], Any]:
        return lambda _: waits_in_gather(fill(number)(None))

    replies = [told(ref, both(number)) for number, ref in enumerate(ring)]
    outcomes = await asyncio.gather(*replies, return_exceptions=True)

    (refused,) = [error for error in outcomes if isinstance(error, AskCycleError)]  # the others meet its crash
    assert refused.chain[0] == refused.chain[-1]
    assert sorted(refused.chain[1:]) == sorted(ref.name for ref in ring)


class Family:
    """A supervisor with one child that does what it is told."""

    def __init__(self, system: ActorSystem) -> None:
        spec = ChildSpec(Does, name="child", shutdown="infinity")
        self.spec = spec
        self.top = system.start(Supervisor, ([spec],), name="top")

    async def ask(self, what: Behaviour) -> Any:
        child = await self.top.proxy().get_child("child")
        return await told(child.ref, what)


OPERATIONS: dict[str, Callable[[Family], Awaitable[Any]]] = {
    "terminate": lambda family: family.top.proxy().terminate_child("child"),
    "replace": lambda family: family.top.proxy().replace_child(family.spec),
    "stop": lambda family: family.top.stop(),
    "kill in a task": lambda family: waits_in_task(family.top.proxy().terminate_child("child")),
}


@pytest.mark.conformance("R17")
@pytest.mark.parametrize("operation", list(OPERATIONS))
async def test_a_child_that_waits_for_its_own_end_through_its_supervisor_is_refused(
    actor_system: ActorSystem, operation: str
) -> None:
    family = Family(actor_system)

    with pytest.raises(SelfStopError):
        await family.ask(lambda _: waits_directly(OPERATIONS[operation](family)))

    await settle(actor_system)
    assert (await family.top.stop()) in {True, False}


async def test_a_child_starts_another_one_while_it_starts(actor_system: ActorSystem) -> None:
    top = await actor_system.start(Supervisor, ([],), name="top").ready()

    class Starter(Does):
        async def on_start(self) -> None:
            self.other = await top.proxy().start_child(ChildSpec(Does, name="other"))

    child = await top.proxy().start_child(ChildSpec(Starter, name="starter"))

    assert await told(child, lambda actor: cast("Starter", actor).other.name) == "other"


@pytest.mark.conformance("R85")
async def test_a_thread_that_gets_what_its_handler_must_answer_is_refused(actor_system: ActorSystem) -> None:
    class Blocks(AsyncioActor):
        blocking = True

        def on_receive(self, message: str) -> Any:
            reply = self.actor_ref.ask("again", block=False, timeout=None)
            return reply.get() if message == "get" else reply

    ref = actor_system.start(Blocks, name="me")
    handed_on = await ref.ask("hand on")
    again = await handed_on
    with pytest.raises(AskCycleError, match="me -> me"):
        await ref.ask("get", timeout=None)

    again.cancel()
