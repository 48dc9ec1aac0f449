"""What stays after the end of a life, what a late answer does, and what a handler may return."""

from __future__ import annotations

import asyncio
import copy
import gc
import pickle
import weakref
from typing import TYPE_CHECKING, Any

import pytest

from actors.runtime.actor import AsyncioActor
from actors.runtime.errors import AskTimeoutError, MailboxFullError, without_frames
from actors.testing import settle
from protocols.control import DeadLetterReason
from tests.runtime.conftest import cell_of
from tests.support.actors import BlockedActor, Echo

if TYPE_CHECKING:
    from actors.runtime.future import AsyncioFuture
    from actors.runtime.system import ActorSystem
    from actors.testing.clock import ManualClock
    from tests.runtime.conftest import StartChild


class Big:
    """Something that must not be kept."""


class Holder(AsyncioActor):
    def __init__(self, kept: list[weakref.ref[Big]], argument: Big | None = None) -> None:
        super().__init__()
        self.big = Big()
        kept.append(weakref.ref(self.big))
        if argument is not None:
            kept.append(weakref.ref(argument))

    async def on_receive(self, message: Any) -> Any:
        if message == "crash":
            raise ValueError("bug")
        return message


async def test_a_dead_letter_of_a_connection_keeps_no_frames(actor_system: ActorSystem) -> None:
    ref = actor_system.start(Echo)
    with pytest.raises(ValueError, match="bug") as raised:
        int("bug")
    actor_system.dead_letters.record("message", ref, DeadLetterReason.FAILED, sender="sender", cause=raised.value)

    (letter,) = actor_system.dead_letters
    assert isinstance(letter.cause, ValueError)
    assert letter.cause.__traceback__ is None


@pytest.mark.parametrize("way", ["tell", "ask"])
async def test_a_crashed_life_is_forgotten_with_the_next(start_child: StartChild, way: str) -> None:
    kept: list[weakref.ref[Big]] = []
    ref = start_child(Holder, kept)
    if way == "tell":
        ref.tell("crash")
    else:
        with pytest.raises(ValueError, match="bug"):
            await ref.ask("crash")
    await ref.ask("again")
    await settle()
    gc.collect()

    assert [one() is not None for one in kept] == [False, True]
    assert repr(cell_of(ref).cause) == "ValueError('bug')"


@pytest.mark.parametrize("how", ["crash", "stop", "kill"])
async def test_a_ref_keeps_nothing_of_an_actor_that_ended(actor_system: ActorSystem, how: str) -> None:
    kept: list[weakref.ref[Big]] = []
    ref = actor_system.start(Holder, (kept, Big()))
    if how == "crash":
        ref.tell("crash")
    else:
        await getattr(ref, how)()
    await settle()
    gc.collect()

    assert [one() for one in kept] == [None, None]
    assert ref.actor_class is Holder
    with pytest.raises(TypeError, match="cannot be pickled"):
        pickle.dumps(ref)
    assert copy.deepcopy([ref]) == [copy.copy(ref)] == [ref]


def raised(error: BaseException, cause: BaseException | None = None) -> BaseException:
    def fail() -> None:
        raise error from cause

    try:
        fail()
    except BaseException as caught:
        caught.add_note("note")
    return error


@pytest.mark.parametrize(
    "error",
    [
        KeyError("k"),
        FileNotFoundError(2, "no", "file"),
        UnicodeDecodeError("utf-8", b"x", 0, 1, "bad"),
        MailboxFullError("a", 3, "message"),
        SystemExit(3),
        raised(ValueError("outer"), raised(ValueError("inner"))),
    ],
    ids=repr,
)
def test_an_error_without_frames_tells_the_same(error: BaseException) -> None:
    made: Any = without_frames(raised(error, error.__cause__))

    assert (type(made), str(made), vars(made)) == (type(error), str(error), vars(error))
    assert (made.__traceback__, repr(made.__cause__)) == (None, repr(error.__cause__))


def test_a_group_without_frames_has_none_in_its_members() -> None:
    made: Any = without_frames(raised(BaseExceptionGroup("all", [raised(KeyError("k"))])))

    assert [repr(one) for one in made.exceptions] == ["KeyError('k')"]
    assert made.exceptions[0].__traceback__ is None


class Late(AsyncioActor):
    """Keeps the reply of an ask, and answers with the next message."""

    reply: AsyncioFuture[Any] | None = None

    def on_receive(self, message: Any) -> Any:
        if self.reply is None:
            self.reply = self.take_reply()
        else:
            getattr(self.reply, message)("answer")


@pytest.mark.parametrize("word", ["set", "answer"])
@pytest.mark.parametrize("how", ["expires", "is cancelled"])
async def test_a_late_answer_harms_nobody(
    actor_system: ActorSystem, manual_clock: ManualClock, how: str, word: str
) -> None:
    ref = actor_system.start(Late)
    reply = ref.ask("keep", timeout=1.0)
    await settle()
    if how == "expires":
        await manual_clock.advance(1.0)
        assert isinstance(reply.exception(), AskTimeoutError)
    else:
        reply.cancel()

    ref.tell(word)
    await settle()

    assert ref.is_alive()
    assert actor_system.late_replies == 1


async def test_one_tick_of_a_timer_waits_however_slow_the_handler_is(
    actor_system: ActorSystem, manual_clock: ManualClock
) -> None:
    log: list[Any] = []
    gate = asyncio.Event()

    class Ticks(BlockedActor):
        def on_start(self) -> None:
            self.schedule(1.0, "tick", interval=1.0)

    ref = actor_system.start(Ticks, (log, gate))
    await manual_clock.advance(100.0)
    assert ref.statistics().depth == 1

    gate.set()
    await settle()
    await manual_clock.advance(3.0)

    assert log.count(("end", "tick")) == 2 + 3


async def test_a_handler_may_return_whatever_can_be_awaited(actor_system: ActorSystem) -> None:
    class Awaitable:
        def __await__(self) -> Any:
            yield from asyncio.sleep(0).__await__()
            return "awaited"

    class Returns(AsyncioActor):
        def on_receive(self, message: Any) -> Any:
            if message == "task":
                return asyncio.ensure_future(asyncio.to_thread(str, "task"))
            return Awaitable() if message == "object" else self.actor_ref.ask("object", block=False)

    ref = actor_system.start(Returns)

    assert [await ref.ask("task"), await ref.ask("object")] == ["task", "awaited"]
    assert await (await ref.ask("future of the engine")) == "awaited"


async def test_async_generators_are_refused(actor_system: ActorSystem) -> None:
    with pytest.raises(TypeError, match=r"Generates.on_start is an async generator"):

        class Generates(AsyncioActor):  # pyright: ignore[reportUnusedClass]
            async def on_start(self) -> Any:
                yield 1

    class Hidden(Echo):
        async def parts(self) -> Any:
            yield 1

    with pytest.raises(TypeError, match="must not `yield`"):
        await actor_system.start(Hidden).proxy().parts()


async def test_hooks_that_are_patched_later_are_used(
    actor_system: ActorSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    log: list[str] = []

    def on_start(_: Echo) -> None:
        log.append("on_start")

    monkeypatch.setattr(Echo, "on_start", on_start)
    ref = await actor_system.start(Echo).ready()
    actor: Any = cell_of(ref).actor
    actor.on_stop = lambda: log.append("on_stop")

    await ref.stop()

    assert log == ["on_start", "on_stop"]
