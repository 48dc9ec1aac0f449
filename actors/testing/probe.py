"""`TestProbe`: an actor that records the messages it receives."""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Final, NoReturn, TypeVar

from actors.runtime.actor import AsyncioActor
from actors.runtime.clock import running_loop
from actors.runtime.envelope import current
from actors.runtime.future import AsyncioFuture
from actors.runtime.ref import ActorRef
from actors.runtime.system import ActorSystem
from actors.testing.settle import settle
from protocols.control import Terminated
from protocols.errors import safe_repr

M = TypeVar("M")
Answer = Callable[[Any], Any]

_PATIENCE: Final = 5.0
"""Real seconds to wait for a message. Only a failing test waits so long."""
_MOST_KEPT: Final = 100_000


class TestProbe:
    """An actor for tests. Hand out `probe.ref`, then ask the probe what it has received.

    Example:
        ```python
        probe = TestProbe(system)
        greeter.tell(Greet("Ada", reply_to=probe.ref))
        await probe.expect(Greeting("hello Ada"))
        await probe.expect_none()
        ```

    Args:
        system: the system of the actor; None for the default system of the running loop.
        name: its name in that system.
        answer: makes the reply to every ask; without it an ask waits for `reply`.
    """

    __test__: ClassVar[bool] = False  # pytest takes every class called Test for tests

    def __init__(
        self, system: ActorSystem | None = None, *, name: str | None = None, answer: Answer | None = None
    ) -> None:
        loop = running_loop()
        if system is None and loop is None:
            raise RuntimeError("TestProbe() needs a running event loop, or a system: TestProbe(system)")
        self.system = system or ActorSystem.of(asyncio.get_running_loop())
        self._answer = answer
        self._unseen: deque[Any] = deque(maxlen=_MOST_KEPT)
        self._arrived = asyncio.Event()
        self._asks: deque[AsyncioFuture[Any]] = deque(maxlen=_MOST_KEPT)
        self.received: deque[Any] = deque(maxlen=_MOST_KEPT)
        """All received messages, oldest first."""
        self.senders: deque[Any] = deque(maxlen=_MOST_KEPT)
        """The refs of their senders; None for a sender that is not an actor."""
        self.ref: ActorRef[Any] = self.system.start(lambda: _Recorder(self), name=name)

    def record(self, message: Any, take_reply: Callable[[], AsyncioFuture[Any] | None] | None = None) -> Any:
        """Record a message, and keep an ask that waits for `reply` (called by the actor of the probe)."""
        if self._answer is None and take_reply is not None and (reply := take_reply()) is not None:
            self._asks.append(reply)
        envelope = current.get()
        sender = None if envelope is None else envelope.sender
        self.received.append(message)
        self.senders.append(None if sender is None else sender.ref)
        self._unseen.append(message)
        self._arrived.set()
        return self._answer(message) if self._answer is not None else None

    # -- what came ------------------------------------------------------------------------------------------------

    async def receive(self, kind: type[M] | None = None) -> Any:
        """Wait for the next unread message and return it.

        Args:
            kind: the type that the message must have.

        Raises:
            AssertionError: the message has another type, or none came.
        """
        if not self._unseen:
            await settle()
        try:
            async with asyncio.timeout(_PATIENCE):
                while not self._unseen:
                    self._arrived.clear()
                    await self._arrived.wait()
        except TimeoutError:
            wanted = "a message" if kind is None else f"a {kind.__name__}"
            self._fail(f"waited for {wanted} and got none")
        message = self._unseen.popleft()
        if kind is not None and not isinstance(message, kind):
            self._fail(f"expected a {kind.__name__} and got {safe_repr(message)}")
        return message

    async def expect(self, *messages: Any) -> None:
        """Wait for exactly these messages, in this order.

        Raises:
            AssertionError: another message came, or none.
        """
        for expected in messages:
            message = await self.receive()
            if message != expected:
                self._fail(f"expected {safe_repr(expected)} and got {safe_repr(message)}")

    async def expect_terminated(self, ref: ActorRef[Any]) -> Terminated:
        """Wait until a watched actor has stopped (see `watch`) and return the message about it."""
        terminated: Terminated = await self.receive(Terminated)
        if terminated.ref != ref:
            self._fail(f"expected the end of {ref} and got that of {terminated.ref}")
        return terminated

    async def expect_none(self) -> None:
        """Wait until all actors rest, and check that no further message came.

        Raises:
            AssertionError: a message came.
        """
        await settle()
        if self._unseen:
            self._fail(f"expected nothing and got {safe_repr(self._unseen[0])}")

    # -- what it does ---------------------------------------------------------------------------------------------

    async def reply(self, value: Any) -> None:
        """Reply to the oldest waiting ask; an exception as value fails it.

        Raises:
            AssertionError: no ask waits.
        """
        await settle()
        if not self._asks:
            self._fail("has no ask to answer")
        future = self._asks.popleft()
        if future.done():
            return
        if isinstance(value, BaseException):
            future.set_exception(value)
        else:
            future.answer(value)

    async def watch(self, ref: ActorRef[Any]) -> None:
        """Watch an actor: its end comes as a `Terminated` message."""
        await self.ref.ask(_Watch(ref))

    async def unwatch(self, ref: ActorRef[Any]) -> None:
        """Stop watching an actor."""
        await self.ref.ask(_Watch(ref, is_wanted=False))

    def _fail(self, problem: str) -> NoReturn:
        raise AssertionError(f"{self!r} {problem}") from None

    def __repr__(self) -> str:
        return f"<TestProbe {self.ref.name!r} with {len(self._unseen)} of {len(self.received)} messages not looked at>"


@dataclass(frozen=True)
class _Watch:
    ref: ActorRef[Any]
    is_wanted: bool = True


class _Recorder(AsyncioActor):
    def __init__(self, probe: TestProbe) -> None:
        super().__init__()
        self._probe = probe

    def on_receive(self, message: Any) -> Any:
        if isinstance(message, _Watch):
            return self.watch(message.ref) if message.is_wanted else self.unwatch(message.ref)
        return self._probe.record(message, self.take_reply)

    def on_terminated(self, terminated: Terminated) -> None:
        self._probe.record(terminated)
