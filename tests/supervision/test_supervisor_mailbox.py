"""What a restart means for messages, asks, timers and tasks."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from actors.runtime.actor import AsyncioActor
from actors.runtime.errors import ActorRestartingError, ActorStoppingError, AskTimeoutError
from actors.runtime.mailbox import MailboxConfig
from actors.supervision.backoff import Backoff
from actors.supervision.child import ChildSpec
from actors.supervision.intensity import RestartIntensity
from actors.testing.settle import settle
from protocols.control import DeadLetterReason
from protocols.mailbox import Overflow
from tests.supervision.children import Boom, Log, Plain, child, crash, member, members, ref_of, states, supervise

if TYPE_CHECKING:
    from actors.runtime.ref import ActorRef
    from actors.runtime.system import ActorSystem
    from actors.supervision.supervisor import Supervisor
    from actors.testing.clock import ManualClock

SLOW = Backoff(min=10.0, max=10.0, jitter=0.0)
MANY = RestartIntensity(limit=1_000_000, period=1.0)


@pytest.mark.conformance("R65")
@pytest.mark.parametrize("delay", [None, SLOW])
async def test_messages_behind_the_crashing_one_are_handled_once_each_in_order(
    actor_system: ActorSystem, manual_clock: ManualClock, delay: Backoff | None
) -> None:
    sup = await supervise(actor_system, members(Log(), "a"), backoff=delay, intensity=MANY)
    ref = await ref_of(sup, "a")
    for _ in range(50):
        ref.tell("crash")
        for number in range(20):
            ref.tell(number)
        await settle()
        await manual_clock.advance(10.0)
        assert await ref.ask("got") == list(range(20))


@pytest.mark.conformance("R66")
async def test_what_waits_for_a_child_that_is_given_up_is_accounted_for(actor_system: ActorSystem) -> None:
    sup = await supervise(actor_system, [ChildSpec(Plain, name="a")], intensity=RestartIntensity(limit=2, period=60.0))
    ref = await ref_of(sup, "a")
    asks: list[Any] = []
    for _ in range(3):
        ref.tell("crash")
    for number in range(10):
        ref.tell(number)
        asks.append(ref.ask(number))
    await settle()

    results = await asyncio.gather(*asks, return_exceptions=True)
    cell = ref._cell  # pyright: ignore[reportPrivateUsage]
    assert not sup.is_alive()
    assert [type(each) for each in results] == [ActorStoppingError] * 10
    assert (cell.accepted, cell.handled, cell.failed, cell.dead) == (23, 0, 3, 20)
    stopped = [letter for letter in actor_system.dead_letters if letter.reason is DeadLetterReason.STOPPED]
    assert len(stopped) == 20


@pytest.mark.conformance("R67")
async def test_a_full_mailbox_of_a_child_that_restarts_overflows_by_its_policy(
    actor_system: ActorSystem, manual_clock: ManualClock
) -> None:
    mailbox = MailboxConfig(capacity=3, overflow=Overflow.DROP_OLDEST)
    sup = await supervise(actor_system, [member(Log(), "a", mailbox=mailbox)], backoff=SLOW)
    ref = await ref_of(sup, "a")
    await crash(sup, "a")

    for number in range(5):
        ref.tell(number)

    dropped = [letter for letter in actor_system.dead_letters if letter.reason is DeadLetterReason.OVERFLOW]
    assert len(dropped) == 2
    await manual_clock.advance(10.0)
    assert await ref.ask("got") == [2, 3, 4]


class Ticking(AsyncioActor):
    """Starts a timer and tasks in its first life and crashes."""

    def __init__(self, gate: asyncio.Event, lives: list[int]) -> None:
        super().__init__()
        lives.append(1)
        self.life = len(lives)
        self.gate = gate
        self.got: list[Any] = []

    def on_receive(self, message: Any) -> Any:
        """Crash with everything pending, or tell what came."""
        if message == "crash":
            self.schedule(1.0, "timer of 1")
            self.schedule(1.0, "interval of 1", interval=1.0)
            self.pipe_to_self(self.gate.wait(), lambda _result, _error: "task of 1")
            self.create_task(self.late())
            raise Boom(message)
        if message != "got":
            self.got.append(message)
        return self.got

    async def late(self) -> None:
        """Send something when the life is over."""
        await self.gate.wait()
        self.actor_ref.tell("task of 1")


@pytest.mark.conformance("R68")
async def test_timers_and_tasks_of_an_old_life_reach_no_later_one(
    actor_system: ActorSystem, manual_clock: ManualClock
) -> None:
    gate = asyncio.Event()
    sup = await supervise(actor_system, [ChildSpec(Ticking, args=(gate, []), name="a")])
    ref = await ref_of(sup, "a")
    ref.tell("crash")
    await settle()

    await manual_clock.advance(10.0)
    gate.set()
    await settle()

    assert ref.incarnation == 2
    assert await ref.ask("got") == []


@pytest.mark.conformance("R68")
async def test_a_task_that_ignores_the_end_of_its_life_reaches_no_later_one(actor_system: ActorSystem) -> None:
    gate = asyncio.Event()

    class Stubborn(Plain):
        def __init__(self) -> None:
            super().__init__()
            self.got: list[Any] = []

        def on_receive(self, message: Any) -> Any:
            if message == "begin":
                self.create_task(self.late())
            self.got.append(super().on_receive(message))
            return self.got

        async def late(self) -> None:
            while not gate.is_set():
                try:
                    await gate.wait()
                except asyncio.CancelledError:
                    continue
            self.actor_ref.tell("task of 1")

    sup = await supervise(actor_system, [ChildSpec(Stubborn, name="a")])
    ref = await ref_of(sup, "a")
    ref.tell("begin")
    await settle()
    await crash(sup, "a")
    gate.set()
    await settle()

    assert ref.incarnation == 2
    assert await ref.ask("last") == ["last"]
    assert actor_system.dead_letters.counts[DeadLetterReason.FENCED] == 1


@pytest.mark.conformance("R69")
async def test_the_message_in_hand_is_not_handled_again_and_is_reported(actor_system: ActorSystem) -> None:
    seen: list[Any] = []

    class Fragile(AsyncioActor):
        def on_receive(self, message: Any) -> Any:
            seen.append(message)
            if message == "crash":
                raise Boom(message)

    sup = await supervise(actor_system, [ChildSpec(Fragile, name="a")])
    await crash(sup, "a")

    assert seen == ["crash"]
    (letter,) = actor_system.dead_letters
    assert (letter.reason, letter.message) == (DeadLetterReason.FAILED, "crash")
    with pytest.raises(Boom):
        await (await ref_of(sup, "a")).ask("crash")
    assert seen == ["crash", "crash"]


@pytest.mark.conformance("R70")
async def test_ref_and_name_from_before_the_restart_reach_the_next_life(actor_system: ActorSystem) -> None:
    sup = await supervise(actor_system, members(Log(), "a"))
    before = await ref_of(sup, "a")

    await crash(sup, "a")

    assert await ref_of(sup, "a") == before
    assert await before.ask("hello") == "hello"
    assert actor_system.get_by_urn(before.actor_urn) == before


@pytest.mark.conformance("R71")
async def test_an_ask_during_a_restart_is_served_by_the_next_life_or_told_why_not(
    actor_system: ActorSystem, manual_clock: ManualClock
) -> None:
    sup = await supervise(actor_system, members(Log(), "a"), backoff=SLOW)
    ref = await ref_of(sup, "a")
    await crash(sup, "a")
    patient, hasty = ref.ask("hello", timeout=11.0), ref.ask("hello", timeout=9.0)

    await manual_clock.advance(9.0)
    with pytest.raises(ActorRestartingError):
        await hasty
    assert not patient.done()
    await manual_clock.advance(1.0)

    assert await patient == "hello"
    assert isinstance(hasty.exception(), AskTimeoutError)
    assert await ref.ask("got") == ["hello"]


class Sorter(AsyncioActor):
    """Stashes until it is told to go."""

    def __init__(self, handled: list[Any]) -> None:
        super().__init__()
        self.ready = False
        self.handled = handled

    def on_receive(self, message: Any) -> None:
        """Stash, go, or handle."""
        if message == "go":
            self.ready = True
            self.unstash()
        elif not self.ready and message != "crash":
            self.stash()
        elif message == "crash":
            raise Boom(message)
        else:
            self.handled.append(message)
            if message == 2:
                raise Boom("in the middle of the stash")


@pytest.mark.conformance("R72")
async def test_a_crash_in_the_middle_of_a_stash_keeps_the_rest(actor_system: ActorSystem) -> None:
    handled: list[Any] = []
    sup = await supervise(actor_system, [ChildSpec(Sorter, args=(handled,), name="a")])
    ref = await ref_of(sup, "a")
    for number in range(5):
        ref.tell(number)
    ref.tell("go")
    await settle()
    assert handled == [0, 1, 2]

    ref.tell("go")
    await settle()

    assert handled == [0, 1, 2, 3, 4]
    assert ref.incarnation == 2


@pytest.mark.conformance("R72")
async def test_a_stash_outlives_a_crash(actor_system: ActorSystem) -> None:
    handled: list[Any] = []
    sup = await supervise(actor_system, [ChildSpec(Sorter, args=(handled,), name="a")])
    ref = await ref_of(sup, "a")
    ref.tell(0)
    await crash(sup, "a")

    ref.tell("go")
    await settle()

    assert handled == [0]


@pytest.mark.conformance("R40")
async def test_a_crash_reaches_nobody_else(actor_system: ActorSystem) -> None:
    sup = await supervise(actor_system, members(Log(), "ab"))
    stranger = actor_system.start(Plain)
    b: ActorRef[Any] = await ref_of(sup, "b")
    pending = b.ask("hang")
    await settle()

    await crash(sup, "a")

    assert not pending.done()
    assert (await child(sup, "b")).incarnation == 1
    assert await stranger.ask("hello") == "hello"


async def test_crash_types_of_a_child_whose_failures_are_values_crash_it(actor_system: ActorSystem) -> None:
    class Worker(AsyncioActor):
        async def on_receive(self, message: type[Exception]) -> None:
            self.fail_reply(message("on purpose"))

    spec = ChildSpec(Worker, name="a", crash_on=(ConnectionError,))
    sup: ActorRef[Supervisor] = await supervise(actor_system, [spec])
    ref = await ref_of(sup, "a")

    with pytest.raises(ValueError, match="on purpose"):
        await ref.ask(ValueError)
    assert ref.incarnation == 1
    with pytest.raises(ConnectionResetError):
        await ref.ask(ConnectionResetError)
    await settle()
    assert ref.incarnation == 2
    assert await states(sup) == {"a": "running"}
