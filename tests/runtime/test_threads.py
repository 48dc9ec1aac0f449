"""Calls from other threads, other loops, and after the loop has gone."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, cast

import pykka
import pytest

from actors.runtime.actor import AsyncioActor
from actors.runtime.background_loop import stop_background
from actors.runtime.errors import (
    ActorStoppingError,
    AskCycleError,
    AskTimeoutError,
    BlockingCallError,
    MailboxFullError,
    RuntimeClosedError,
    WrongLoopError,
)
from actors.runtime.mailbox import MailboxConfig
from actors.runtime.options import StartOptions
from actors.testing import settle
from protocols.control import DeadLetterReason
from protocols.mailbox import Overflow
from tests.runtime.conftest import cell_of
from tests.support.actors import BlockedActor, Echo, RecordingActor
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from actors.runtime.ref import ActorRef
    from actors.runtime.system import ActorSystem


async def in_threads(count: int, function: Callable[[int], object]) -> None:
    """Call a function with 0, 1, 2 ... in so many threads at once."""
    loop = asyncio.get_running_loop()
    with ThreadPoolExecutor(count) as pool:
        await asyncio.gather(*(loop.run_in_executor(pool, function, number) for number in range(count)))


@pytest.mark.conformance("R80")
async def test_asks_from_threads_that_race_a_stop_all_complete(actor_system: ActorSystem) -> None:
    outcomes: list[str] = []

    def ask_forty(ref: ActorRef[Any]) -> None:
        futures: list[Any] = []
        for number in range(40):
            try:
                futures.append(ref.ask(number, block=False))
            except pykka.ActorDeadError:
                outcomes.append("refused")
        for future in futures:
            try:
                future.get(timeout=10)
                outcomes.append("answered")
            except ActorStoppingError:
                outcomes.append("stopped")

    for round_number in range(40):
        ref = actor_system.start(Echo)
        asking = asyncio.create_task(asyncio.to_thread(ask_forty, ref))
        for _ in range(round_number):
            await asyncio.sleep(0)
        await ref.stop(mode="now" if round_number % 2 else "drain")
        await asking

    assert len(outcomes) == 40 * 40


@pytest.mark.conformance("R93")
async def test_the_order_of_each_sender_holds_from_threads_and_from_the_loop(actor_system: ActorSystem) -> None:
    log: list[tuple[int, int]] = []
    options = StartOptions(mailbox=MailboxConfig(capacity=100_000))
    ref = actor_system.start(RecordingActor, (log,), options=options)

    def send(sender: int) -> None:
        for number in range(5_000):
            ref.tell((sender, number))

    async def send_here(sender: int) -> None:
        for number in range(5_000):
            ref.tell((sender, number))
            if number % 100 == 0:
                await asyncio.sleep(0)

    await asyncio.gather(in_threads(4, send), send_here(4), send_here(5))
    await settle()

    for sender in range(6):
        assert [number for who, number in log if who == sender] == list(range(5_000))


@pytest.mark.conformance("R95")
async def test_a_tell_from_a_thread_waits_for_room_and_keeps_its_order(actor_system: ActorSystem) -> None:
    log: list[tuple[int, int]] = []
    options = StartOptions(mailbox=MailboxConfig(capacity=2, overflow=Overflow.WAIT))
    ref = actor_system.start(RecordingActor, (log,), options=options)

    def send(sender: int) -> None:
        for number in range(300):
            ref.tell((sender, number))

    await in_threads(3, send)
    await settle()

    assert actor_system.dead_letters.total == 0
    for sender in range(3):
        assert [number for who, number in log if who == sender] == list(range(300))


@pytest.mark.conformance("R95")
async def test_a_thread_that_waits_for_room_is_told_when_the_actor_ends(actor_system: ActorSystem) -> None:
    options = StartOptions(mailbox=MailboxConfig(capacity=1, overflow=Overflow.WAIT))
    ref = actor_system.start(BlockedActor, ([],), options=options)
    ref.tell("in hand")
    await settle()
    ref.tell("waits")
    sending = asyncio.create_task(asyncio.to_thread(ref.tell, "has no room"))
    await wait_until(lambda: cell_of(ref).senders)

    await ref.kill()

    with pytest.raises(ActorStoppingError):
        await sending


@pytest.mark.conformance("R95")
async def test_a_thread_is_refused_by_a_full_mailbox(actor_system: ActorSystem) -> None:
    ref = actor_system.start(BlockedActor, ([],), options=StartOptions(mailbox=MailboxConfig(capacity=1)))
    ref.tell("in hand")
    await settle()
    ref.tell("waits")

    with pytest.raises(MailboxFullError):
        await asyncio.to_thread(ref.tell, "has no room")
    with pytest.raises(MailboxFullError):
        await asyncio.to_thread(ref.ask, "has no room")
    await ref.kill()


@pytest.mark.conformance("R102")
async def test_a_message_from_a_thread_wakes_an_idle_actor(actor_system: ActorSystem) -> None:
    arrived = asyncio.Event()

    class Wakes(AsyncioActor):
        def on_receive(self, message: Any) -> None:
            arrived.set()

    ref = actor_system.start(Wakes)
    await settle()
    thread = threading.Thread(target=ref.tell, args=("wake up",))
    thread.start()
    await arrived.wait()  # nothing else moves this loop
    thread.join()


async def test_a_thread_blocks_for_the_answer_or_gets_a_future(actor_system: ActorSystem) -> None:
    ref = actor_system.start(Echo)

    assert await asyncio.to_thread(ref.ask, 1) == 1
    assert await asyncio.to_thread(lambda: ref.ask(2, block=False).get(timeout=5)) == 2
    assert await asyncio.to_thread(lambda: ref.ask(3, block=False).map(lambda n: n + 1).get(timeout=5)) == 4
    assert await asyncio.to_thread(lambda: ref.stop(block=True)) is True
    assert await asyncio.to_thread(lambda: ref.stop(block=True)) is False


async def test_a_thread_gets_the_error_of_the_handler(actor_system: ActorSystem) -> None:
    ref = actor_system.start(RecordingActor, ([],))

    with pytest.raises(LookupError, match="no such row"):
        await asyncio.to_thread(ref.ask, LookupError("no such row"))


async def test_a_thread_waits_no_longer_than_its_timeout_and_the_work_is_cancelled(actor_system: ActorSystem) -> None:
    log: list[Any] = []
    ref = actor_system.start(BlockedActor, (log,))

    with pytest.raises(AskTimeoutError):
        await asyncio.to_thread(ref.ask, "go", timeout=0.2)
    await settle()

    assert log == [("begin", "go"), ("cancelled", "go")]
    assert ref.is_alive()


async def test_a_thread_proxy_reads_calls_and_sets(actor_system: ActorSystem) -> None:
    class Counter(AsyncioActor):
        def __init__(self) -> None:
            super().__init__()
            self.n = 0

        def add(self, number: int) -> int:
            self.n += number
            return self.n

    ref = actor_system.start(Counter)

    def use() -> list[int]:
        proxy: Any = ref.proxy()
        setattr(proxy, "n", 5)  # noqa: B010 - a checker would take it for a plain 5 from then on
        return [proxy.n.get(timeout=5), proxy.add(2).get(timeout=5)]

    assert await asyncio.to_thread(use) == [5, 7]


class AsksInThread(AsyncioActor):
    """Asks, in a thread, whatever it is sent."""

    blocking = True

    def on_receive(self, message: ActorRef[Any]) -> Any:
        return message.ask(message, timeout=None)


@pytest.mark.conformance("R84", "R85")
async def test_a_cycle_through_a_blocking_handler_is_refused_at_once(actor_system: ActorSystem) -> None:
    ref = actor_system.start(AsksInThread, name="me")

    with pytest.raises(AskCycleError, match="me -> me"):
        await ref.ask(ref, timeout=None)


@pytest.mark.conformance("R85")
async def test_a_cycle_through_to_thread_is_refused_at_once(actor_system: ActorSystem) -> None:
    class Crosses(AsyncioActor):
        async def on_receive(self, message: Any) -> Any:
            return await asyncio.to_thread(self.actor_ref.ask, "again", timeout=None)

    with pytest.raises(AskCycleError):
        await actor_system.start(Crosses).ask("go", timeout=None)


@pytest.mark.conformance("R88")
async def test_an_ask_out_of_a_blocking_handler_does_not_outlive_the_outer_one(actor_system: ActorSystem) -> None:
    gated = actor_system.start(BlockedActor, ([],))

    class Asks(AsyncioActor):
        blocking = True

        def on_receive(self, message: Any) -> Any:
            return gated.ask(message, timeout=None)

    ref = actor_system.start(Asks)
    with pytest.raises(AskTimeoutError):
        await ref.ask("go", timeout=0.01)
    await settle()

    assert ref.is_alive()


async def test_waiting_for_a_future_on_the_loop_is_refused(actor_system: ActorSystem) -> None:
    future = actor_system.start(Echo).ask(1, block=False)

    with pytest.raises(BlockingCallError, match="use `await` instead"):
        future.get()
    assert await future == 1


def test_an_ask_from_another_loop_is_refused_with_what_to_do_instead(background: None) -> None:
    ref = Echo.start()

    async def main() -> None:
        with pytest.raises(WrongLoopError, match=r"asyncio\.to_thread"):
            ref.ask(1)
        assert await asyncio.to_thread(ref.ask, 1) == 1
        ref.tell("may be told from anywhere")

    asyncio.run(main())
    assert ref.ask("barrier") == "barrier"


def test_on_another_loop_a_start_is_refused_with_what_to_do_instead_and_a_stop_is_awaited(background: None) -> None:
    ref, other = Echo.start(), Echo.start()

    async def main() -> None:
        with pytest.raises(WrongLoopError, match=r"system background lives on another.*to_thread\(system\.start"):
            cast("ActorSystem", ref.system).start(Echo)
        with pytest.raises(WrongLoopError):
            ref.stop(block=True)
        assert await ref.stop() is True
        assert await ref.stop() is False
        assert await other.kill() is True

    asyncio.run(main())
    assert not ref.is_alive()
    assert not other.is_alive()


async def test_a_stop_on_the_loop_blocks_nothing_and_can_be_awaited(actor_system: ActorSystem) -> None:
    log: list[Any] = []
    gate = asyncio.Event()
    ref = actor_system.start(BlockedActor, (log, gate))
    ref.tell("go")
    await settle()
    stopping = ref.stop()
    assert (ref.is_alive(), stopping.done()) == (False, False)
    gate.set()

    assert await stopping is True
    assert log == [("begin", "go"), ("end", "go"), "on_stop"]


def test_without_a_loop_actors_live_on_the_background_loop(background: None) -> None:
    ref = Echo.start()

    assert ref.ask(1, timeout=5) == 1
    assert ref.proxy().actor_urn.get(timeout=5) == ref.actor_urn
    assert ref.stop() is True  # type: ignore[comparison-overlap] # a thread gets the value


def test_the_background_loop_can_be_ended_and_begins_anew(background: None) -> None:
    old = Echo.start()
    assert stop_background() == []
    with pytest.raises(RuntimeClosedError):
        old.tell(1)

    assert Echo.start().ask(1) == 1


async def test_a_dead_letter_of_a_thread_says_so(actor_system: ActorSystem) -> None:
    ref = actor_system.start(Echo)
    await ref.stop()

    with pytest.raises(ActorStoppingError):
        await asyncio.to_thread(ref.tell, "late")
    await settle()

    assert actor_system.dead_letters.counts == {DeadLetterReason.DEAD: 1}
