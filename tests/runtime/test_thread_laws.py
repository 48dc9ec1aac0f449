"""Nothing that a thread sends vanishes, no event loop is blocked by a sender, and who gives up waiting cancels."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from typing import Any

import pykka
import pytest

from actors.runtime import thread_bridge
from actors.runtime.actor import AsyncioActor
from actors.runtime.errors import MailboxFullError
from actors.runtime.mailbox import MailboxConfig
from actors.runtime.options import StartOptions
from actors.runtime.system import ActorSystem
from actors.testing import settle
from protocols.control import DeadLetterReason
from protocols.mailbox import Overflow
from tests.runtime.conftest import cell_of
from tests.support.actors import BlockedActor, Echo, RecordingActor
from tests.support.waiting import wait_until

WIDE = MailboxConfig(capacity=1_000_000)


def from_thread(function: Any, *args: Any) -> None:
    """Call a function in a thread to its end, while the event loop stands still."""
    thread = threading.Thread(target=function, args=args)
    thread.start()
    thread.join()


def tells(ref: Any, count: int, sent: list[Any]) -> None:
    """Tell 0, 1, 2 ... and write down what was taken, until the actor has ended."""
    for number in range(count):
        try:
            ref.tell(number)
        except MailboxFullError:
            continue
        except pykka.ActorDeadError:
            return
        sent.append(number)


def settled(system: ActorSystem, ref: Any) -> int:
    """Return how many messages of an actor are accounted for."""
    cell = cell_of(ref)
    letters = sum(letter.target == ref for letter in system.dead_letters)
    return int(cell.handled + cell.failed + letters + len(cell.mailbox))


async def test_what_a_thread_sent_before_the_close_is_handled() -> None:
    system = ActorSystem("test")
    log: list[Any] = []
    ref = system.start(RecordingActor, (log,), options=StartOptions(mailbox=WIDE))
    from_thread(tells, ref, 5_000, [])
    await system.close()
    assert log == [*range(5_000), "on_stop"]


async def race(how: int) -> None:
    """Let threads send while a system ends in one of several ways, and settle the account of each actor."""
    system = ActorSystem("test")
    refs = [system.start(Echo, options=StartOptions(mailbox=MailboxConfig(capacity=300))) for _ in range(3)]
    sent: list[list[Any]] = [[] for _ in refs]
    threads = [threading.Thread(target=tells, args=(ref, 900, log)) for ref, log in zip(refs, sent, strict=True)]
    for thread in threads:
        thread.start()
    await asyncio.sleep(0)
    if how % 4 == 0:
        await system.close()
    elif how % 4 == 1:
        system.begin_close()
        system.hurry()
        await system.close()
    elif how % 4 == 2:
        await asyncio.gather(*(ref.kill() for ref in refs))
        await system.close()
    else:
        system.torn_down()
    for thread in threads:
        await asyncio.to_thread(thread.join)
    await asyncio.sleep(0)
    for ref, log in zip(refs, sent, strict=True):
        # A refused one may be a dead letter besides its error.
        assert settled(system, ref) >= len(log)
        assert cell_of(ref).accepted == cell_of(ref).handled + cell_of(ref).failed + cell_of(ref).dead


@pytest.mark.parametrize("how", range(4))
async def test_each_message_that_races_the_end_is_handled_a_dead_letter_or_an_error(how: int) -> None:
    for _ in range(5):
        await race(how)


@pytest.mark.soak
async def test_messages_that_race_the_end_of_a_thousand_systems_are_accounted_for() -> None:
    for how in range(1_000):
        await race(how)


async def test_what_waits_for_a_loop_that_is_torn_down_becomes_dead_letters() -> None:
    system = ActorSystem("test")
    ref = system.start(Echo)
    await ref.ready()
    from_thread(tells, ref, 1_000, [])
    asked: list[Any] = []
    from_thread(lambda: asked.append(ref.ask("late", block=False)))
    system.torn_down()
    assert system.dead_letters.counts[DeadLetterReason.DEAD] == 1_001
    with pytest.raises(pykka.ActorDeadError):
        await asked[0]
    with pytest.raises(pykka.ActorDeadError):
        await asyncio.to_thread(ref.tell, "too late")


async def test_a_stop_from_a_thread_comes_after_what_the_thread_sent(actor_system: ActorSystem) -> None:
    log: list[Any] = []
    ref = actor_system.start(RecordingActor, (log,), options=StartOptions(mailbox=WIDE))

    def send_and_stop() -> Any:
        tells(ref, 2_000, [])
        return ref.stop()

    assert await asyncio.to_thread(send_and_stop) is True
    assert log == [*range(2_000), "on_stop"]


async def test_a_stop_from_a_thread_need_not_wait_for_a_busy_loop(actor_system: ActorSystem) -> None:
    ref = actor_system.start(Echo)
    stopped: list[Any] = []
    from_thread(lambda: stopped.append(ref.stop(block=False)))  # the loop stands still meanwhile
    assert await stopped[0] is True
    from_thread(lambda: stopped.append(ref.kill(block=False)))
    assert await stopped[1] is False


@pytest.mark.conformance("R95")
async def test_a_mailbox_that_refuses_takes_no_more_from_a_thread_than_it_holds(actor_system: ActorSystem) -> None:
    ref = actor_system.start(Echo, options=StartOptions(mailbox=MailboxConfig(capacity=10)))
    await ref.ready()
    sent: list[Any] = []
    from_thread(tells, ref, 50, sent)
    assert sent == list(range(10))
    await settle()
    assert actor_system.dead_letters.total == 0


def flood(names: tuple[str, str], overflow: Overflow, count: int) -> dict[str, list[Any]]:
    """Have two systems, on two event loops, tell each other so many messages at once; return what each handled."""
    refs: dict[str, Any] = {}
    seen: dict[str, list[Any]] = {name: [] for name in names}
    ready, done = threading.Barrier(2), threading.Barrier(2)

    class Peer(AsyncioActor):
        mailbox = MailboxConfig(capacity=count + 1, overflow=overflow)  # the flood, and the word to begin

        def on_receive(self, message: Any) -> None:
            if message != "flood":
                seen[self.system.name].append(message)
                return
            for number in range(count):
                refs[names[0] if self.system.name == names[1] else names[1]].tell(number)

    async def live(name: str) -> None:
        async with ActorSystem(name) as system:
            refs[name] = system.start(Peer)
            await refs[name].ready()
            ready.wait()
            refs[name].tell("flood")
            await wait_until(lambda: len(seen[name]) == count)
            await asyncio.to_thread(done.wait)

    threads = [threading.Thread(target=asyncio.run, args=(live(name),)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return seen


@pytest.mark.parametrize("overflow", [Overflow.REJECT, Overflow.WAIT])
def test_two_systems_on_two_loops_may_flood_each_other(overflow: Overflow) -> None:
    seen = flood(("a", "b"), overflow, 3_000)
    assert seen == {"a": list(range(3_000)), "b": list(range(3_000))}


@pytest.mark.soak
def test_two_systems_on_two_loops_may_flood_each_other_with_more_than_the_bridge_holds() -> None:
    seen = flood(("a", "b"), Overflow.REJECT, 150_000)
    assert [len(seen["a"]), len(seen["b"])] == [150_000, 150_000]


async def test_a_loop_is_refused_where_a_thread_would_wait(actor_system: ActorSystem) -> None:
    options = StartOptions(mailbox=MailboxConfig(capacity=1, overflow=Overflow.WAIT))
    ref = actor_system.start(BlockedActor, ([],), options=options)

    async def tell_two() -> None:
        ref.tell("has room")
        ref.tell("has none")

    errors: list[BaseException] = []

    def elsewhere() -> None:
        try:
            asyncio.run(tell_two())
        except MailboxFullError as error:
            errors.append(error)

    from_thread(elsewhere)
    assert [str(error).split(";")[0] for error in errors] == ["actor BlockedActor: mailbox is full (1 messages)"]
    await ref.kill()


async def test_calls_from_another_loop_are_bounded_as_messages_are(
    actor_system: ActorSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(thread_bridge, "_MOST_WAITING", 2)
    ref = actor_system.start(Echo)

    async def wait_often() -> None:
        for _ in range(3):
            ref.ready()

    errors: list[BaseException] = []

    def elsewhere() -> None:
        try:
            asyncio.run(wait_often())
        except MailboxFullError as error:
            errors.append(error)

    from_thread(elsewhere)
    assert [str(error).split(";")[0] for error in errors] == ["actor of system test: mailbox is full (2 messages)"]


async def test_cancelling_the_future_of_an_ask_in_a_thread_cancels_the_work(actor_system: ActorSystem) -> None:
    log: list[Any] = []
    ref = actor_system.start(BlockedActor, (log,))
    reply = await asyncio.to_thread(ref.ask, "work", block=False)
    await wait_until(lambda: log)
    assert await asyncio.to_thread(reply.cancel)
    await settle()
    assert log == [("begin", "work"), ("cancelled", "work")]


async def test_an_ask_that_is_cancelled_before_the_loop_took_it_is_a_dead_letter(actor_system: ActorSystem) -> None:
    ref = actor_system.start(Echo)
    from_thread(lambda: ref.ask("never mind", block=False).cancel())
    await settle()
    assert actor_system.dead_letters.counts == {DeadLetterReason.CANCELLED: 1}
    assert cell_of(ref).handled == 0


@pytest.mark.parametrize("wait", ["ask", "get"])
def test_an_interrupted_wait_cancels_the_work(background: None, wait: str) -> None:
    log: list[Any] = []
    ref = BlockedActor.start(log)

    asks: list[Any] = []

    def interrupt() -> None:
        while not log or (wait == "get" and not (asks and asks[0]._callbacks)):  # until the wait has begun
            pass
        os.kill(os.getpid(), signal.SIGINT)

    def work() -> Any:
        if wait == "ask":
            return ref.ask("work", timeout=None)
        asks.append(ref.ask("work", block=False, timeout=None))
        return asks[0].get()

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        work()
    thread.join()
    ref.stop()
    assert log == [("begin", "work"), ("cancelled", "work"), "on_stop"]


def test_an_interrupted_start_leaves_no_actor_behind(background: None) -> None:
    begun = threading.Event()

    class Slow(AsyncioActor):
        async def on_start(self) -> None:
            begun.set()
            await asyncio.Event().wait()

    def interrupt() -> None:
        begun.wait()
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        Slow.start()
    thread.join()
