"""Nothing that a handler, a hook or an error of the user does reaches another actor, or ends the workers."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from actors.runtime.actor import AsyncioActor
from actors.runtime.mailbox import BoundedMailbox, MailboxConfig
from actors.runtime.options import StartOptions
from actors.runtime.system import ActorSystem
from actors.testing import ManualClock, settle
from protocols.control import ActorState
from protocols.events import ActorCrashed
from tests.runtime.conftest import check_whole
from tests.support.actors import Echo, RecordingActor

if TYPE_CHECKING:
    from collections.abc import Callable

    from actors.runtime.envelope import Envelope


@dataclass(frozen=True)
class FrozenError(Exception):
    """An exception that takes neither notes nor attributes."""

    code: int = 7


class HostileError(Exception):
    """An exception whose every attribute raises."""

    def __str__(self) -> str:
        raise ZeroDivisionError

    __repr__ = __str__

    def __setattr__(self, name: str, value: object) -> None:
        raise ZeroDivisionError

    @property
    def __class__(self) -> Any:
        raise ZeroDivisionError

    @__class__.setter
    def __class__(self, value: object) -> None:
        raise ZeroDivisionError

    def add_note(self, note: str, /) -> None:
        raise SystemExit(9)


ERRORS: list[Callable[[], BaseException]] = [
    ValueError, FrozenError, HostileError, StopIteration, StopAsyncIteration, GeneratorExit, asyncio.CancelledError,
    MemoryError, RecursionError, BaseException, lambda: ExceptionGroup("many", [FrozenError()]),
    lambda: BaseExceptionGroup("many", [GeneratorExit()]),
]  # fmt: skip
EXITS: list[Callable[[], BaseException]] = [SystemExit, KeyboardInterrupt]


class Chokes(AsyncioActor):
    """Raises an error at the place that the message names."""

    def __init__(self, error: Callable[[], BaseException], where: str) -> None:
        super().__init__()
        self.error = error
        self.where = where

    def on_receive(self, message: Any) -> Any:
        if self.where in ("handler", "on_failure"):
            raise self.error()
        if self.where == "future":
            return self.wait_for_future()
        if self.where == "on_stop":
            return message
        return self.wait()

    async def wait(self) -> None:
        if self.where == "first step":
            raise self.error()
        await asyncio.sleep(0)
        if self.where == "later":
            raise self.error()
        try:
            await asyncio.sleep(0)
        finally:
            raise self.error()

    async def wait_for_future(self) -> None:
        gate: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        error = self.error()
        if type(error) is StopIteration:
            raise error  # no future takes it before Python 3.12
        asyncio.get_running_loop().call_soon(gate.set_exception, error)
        await gate

    def on_stop(self) -> None:
        if self.where == "on_stop":
            raise self.error()

    def on_failure(self, exception_type: Any, exception_value: Any, traceback: Any) -> None:
        if self.where == "on_failure":
            raise self.error()


def places() -> st.SearchStrategy[str]:
    return st.sampled_from(["handler", "first step", "later", "finally", "future"])


@pytest.mark.conformance("R40", "R105")
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    steps=st.lists(st.tuples(places(), st.sampled_from(ERRORS), st.booleans()), min_size=1, max_size=8),
)
def test_whatever_is_raised_wherever_it_is_raised_the_asker_is_told_and_the_others_live(
    steps: list[tuple[str, Callable[[], BaseException], bool]],
) -> None:
    async def main() -> None:
        async with ActorSystem("law") as system:
            refs = [system.start(Chokes, (error, where)) for where, error, _ in steps]
            asks = [ref.ask("go", timeout=None) for ref, (_, _, is_ask) in zip(refs, steps, strict=True) if is_ask]
            for ref, (_, _, is_ask) in zip(refs, steps, strict=True):
                if not is_ask:
                    ref.tell("go")
            await asyncio.wait([asyncio.ensure_future(_seen(ask)) for ask in asks] or [asyncio.ensure_future(settle())])
            await settle()
            assert all(ask.exception() is not None for ask in asks)
            assert all(ref.state is ActorState.STOPPED for ref in refs)
            await check_whole(system)

    asyncio.run(main())


async def _seen(ask: asyncio.Future[Any]) -> None:
    await asyncio.wait([ask])


@pytest.mark.conformance("R36", "R105")
@pytest.mark.parametrize("where", ["on_stop", "on_failure"])
@pytest.mark.parametrize("error", ERRORS)
async def test_an_ending_hook_may_raise_anything(
    actor_system: ActorSystem, where: str, error: Callable[[], BaseException]
) -> None:
    ref = actor_system.start(Chokes, (error, where))
    if where == "on_failure":
        ref.tell("x")
    await ref.stop()

    assert ref.state is ActorState.STOPPED
    await check_whole(actor_system)


class HostileMailbox(BoundedMailbox):
    """Fails in one of its functions once it is armed."""

    broken = ""

    def _maybe(self, name: str) -> None:
        if name == self.broken:
            raise OSError(name)

    is_plain = False

    def take(self) -> Envelope | None:
        if len(self):
            self._maybe("take")
        return super().take()

    def ack(self, envelope: Envelope) -> None:
        self._maybe("ack")

    def clear(self) -> list[Envelope]:
        self._maybe("clear")
        return super().clear()

    def close(self) -> None:
        super().close()
        self._maybe("close")


@pytest.mark.parametrize("where", ["take", "ack", "clear", "close"])
async def test_a_broken_mailbox_breaks_its_own_actor_only(
    actor_system: ActorSystem, where: str, caplog: pytest.LogCaptureFixture
) -> None:
    def make(who: str, config: MailboxConfig) -> HostileMailbox:
        mailbox = HostileMailbox(who, config)
        mailbox.broken = where
        return mailbox

    options = StartOptions(name="bad", mailbox=MailboxConfig(factory=make))
    ref = actor_system.start(Echo, options=options)
    asked = ref.ask("x", timeout=None)
    if where in ("take", "ack"):
        await settle()
        assert ref.state is ActorState.STOPPED
        assert any("engine fault" in record.getMessage() for record in caplog.records)
    else:
        assert await asked == "x"
        await ref.stop()
        assert ref.state is ActorState.STOPPED
    await check_whole(actor_system)
    assert asked.done()


async def test_a_note_never_replaces_an_exception_and_never_grows(actor_system: ActorSystem) -> None:
    shared = ValueError("shared")

    class Raises(AsyncioActor):
        def on_receive(self, message: Any) -> None:
            raise shared

    for number in range(30):
        with pytest.raises(ValueError, match="shared"):
            await actor_system.start(Raises, name=f"actor {number}").ask("x")

    assert 1 <= len(shared.__notes__) <= 8


class Leaves(AsyncioActor):
    """Has an exit raised outside of any handler."""

    def __init__(self, place: str, leave: Callable[..., Any]) -> None:
        super().__init__()
        self.place = place
        self.leave = leave

    async def on_start(self) -> None:
        if self.place == "start":
            await self.leave_later(1)

    def on_receive(self, message: Any) -> None:
        match self.place:
            case "pipe":
                self.pipe_to_self(asyncio.sleep(0), self.leave)
            case "task":
                self.create_task(self.leave_later(0))
            case "late task":
                self.create_task(self.leave_later(1))
            case "timer":
                self.schedule(1, "priority")
            case "subscriber" | "log":
                raise ValueError(message)
            case _:
                pass

    async def leave_later(self, steps: int) -> None:
        for _ in range(steps):
            await asyncio.sleep(0)
        self.leave()

    def on_stop(self) -> None:
        if self.place == "on_stop":
            self.leave()


@pytest.mark.conformance("R78", "R105")
@pytest.mark.parametrize("error", EXITS)
@pytest.mark.parametrize(
    "place", ["subscriber", "pipe", "task", "late task", "timer", "start", "on_stop", "shutdown", "log"]
)
def test_an_exit_anywhere_begins_the_orderly_end(
    place: str, error: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    log: list[Any] = []
    clock = ManualClock()

    def leave(*_: Any) -> Any:
        raise error(3)

    def priority(message: Any) -> int:
        return leave() if message == "priority" else 0

    if place == "log":
        sink = logging.Handler()
        monkeypatch.setattr(sink, "emit", leave)
        monkeypatch.setattr(logging.getLogger("understage"), "handlers", [sink])

    async def main() -> str:
        system = ActorSystem("ending", clock=clock)
        system.events.subscribe(leave, [ActorCrashed])
        if place == "shutdown":
            system.shutdown.add_phase("mine", before=("stop-actors",))
            system.shutdown.add_task("mine", "leave", leave)
        system.start(RecordingActor, (log,)).tell("worked")
        ref = system.start(Leaves, (place, leave), options=StartOptions(mailbox=MailboxConfig(priority=priority)))
        ref.tell("go")
        await clock.advance(1)
        if place in ("on_stop", "shutdown"):
            ref.stop(block=False)
            await settle()
        if place == "shutdown":
            await system.close()
        await settle()
        assert system.is_closed
        assert place == "shutdown" or isinstance(system.exit_reason, error)
        return "main went on"

    assert asyncio.run(main()) == "main went on"
    assert log == ["worked", "on_stop"]


async def test_an_await_that_brings_a_generator_exit_may_be_survived(actor_system: ActorSystem) -> None:
    class Survives(AsyncioActor):
        async def on_receive(self, message: Any) -> Any:
            gate: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            asyncio.get_running_loop().call_soon(gate.set_exception, GeneratorExit())
            try:
                await gate
            except GeneratorExit:
                await asyncio.sleep(0)
            return message

    ref = actor_system.start(Survives)

    assert await ref.ask("whole") == "whole"
    assert ref.is_alive()


@pytest.mark.parametrize("error", [GeneratorExit, StopIteration, asyncio.CancelledError])
async def test_a_thread_of_a_handler_may_raise_anything(actor_system: ActorSystem, error: type[BaseException]) -> None:
    class Blocks(AsyncioActor):
        blocking = True

        def on_receive(self, message: Any) -> Any:
            raise error

    with pytest.raises(Exception):  # noqa: B017, PT011 - its kind depends on the error
        await actor_system.start(Blocks).ask("x", timeout=None)
    await check_whole(actor_system)
