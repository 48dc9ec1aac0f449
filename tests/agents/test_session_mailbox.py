"""An actor that handles the messages of one key one after the other, and those of different keys at the same time."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.agents.session_mailbox import AFTER_ALL, SessionMailbox
from actors.runtime.actor import AsyncioActor
from actors.runtime.envelope import Envelope
from actors.runtime.errors import ActorStoppingError, AskTimeoutError, MailboxFullError
from actors.runtime.mailbox import MailboxConfig
from actors.supervision.child import ChildSpec
from actors.supervision.supervisor import Supervisor
from actors.testing import settle
from protocols.mailbox import Overflow


def key_of(message: Any) -> Any:
    return AFTER_ALL if message[0] == "all" else message[0]


def keyed(who: str, config: MailboxConfig) -> SessionMailbox:
    return SessionMailbox(who, config, key_of)


def envelope(message: Any) -> Envelope:
    nobody: Any = None
    return Envelope(message, nobody)


class Desk(AsyncioActor):
    """Handles pairs of a key and a number, each when the test lets it."""

    max_concurrency = 100
    mailbox = MailboxConfig(factory=keyed)

    def __init__(self, begun: list[Any], doors: dict[Any, asyncio.Event]) -> None:
        super().__init__()
        self.begun = begun
        self.doors = doors

    async def on_receive(self, message: Any) -> Any:
        self.begun.append(message)
        door = self.doors.get(message)
        if door is not None:
            await door.wait()
        if message[1] == "crash":
            raise ZeroDivisionError
        return message


@pytest.fixture
def begun() -> list[Any]:
    return []


async def test_messages_of_one_key_wait_for_each_other_and_those_of_another_do_not(begun: list[Any]) -> None:
    doors = {(key, 1): asyncio.Event() for key in "ab"}
    ref = Desk.start(begun, doors)
    asks = [asyncio.ensure_future(ref.ask((key, number))) for number in (1, 2, 3) for key in "ab"]
    await settle()
    assert begun == [("a", 1), ("b", 1)]

    doors["b", 1].set()
    await settle()
    assert begun == [("a", 1), ("b", 1), ("b", 2), ("b", 3)]
    doors["a", 1].set()

    assert await asyncio.gather(*asks) == [(key, number) for number in (1, 2, 3) for key in "ab"]


async def test_a_message_that_is_given_up_before_or_while_it_is_handled_frees_its_key(begun: list[Any]) -> None:
    doors = {("a", 1): asyncio.Event(), ("a", 3): asyncio.Event()}
    ref = Desk.start(begun, doors)
    first, second = (asyncio.ensure_future(ref.ask(("a", number))) for number in (1, 2))
    await settle()
    second.cancel()
    first.cancel()
    with pytest.raises(AskTimeoutError):
        await ref.ask(("a", 3), timeout=0.01)

    assert await ref.ask(("a", 4)) == ("a", 4)
    assert begun == [("a", 1), ("a", 3), ("a", 4)]


async def test_a_crash_frees_the_keys_of_all_that_were_handled(begun: list[Any]) -> None:
    doors = {("a", 1): asyncio.Event(), ("b", "crash"): asyncio.Event()}
    sup = Supervisor.start([ChildSpec(Desk, args=(begun, doors), name="desk", restart="permanent")])
    ref = (await sup.proxy().children())[0].ref
    asks = [asyncio.ensure_future(ref.ask(message)) for message in (("a", 1), ("b", "crash"), ("a", 2), ("b", 2))]
    await settle()
    doors["b", "crash"].set()

    outcomes = await asyncio.gather(*asks, return_exceptions=True)
    assert [isinstance(one, BaseException) for one in outcomes] == [True, True, False, False]
    assert await ref.ask(("a", 3)) == ("a", 3)
    await sup.stop()


@pytest.mark.parametrize("mode", ["drain", "now"])
async def test_an_end_settles_what_waits_for_its_key(begun: list[Any], mode: Any) -> None:
    doors = {("a", 1): asyncio.Event()}
    ref = Desk.start(begun, doors)
    asks = [asyncio.ensure_future(ref.ask(("a", number))) for number in (1, 2, 3)]
    await settle()
    stopping = asyncio.ensure_future(ref.stop(mode=mode, block=False))
    await settle()
    doors["a", 1].set()
    await stopping

    outcomes = await asyncio.gather(*asks, return_exceptions=True)
    lost = [isinstance(one, ActorStoppingError) for one in outcomes]
    assert lost == ([False] * 3 if mode == "drain" else [False, True, True] if len(begun) == 1 else [True] * 3)


def test_what_comes_after_all_waits_for_what_came_before_and_holds_back_what_comes_later() -> None:
    box = keyed("test", MailboxConfig())
    for message in (("a", 1), ("a", 2), ("all", 3), ("b", 4), ("all", 5), ("a", 6)):
        assert box.put(envelope(message)) is None
    taken: list[Any] = []
    while (one := box.take()) is not None:
        taken.append(one.message)
        box.ack(one)

    assert taken == [("a", 1), ("a", 2), ("all", 3), ("b", 4), ("all", 5), ("a", 6)]
    assert len(box) == 0


def test_a_full_mailbox_drops_what_has_waited_and_the_next_of_its_key_follows() -> None:
    box = keyed("test", MailboxConfig(2, Overflow.DROP_OLDEST))
    handled = envelope(("a", 0))
    box.put(handled)
    assert box.take() is handled
    second, third = envelope(("a", 1)), envelope(("b", 2))
    box.put(second)
    box.put(third)

    assert box.put(envelope(("a", 3))) is third
    box.ack(third)
    assert box.take() is None
    assert box.put(envelope(("b", 4))) is second
    assert (box.take() or handled).message == ("b", 4)
    box.ack(handled)
    assert (box.take() or handled).message == ("a", 3)


class Model:
    """What waits and what is handled, beside the mailbox that has to agree."""

    def __init__(self, capacity: int) -> None:
        self.box = keyed("test", MailboxConfig(capacity))
        self.inside: list[Envelope] = []
        self.handled: list[Envelope] = []

    def put(self, message: Any) -> None:
        new = envelope(message)
        try:
            self.box.put(new)
        except MailboxFullError:
            assert len(self.inside) == self.box.capacity
        else:
            self.inside.append(new)

    def take(self) -> bool:
        busy = {one.message[0] for one in self.handled if one.message[0] != "all"}
        one = self.box.take()
        if one is None:
            ahead = next((n for n, each in enumerate(self.inside) if each.message[0] == "all"), len(self.inside))
            assert all(each.message[0] in busy for each in self.inside[:ahead])
            return False
        assert one.message[0] not in busy
        assert next(each for each in self.inside if each.message[0] == one.message[0]) is one
        self.inside.remove(one)
        self.handled.append(one)
        return True

    def ack(self) -> None:
        if self.handled:
            self.box.ack(self.handled.pop(0))

    def clear(self) -> None:
        assert {id(each) for each in self.box.clear()} == {id(each) for each in self.inside}
        for each in self.inside:
            self.box.ack(each)
        self.inside.clear()


MESSAGES = st.tuples(st.sampled_from(["a", "b", "c", "all"]), st.integers(0, 9))


@given(st.lists(st.one_of(MESSAGES, st.sampled_from(["take", "ack", "clear"])), max_size=60), st.integers(1, 8))
def test_nothing_is_lost_doubled_or_overtaken_within_its_key(steps: list[Any], capacity: int) -> None:
    model = Model(capacity)
    for step in steps:
        if isinstance(step, str):
            getattr(model, step)()
        else:
            model.put(step)
        assert len(model.box) == len(model.inside)
    while model.inside or model.handled:
        while model.take():
            pass
        model.ack()
    assert len(model.box) == 0
