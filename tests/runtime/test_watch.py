"""Watching and linking: who is told of an end, when, and how often."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

import pytest

from actors.runtime.actor import AsyncioActor
from actors.runtime.death_watch import link
from actors.runtime.errors import DeathPactError
from actors.runtime.system import ActorSystem
from actors.testing import TestProbe, settle
from protocols.control import ActorState, ExitReason, Terminated
from tests.runtime.conftest import StartChild, cell_of
from tests.support.actors import Echo, RecordingActor


class Watcher(AsyncioActor):
    """Watches what it is sent, as often as it is sent; anything else it writes down."""

    def __init__(self, log: list[Any], *, gate: asyncio.Event | None = None) -> None:
        super().__init__()
        self.log = log
        self.gate = gate

    async def on_receive(self, message: Any) -> Any:
        match message:
            case ("watch", ref):
                self.watch(ref)
            case ("unwatch", ref):
                self.unwatch(ref)
            case ("link", ref):
                self.link(ref)
            case BaseException():
                raise message
            case _:
                if self.gate is not None:
                    await self.gate.wait()
                self.log.append(message)
        return message

    def on_terminated(self, terminated: Terminated) -> None:
        self.log.append((terminated.ref, terminated.reason))


@pytest.mark.conformance("R73")
async def test_each_watcher_is_told_exactly_once_also_if_it_watched_twice(actor_system: ActorSystem) -> None:
    target = actor_system.start(Echo)
    logs: list[list[Any]] = [[], [], []]
    watchers = [actor_system.start(Watcher, (log,)) for log in logs]
    for watcher in watchers:
        await watcher.ask(("watch", target))
        await watcher.ask(("watch", target))

    await target.stop()
    await settle()

    assert logs == [[(target, ExitReason.NORMAL)]] * 3


@pytest.mark.conformance("R73")
async def test_a_watcher_is_not_told_of_a_restart(actor_system: ActorSystem, start_child: StartChild) -> None:
    log: list[Any] = []
    target = start_child(RecordingActor, [])
    watcher = actor_system.start(Watcher, (log,))
    await watcher.ask(("watch", target))
    for _ in range(5):
        target.tell(ValueError("no"))
    await settle()
    assert target.incarnation == 6
    assert log == []

    await target.stop()
    await settle()
    assert log == [(target, ExitReason.NORMAL)]


@pytest.mark.conformance("R74", "R18")
async def test_watching_a_dead_actor_tells_at_once_and_once_for_each_time(actor_system: ActorSystem) -> None:
    log: list[Any] = []
    target = actor_system.start(Echo)
    await target.stop()
    watcher = actor_system.start(Watcher, (log,))

    watcher.tell(("watch", target))
    watcher.tell(("watch", target))  # the news of the first is on its way, or was handled
    await settle()
    first = list(log)
    await watcher.ask(("watch", target))
    await settle()

    assert first[0] == (target, ExitReason.ALREADY_DEAD)
    assert len(log) == len(first) + 1


@pytest.mark.conformance("R74")
async def test_watching_a_dead_actor_twice_in_one_handler_tells_once(actor_system: ActorSystem) -> None:
    log: list[Any] = []
    target = actor_system.start(Echo)
    await target.stop()

    class Eager(Watcher):
        async def on_receive(self, message: Any) -> None:
            self.watch(target)
            self.watch(target)

    actor_system.start(Eager, (log,)).tell("go")
    await settle()

    assert log == [(target, ExitReason.ALREADY_DEAD)]


@pytest.mark.conformance("R75")
async def test_after_unwatch_no_news_is_seen_even_if_it_was_waiting(actor_system: ActorSystem) -> None:
    log: list[Any] = []
    gate = asyncio.Event()
    target = actor_system.start(Echo)
    watcher = actor_system.start(Watcher, (log,), {"gate": gate})
    await watcher.ask(("watch", target))
    watcher.tell("busy")
    watcher.tell(("unwatch", target))
    await settle()
    await target.stop()
    gate.set()
    await settle()

    assert log == ["busy"]
    cell = cell_of(watcher)
    assert cell.accepted == cell.handled == 4


@pytest.mark.conformance("R75")
async def test_an_unwatched_actor_can_be_watched_again(actor_system: ActorSystem) -> None:
    log: list[Any] = []
    target = actor_system.start(Echo)
    watcher = actor_system.start(Watcher, (log,))
    for what in ("watch", "unwatch", "watch"):
        await watcher.ask((what, target))

    await target.stop()
    await settle()

    assert log == [(target, ExitReason.NORMAL)]


@pytest.mark.conformance("R76")
@pytest.mark.parametrize("pact", [False, True])
async def test_a_watcher_without_a_handler_does_what_its_class_declares(actor_system: ActorSystem, pact: bool) -> None:
    class Mourner(AsyncioActor):
        death_pact = pact

        def on_receive(self, message: Any) -> None:
            self.watch(message)

    target, mourner = actor_system.start(Echo), actor_system.start(Mourner)
    await mourner.ask(target)
    await target.stop()
    await settle()

    assert mourner.is_alive() is not pact
    assert isinstance(cell_of(mourner).cause, DeathPactError) is pact


@pytest.mark.conformance("R77")
async def test_the_news_of_an_end_comes_after_everything_the_dead_actor_had_sent(actor_system: ActorSystem) -> None:
    log: list[Any] = []
    watcher = actor_system.start(Watcher, (log,))

    class Dying(AsyncioActor):
        def on_receive(self, message: Any) -> None:
            for number in range(3):
                watcher.tell(number)
            raise ValueError("the end")

    target = actor_system.start(Dying)
    await watcher.ask(("watch", target))
    target.tell("go")
    await settle()

    assert log == [0, 1, 2, (target, ExitReason.CRASH)]


@pytest.mark.conformance("R79")
async def test_an_actor_is_not_confused_with_a_dead_one_of_its_name(actor_system: ActorSystem) -> None:
    log: list[Any] = []
    watcher = actor_system.start(Watcher, (log,))
    old = actor_system.start(Echo, name="till")
    await watcher.ask(("watch", old))
    await old.stop()
    new = actor_system.start(Echo, name="till")
    await settle()
    assert log == [(old, ExitReason.NORMAL)]
    assert old != new

    await watcher.ask(("watch", new))
    assert len(log) == 1
    assert await new.ask(1) == 1


@pytest.mark.conformance("R68", "R73")
async def test_a_watch_belongs_to_its_incarnation(actor_system: ActorSystem, start_child: StartChild) -> None:
    log: list[Any] = []
    gate = asyncio.Event()
    target = actor_system.start(Echo)
    watcher = start_child(lambda: Watcher(log, gate=gate))
    await watcher.ask(("watch", target))
    watcher.tell("busy")
    watcher.tell(ValueError("crash"))
    await settle()
    await target.stop()  # the news waits behind the crash
    gate.set()
    await settle()

    assert watcher.incarnation == 2
    assert log == ["busy"]


async def test_a_watcher_that_ends_is_forgotten_by_what_it_watched(actor_system: ActorSystem) -> None:
    target = actor_system.start(Echo)
    for _ in range(100):
        watcher = actor_system.start(Watcher, ([],))
        await watcher.ask(("watch", target))
        await watcher.stop()

    assert not cell_of(target).watchers


async def test_a_watcher_in_another_system_is_told(actor_system: ActorSystem) -> None:
    async with ActorSystem("other") as other:
        probe = TestProbe(other)
        target = actor_system.start(Echo)
        await probe.watch(target)
        await target.stop()

        assert (await probe.expect_terminated(target)).reason is ExitReason.NORMAL


@pytest.mark.parametrize("end", ["crash", "kill"])
async def test_a_linked_actor_is_killed_by_an_abnormal_end(actor_system: ActorSystem, end: str) -> None:
    one, two, three = (actor_system.start(Watcher, ([],)) for _ in range(3))
    await one.ask(("link", two))
    await two.ask(("link", three))

    if end == "crash":
        three.tell(ValueError("no"))
    else:
        await three.kill()
    await settle()

    assert [ref.state for ref in (one, two, three)] == [ActorState.STOPPED] * 3
    assert cell_of(one).reason is ExitReason.KILLED


async def test_a_linked_actor_does_not_mind_a_normal_end(actor_system: ActorSystem) -> None:
    one, two = actor_system.start(Watcher, ([],)), actor_system.start(Watcher, ([],))
    await one.ask(("link", two))

    await two.stop()
    await settle()

    assert one.is_alive()
    assert not cell_of(one).links


async def test_a_link_to_an_actor_that_crashed_before_kills_at_once(actor_system: ActorSystem) -> None:
    dead, one = actor_system.start(Watcher, ([],)), actor_system.start(Watcher, ([],))
    dead.tell(ValueError("no"))
    await settle()

    one.tell(("link", dead))
    await settle()

    assert one.state is ActorState.STOPPED


async def test_ten_thousand_links_in_a_chain_end_without_recursion(actor_system: ActorSystem) -> None:
    refs = [actor_system.start(Watcher, ([],)) for _ in range(2_000)]
    for one, other in itertools.pairwise(refs):
        link(cell_of(one), cell_of(other))

    await refs[0].kill()
    await settle()

    assert not any(ref.is_alive() for ref in refs)
