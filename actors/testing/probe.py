"""`TestProbe`: an actor that records what it receives, for a test to look at."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, Final, TypeVar

from actors.runtime.actor import AsyncioActor
from actors.runtime.clock import running_loop
from actors.runtime.envelope import current
from actors.runtime.log import safe_repr
from actors.runtime.system import ActorSystem
from actors.testing.settle import settle
from protocols.control import Terminated

if TYPE_CHECKING:
    from actors.runtime.future import AsyncioFuture
    from actors.runtime.ref import ActorRef

M = TypeVar("M")
Answer = Callable[[Any], Any]

_PATIENCE: Final = 5.0
"""Real seconds after which a message that does not come is a failure. Only a failing test waits so long."""
_MOST_KEPT: Final = 100_000


class TestProbe:
    """A probe with a mailbox of its own. Hand out `probe.ref`, then ask the probe what came.

    Example:
        ```python
        probe = TestProbe(system)
        greeter.tell(Greet("Ada", reply_to=probe.ref))
        await probe.expect(Greeting("hello Ada"))
        await probe.expect_none()
        ```

    Args:
        system: where it lives; None for the default system of the running loop.
        name: its name in that system.
        answer: makes the reply to every message that is asked; without it an ask waits for `reply`.
    """

    __test__: ClassVar[bool] = False  # pytest takes every class called Test for tests

    def __init__(
        self, system: ActorSystem | None = None, *, name: str | None = None, answer: Answer | None = None
    ) -> None:
        loop = running_loop()
        if system is None and loop is None:
            msg = "TestProbe() needs a running event loop, or a system: TestProbe(system)"
            raise RuntimeError(msg)
        self.system = system or ActorSystem.of(asyncio.get_running_loop())
        self._answer = answer
        self._unseen: deque[Any] = deque(maxlen=_MOST_KEPT)
        self._arrived = asyncio.Event()
        self._asks: deque[AsyncioFuture[Any]] = deque(maxlen=_MOST_KEPT)
        self.received: deque[Any] = deque(maxlen=_MOST_KEPT)
        """Everything that came, oldest first."""
        self.senders: deque[Any] = deque(maxlen=_MOST_KEPT)
        """The ref of the actor that sent each of them, or None."""
        self.ref: ActorRef[Any] = self.system.start(lambda: _Recorder(self), name=name)

    def record(self, message: Any) -> Any:
        """Take a message (called by the actor of the probe)."""
        envelope = current.get()
        sender = None if envelope is None else envelope.sender
        self.received.append(message)
        self.senders.append(None if sender is None else sender.ref)
        self._unseen.append(message)
        self._arrived.set()
        return self._answer(message) if self._answer is not None else None

    def hold(self, reply: AsyncioFuture[Any] | None) -> None:
        """Keep an ask that waits for `reply` (called by the actor of the probe)."""
        if reply is not None and self._answer is None:
            self._asks.append(reply)

    @property
    def answers_itself(self) -> bool:
        """Whether asks are answered at once."""
        return self._answer is not None

    # -- what came ------------------------------------------------------------------------------------------------

    async def receive(self, kind: type[M] | None = None) -> Any:
        """Return the next message that was not looked at yet, waiting for it if need be.

        Args:
            kind: what it must be an instance of.

        Raises:
            AssertionError: it is something else, or none came.
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
            msg = f"{self!r} waited for {wanted} and got none"
            raise AssertionError(msg) from None
        message = self._unseen.popleft()
        if kind is not None and not isinstance(message, kind):
            msg = f"{self!r} expected a {kind.__name__} and got {safe_repr(message)}"
            raise AssertionError(msg)
        return message

    async def expect(self, *messages: Any) -> None:
        """Wait for exactly these messages, in this order.

        Raises:
            AssertionError: something else came, or nothing.
        """
        for expected in messages:
            message = await self.receive()
            if message != expected:
                msg = f"{self!r} expected {safe_repr(expected)} and got {safe_repr(message)}"
                raise AssertionError(msg)

    async def expect_terminated(self, ref: ActorRef[Any]) -> Terminated:
        """Wait for the news of the end of a watched actor (see `watch`) and return it."""
        terminated: Terminated = await self.receive(Terminated)
        if terminated.ref != ref:
            msg = f"{self!r} expected the end of {ref} and got that of {terminated.ref}"
            raise AssertionError(msg)
        return terminated

    async def expect_none(self) -> None:
        """Let all actors come to rest, and see that no further message has come.

        Raises:
            AssertionError: one has.
        """
        await settle()
        if self._unseen:
            msg = f"{self!r} expected nothing and got {safe_repr(self._unseen[0])}"
            raise AssertionError(msg)

    # -- what it does ---------------------------------------------------------------------------------------------

    async def reply(self, value: Any) -> None:
        """Answer the oldest ask that waits; an exception as value fails it.

        Raises:
            AssertionError: none waits.
        """
        await settle()
        if not self._asks:
            msg = f"{self!r} has no ask to answer"
            raise AssertionError(msg)
        future = self._asks.popleft()
        if future.done():
            return
        if isinstance(value, BaseException):
            future.set_exception(value)
        else:
            future.answer(value)

    async def watch(self, ref: ActorRef[Any]) -> None:
        """Watch an actor: its end arrives as a `Terminated` message."""
        await self.ref.ask(_Watch(ref))

    async def unwatch(self, ref: ActorRef[Any]) -> None:
        """Stop watching an actor."""
        await self.ref.ask(_Unwatch(ref))

    def __repr__(self) -> str:
        return f"<TestProbe {self.ref.name!r} with {len(self._unseen)} of {len(self.received)} messages not looked at>"


class _Watch:
    def __init__(self, ref: ActorRef[Any]) -> None:
        self.ref = ref


class _Unwatch(_Watch):
    pass


class _Recorder(AsyncioActor):
    def __init__(self, probe: TestProbe) -> None:
        super().__init__()
        self._probe = probe

    def on_receive(self, message: Any) -> Any:
        if isinstance(message, _Unwatch):
            return self.unwatch(message.ref)
        if isinstance(message, _Watch):
            return self.watch(message.ref)
        if not self._probe.answers_itself:
            self._probe.hold(self.take_reply())
        return self._probe.record(message)

    def on_terminated(self, terminated: Terminated) -> None:
        self._probe.record(terminated)
