"""What a durable plain actor has accepted is handled, by this process or the next one, in order."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import pytest

from actors import ActorJournal, ActorSystem, AsyncioActor, ChildSpec, Durable, Reject, Supervisor, delivery
from actors.runtime.errors import ActorStoppingError, AskTimeoutError, MailboxFullError
from actors.runtime.mailbox import MailboxConfig
from actors.testing.settle import settle
from protocols.control import DeadLetterReason
from protocols.journal import NotDurableError
from protocols.mailbox import Overflow
from tests.durable.ledger import Asker, Billing, Charge, Ledger, Refund, amounts, stop_at_once
from tests.durable.life import GatedJournal

if TYPE_CHECKING:
    from actors.storage.journal_memory import MemoryJournal

pytestmark = pytest.mark.usefixtures("no_leaked_actors")


def orders(journal: Any) -> ActorSystem:
    return ActorSystem("orders", journal=ActorJournal(journal))


async def test_what_was_accepted_is_handled_in_order_by_the_next_process(journal: MemoryJournal) -> None:
    seen: list[Any] = []
    async with orders(journal) as system:
        ref = system.start(Ledger, (seen, asyncio.Event()), name="ledger")
        for amount in range(250):
            await ref.send((Charge if amount % 2 else Refund)(amount))
        await settle()
        await stop_at_once(system)
    assert amounts(seen) == [0]

    again: list[Any] = []
    async with orders(journal) as system:
        ref = system.start(Ledger, (again,), name="ledger")
        assert await ref.ask(Charge(250)) == 250
        assert amounts(again) == list(range(251))
        assert {type(message) for message, _ in again} == {Charge, Refund}


async def test_send_and_ask_return_after_the_commit() -> None:
    journal, seen = GatedJournal(), list[Any]()
    async with orders(journal) as system:
        ref = system.start(Ledger, (seen,), name="ledger")
        await settle()
        journal.holds_accept = journal.holds_settle = True
        sending = asyncio.ensure_future(ref.send(Charge(1)))
        await settle()
        assert not sending.done()
        assert seen == []
        journal.holds_accept = False
        await journal.release()
        await sending
        asking = ref.ask(Charge(2))
        await settle()
        assert amounts(seen) == [1]
        await journal.release()
        await settle()
        assert amounts(seen) == [1, 2]
        assert not asking.done()
        journal.holds_settle = False
        await journal.release()
        assert await asking == 2


async def test_a_handler_tells_with_its_acknowledgement_or_not_at_all() -> None:
    journal, seen = GatedJournal(), list[Any]()
    async with orders(journal) as system:
        target = system.start(Ledger, (seen,), name="ledger")
        billing = system.start(Billing, (target,), name="billing")
        with pytest.raises(Reject):
            await billing.ask(Charge(-1))
        journal.holds_settle = True
        asking = billing.ask(Charge(5))
        await settle()
        assert seen == []
        ((_, one, _),) = journal.held
        assert [entry.kind for entry in one.outbox] == ["Charge", "Refund"]
        journal.holds_settle = False
        await journal.release()
        assert len(await asking) == 32
        assert await target.ask(Refund(6)) == 6
        assert seen == [(Charge(5), 0), (Refund(5), 0), (Refund(6), 0)]
        await journal.release()


async def test_tell_is_refused_where_no_acknowledgement_takes_it_along(journal: MemoryJournal) -> None:
    told = list[str]()

    def tell(target: Any) -> None:
        with pytest.raises(NotDurableError, match=r"actor 'ledger': tell .*use `await ref\.send\(message\)`"):
            target.tell(Charge(1))
        told.append("refused")

    async def tell_later(target: Any) -> None:
        tell(target)

    class Leaver(Asker):
        async def on_receive(self, message: Any) -> Any:
            self.create_task(tell_later(self.targets[0]))

    class InMemory(AsyncioActor):
        def on_receive(self, message: Any) -> Any:
            tell(message)

    async with orders(journal) as system, ActorSystem("other") as other:
        ref = system.start(Ledger, ([],), name="ledger")
        tell(ref)
        await asyncio.to_thread(tell, ref)
        await other.start(InMemory).ask(ref)
        await system.start(Leaver, ([], [ref]), name="leaver").ask(Charge(2))
        await settle()
        assert len(told) == 4
        assert await ref.ask(Charge(3)) == 3
        assert journal.statistics().accepted == 2


async def test_a_blocking_handler_tells_and_asks_from_its_thread(journal: MemoryJournal) -> None:
    class Blocking(AsyncioActor):
        durable = Durable(Charge)
        blocking = True

        def __init__(self, target: Any) -> None:
            super().__init__()
            self.target = target

        def on_receive(self, message: Charge) -> Any:
            assert threading.current_thread() is not threading.main_thread()
            self.target.tell(Refund(message.amount))
            return self.target.ask(message), delivery().attempt

    seen: list[Any] = []
    async with orders(journal) as system:
        target = system.start(Ledger, (seen,), name="ledger")
        assert await system.start(Blocking, (target,), name="blocking").ask(Charge(1)) == (1, 0)
        await target.ask(Charge(2))
        assert seen == [(Charge(1), 0), (Refund(1), 0), (Charge(2), 0)]


async def test_a_repeated_handler_sends_the_same_message_once(journal: MemoryJournal) -> None:
    class Sender(Asker):
        async def on_receive(self, message: Charge) -> Any:
            for _ in range(2):
                await self.targets[0].send(message)
            if not delivery().attempt:
                raise Reject("again")

    seen: list[Any] = []
    async with orders(journal) as system:
        target = system.start(Ledger, (seen,), name="ledger")
        await system.start(Sender, ([], [target]), name="sender").ask(Charge(1))
        await target.ask(Charge(2))
        assert amounts(seen) == [1, 1, 2]


@pytest.mark.parametrize("is_answered", [True, False])
async def test_a_repeated_handler_gets_the_answers_of_what_it_has_asked(
    journal: MemoryJournal, *, is_answered: bool
) -> None:
    """Also if both are the messages in whose deliveries processes died, which are delivered alone."""
    seen, told = list[Any](), list[Any]()
    async with orders(journal) as system:
        ledger = system.start(Ledger, (seen, None if is_answered else asyncio.Event()), name="ledger")
        asker = system.start(Asker, (told, [ledger, ledger], asyncio.Event()), name="asker")
        await asker.send(Charge(1))
        await settle()
        await stop_at_once(system)
    assert told == ([1, 1] if is_answered else [])
    await journal.open()
    for mailbox in await journal.counts():
        for entry in await journal.waiting(mailbox, 0, 9):
            for _ in range(3):
                await journal.begin(entry.id)
    async with orders(journal) as system:
        ledger = system.start(Ledger, (seen,), name="ledger")
        asker = system.start(Asker, (told, [ledger, ledger]), name="asker")
        await asker.ask(Charge(2))
        assert told[-4:] == [1, 1, 2, 2]
        assert amounts(seen) == ([1, 1, 2, 2] if is_answered else [1, 1, 1, 2, 2])


async def test_a_repeated_handler_asks_anew_what_has_failed(journal: MemoryJournal) -> None:
    class Weak(Ledger):
        async def on_receive(self, message: Any) -> Any:
            self.seen.append(message)
            if len(self.seen) == 1:
                raise Reject("not yet")
            return len(self.seen)

    seen, told, good = list[Any](), list[Any](), list[Any]()
    async with orders(journal) as system:
        targets = system.start(Ledger, (good,), name="ledger"), system.start(Weak, (seen,), name="weak")
        await system.start(Asker, (told, targets), name="asker").ask(Charge(1))
        assert told == [1, 1, 2]
        assert (len(good), len(seen)) == (1, 2)


async def test_a_handler_is_refused_an_answer_that_a_repeated_one_would_not_get(journal: MemoryJournal) -> None:
    class Odd(Ledger):
        async def on_receive(self, message: Any) -> Any:
            return (1, 2)

    class Strict(Asker):
        durable = Durable(Charge)

    told: list[Any] = []
    async with orders(journal) as system:
        odd = system.start(Odd, ([],), name="odd")
        assert await odd.ask(Charge(1)) == (1, 2)
        with pytest.raises(NotDurableError, match=r"actor 'odd': a repeated handler .*JSON would change it"):
            await system.start(Strict, (told, [odd]), name="strict").ask(Charge(1))
        assert told == []


async def test_a_message_in_whose_deliveries_the_process_died_is_set_aside(journal: MemoryJournal) -> None:
    async with orders(journal) as system:
        ref = system.start(Ledger, ([], asyncio.Event()), name="ledger")
        await ref.send(Charge(1))
        await ref.send(Charge(2))
        await stop_at_once(system)
    await journal.open()
    first, second = await journal.waiting("orders/ledger", 0, 9)
    for _ in range(5):
        await journal.begin(first.id)
    await journal.begin(second.id)
    seen: list[Any] = []
    async with orders(journal) as system:
        assert await system.start(Ledger, (seen,), name="ledger").ask(Charge(3)) == 3
        assert seen == [(Charge(2), 2), (Charge(3), 0)]
        assert [letter.entry.id for letter in await journal.dead()] == [first.id]
        assert system.dead_letters.counts[DeadLetterReason.POISON] == 1


async def test_a_class_that_is_kept_no_more_is_set_aside_and_the_rest_is_handled(journal: MemoryJournal) -> None:
    class Less(Ledger):
        durable = Durable(Charge)

    async with orders(journal) as system:
        ref = system.start(Ledger, ([], asyncio.Event()), name="ledger")
        await ref.send(Refund(1))
        await ref.send(Charge(2))
        await stop_at_once(system)
    seen: list[Any] = []
    async with orders(journal) as system:
        await system.start(Less, (seen,), name="ledger").ask(Charge(3))
        assert amounts(seen) == [2, 3]
        assert [letter.reason for letter in await journal.dead()] == ["undecodable"]


async def test_a_child_that_crashes_is_restarted_and_handles_the_rest(journal: MemoryJournal) -> None:
    class Fragile(Ledger):
        def on_receive(self, message: Any) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
            if message == Charge(1):
                raise OSError("the desk burns")
            return message.amount

    async with orders(journal) as system:
        children = [ChildSpec(Fragile, args=([],), name=name) for name in ("ledger", "other")]
        boss: Any = system.start(Supervisor, (children,), name="boss")
        await boss.ready()
        ref = next(one for one in system.actors() if one.name == "ledger")
        failing = ref.ask(Charge(1))
        await ref.send(Charge(2))
        assert [*await journal.counts()] == ["orders/boss/ledger"]
        with pytest.raises(OSError, match="burns"):
            await failing
        assert await ref.ask(Charge(3)) == 3
        assert ref.incarnation == 2


async def test_a_stop_leaves_what_waits_to_the_next_actor_of_the_name(journal: MemoryJournal) -> None:
    gate, seen = asyncio.Event(), list[Any]()
    async with orders(journal) as system:
        ref = system.start(Ledger, (seen, gate), name="ledger")
        await ref.send(Charge(1))
        waiting = ref.ask(Charge(2))
        await settle()
        stopping = ref.stop(block=False)
        gate.set()
        await stopping
        with pytest.raises(ActorStoppingError, match="is kept until an actor of this name starts"):
            await waiting
        with pytest.raises(ActorStoppingError):
            await ref.send(Charge(3))
        with pytest.raises(ActorStoppingError):
            ref.tell(Charge(3))
        await system.start(Ledger, (seen,), name="ledger").ask(Charge(4))
        assert amounts(seen) == [1, 2, 4]


async def test_an_ask_that_is_given_up_is_not_handled_later(journal: MemoryJournal) -> None:
    gate, seen = asyncio.Event(), list[Any]()
    async with orders(journal) as system:
        ref = system.start(Ledger, (seen, gate), name="ledger")
        await ref.send(Charge(1))
        with pytest.raises(AskTimeoutError):
            await ref.ask(Charge(2), timeout=0.001)
        cancelled = ref.ask(Charge(3))
        await settle()
        cancelled.cancel()
        await settle()
        gate.set()
        await ref.ask(Charge(4))
        assert amounts(seen) == [1, 4]


async def test_a_message_that_is_put_aside_keeps_its_delivery(journal: MemoryJournal) -> None:
    class Shy(Asker):
        async def on_receive(self, message: Any) -> Any:
            if message == "now":
                self.unstash()
            elif not self.told:
                self.told.append(delivery().key)
                self.stash()
            else:
                self.targets[0].tell(Refund(message.amount))
                return delivery().key == self.told[0]
            return None

    seen: list[Any] = []
    async with orders(journal) as system:
        target = system.start(Ledger, (seen,), name="ledger")
        shy = system.start(Shy, ([], [target]), name="shy")
        asking = shy.ask(Charge(1))
        await settle()
        shy.tell("now")
        assert await asking
        await target.ask(Charge(2))
        assert amounts(seen) == [1, 2]


async def test_an_answer_may_come_from_another_durable_actor(journal: MemoryJournal) -> None:
    class Desk(Asker):
        async def on_receive(self, message: Charge) -> Any:
            reply: Any = self.take_reply()
            self.targets[0].forward(Refund(message.amount), reply)

    seen: list[Any] = []
    async with orders(journal) as system:
        target = system.start(Ledger, (seen,), name="ledger")
        assert await system.start(Desk, ([], [target]), name="desk").ask(Charge(7)) == 7
        assert seen == [(Refund(7), 0)]
        assert journal.statistics().accepted == journal.statistics().settled == 2


async def test_messages_of_other_classes_are_in_memory(journal: MemoryJournal) -> None:
    seen: list[Any] = []
    async with orders(journal) as system:
        ref = system.start(Ledger, (seen,), name="ledger")
        ref.tell("one")
        await ref.send("two")
        assert await ref.ask("three") == "three"
        assert seen == ["one", "two", "three"]
        assert journal.statistics().accepted == 0


async def test_a_full_mailbox_refuses_or_waits(journal: MemoryJournal) -> None:
    class Small(Ledger):
        mailbox = MailboxConfig(capacity=2)

    class Patient(Ledger):
        mailbox = MailboxConfig(capacity=2, overflow=Overflow.WAIT)

    gate = asyncio.Event()
    async with orders(journal) as system:
        refs = [system.start(kind, ([], gate), name=kind.__name__) for kind in (Small, Patient)]
        for ref in refs:
            await ref.send(Charge(1))
            await ref.send(Charge(2))
        with pytest.raises(MailboxFullError):
            await refs[0].send(Charge(3))
        sending = asyncio.ensure_future(refs[1].send(Charge(4)))
        await settle()
        assert not sending.done()
        gate.set()
        await sending
        await refs[1].ask(Charge(5))
