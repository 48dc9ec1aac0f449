"""Calling the loop of a system from other threads. Order per sending thread is kept; every ask settles."""

import asyncio
import concurrent.futures
import threading
from collections import deque
from collections.abc import Callable
from contextvars import copy_context
from typing import Any, Final, TypeVar

from actors.runtime.backpressure import wait_for_room
from actors.runtime.cell import Cell, System
from actors.runtime.clock import running_loop
from actors.runtime.cycle import WatchedFuture
from actors.runtime.envelope import Envelope, current
from actors.runtime.errors import (
    ActorStoppingError,
    BlockingCallError,
    MailboxFullError,
    RuntimeClosedError,
    WrongLoopError,
)
from actors.runtime.future import AsyncioFuture
from actors.runtime.intake import accept, carry
from actors.runtime.options import check_timeout
from protocols.control import DeadLetterReason
from protocols.mailbox import Overflow

T = TypeVar("T")

_MOST_WAITING: Final = 100_000
"""Messages from threads that may wait for the loop; a thread that sends more blocks until the loop has caught up."""
_SLICE: Final = 256
"""Messages that are passed on before the loop runs other things."""


class ThreadBridge:
    """The door of one system for threads that do not run its loop."""

    def __init__(self, system: System) -> None:
        self._system = system
        self._waiting: deque[Envelope] = deque()
        self._gates: dict[Envelope, concurrent.futures.Future[None]] = {}
        """Senders that wait until their message is in the mailbox."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_woken = False
        self._room = threading.Event()
        self._room.set()

    @property
    def waiting(self) -> int:
        """Messages from threads that the loop has not taken yet."""
        return len(self._waiting)

    def tell(self, cell: Cell, message: Any) -> None:
        """Do what `ActorRef.tell` does, from a thread or from another loop."""
        self._system.check_open()
        scope = current.get()
        envelope = Envelope(message, cell, carried=carry(copy_context()), at=self._system.clock.now())
        if scope is not None:
            envelope.sender = scope.cell
            if scope.fenced:
                self._call(self._system.dead_letters.add, envelope, DeadLetterReason.FENCED)
                return
        if cell.mailbox.closed:
            self._call(self._system.dead_letters.add, envelope, DeadLetterReason.DEAD)
            text = f"actor {cell.name} has stopped or is stopping and takes no messages"
            raise ActorStoppingError(text)
        if cell.mailbox.overflow is Overflow.WAIT and running_loop() is None:
            self._post_and_wait(envelope)
            return
        if cell.mailbox.overflow is Overflow.REJECT and len(cell.mailbox) >= cell.mailbox.capacity:
            raise MailboxFullError(cell.name, cell.mailbox.capacity, message)
        self._post(envelope)

    def ask(self, cell: Cell, message: Any, block: bool | None, timeout: float | None) -> Any:
        """Do what `ActorRef.ask` does, from a thread."""
        self._system.check_open()
        if running_loop() is not None:
            text = (
                f"actor {cell.name} lives on another event loop than the one that runs here; "
                "ask from a thread: `await asyncio.to_thread(ref.ask, message)`"
            )
            raise WrongLoopError(text)
        if timeout is not None:
            check_timeout(timeout)
        scope = current.get()
        reply: AsyncioFuture[Any] = AsyncioFuture(loop=cell.loop) if scope is None else WatchedFuture(loop=cell.loop)
        now = self._system.clock.now()
        envelope = Envelope(message, cell, reply, carried=carry(copy_context()), at=now)
        reply.envelope = envelope
        if scope is not None:
            timeout = cell.ref.ask_within(scope, envelope, timeout)
        envelope.deadline = None if timeout is None else now + timeout
        if reply.done():
            return reply if block is False else reply.result()
        if block is False:
            self._post(envelope)
            return reply
        done = threading.Event()
        reply.add_done_callback(lambda _: done.set())
        self._post(envelope)
        if scope is not None:
            self._call(reply.note_thread, scope)
        # The loop ends the ask at its deadline; the extra time is for a loop that is blocked or gone.
        patience = None if timeout is None else timeout + self._system.config.grace
        reply.wait_in_thread(done, patience)
        return reply.result()

    def end(self, cell: Cell, block: bool | None, begin: Callable[[], AsyncioFuture[bool]]) -> Any:
        """Stop or kill from a thread."""
        if cell.system.is_closed or cell.loop.is_closed():
            future: AsyncioFuture[bool] = AsyncioFuture(loop=cell.loop)
            future.set_result(False)
            return future if block is False else False
        self._system.check_open()
        was_stopped = cell.state == "stopped"
        stopped = self.call(begin)
        if was_stopped:
            stopped = stopped.map(lambda _: False)
        return stopped if block is False else stopped.get()

    def call(self, function: Callable[[], T]) -> T:
        """Run a function on the loop and wait for its result."""
        outcome: concurrent.futures.Future[T] = concurrent.futures.Future()

        def run() -> None:
            try:
                outcome.set_result(function())
            except BaseException as error:  # it belongs to the caller
                outcome.set_exception(error)

        self._refuse_loop()
        self._call(run)
        return self._wait(outcome)

    def run(self, coroutine: Any) -> Any:
        """Run a coroutine on the loop and wait for its result; a thread that is interrupted cancels it."""
        try:
            self._refuse_loop()
            self._system.check_open()
            outcome = asyncio.run_coroutine_threadsafe(coroutine, self._system.loop)
        except BaseException:
            coroutine.close()
            raise
        try:
            return self._wait(outcome)
        except BaseException:
            outcome.cancel()
            raise

    def _refuse_loop(self) -> None:
        if running_loop() is not None:
            message = "a blocking call would block the event loop that runs in this thread; use `await`"
            raise BlockingCallError(message)

    def _wait(self, outcome: concurrent.futures.Future[T]) -> T:
        while True:
            try:
                return outcome.result(timeout=0.25)
            except concurrent.futures.TimeoutError:
                if outcome.done():
                    raise
                if self._system.loop.is_closed():
                    message = "the event loop was closed before the call ended"
                    raise RuntimeClosedError(message) from None

    def _post(self, envelope: Envelope) -> None:
        if len(self._waiting) >= _MOST_WAITING:
            self._room.clear()
            while not self._room.wait(0.25):
                self._system.check_open()
        self._waiting.append(envelope)
        if not self._is_woken:
            self._is_woken = True
            try:
                self._call(self._pass_on)
            except RuntimeClosedError:
                self._is_woken = False
                self.fail_all()
                raise

    def _post_and_wait(self, envelope: Envelope) -> None:
        """Post a message and wait until the mailbox has room for it; meanwhile this thread can send nothing else."""
        gate: concurrent.futures.Future[None] = concurrent.futures.Future()
        self._gates[envelope] = gate
        self._post(envelope)
        self._wait(gate)

    def _call(self, function: Callable[..., object], *args: Any) -> None:
        try:
            self._system.loop.call_soon_threadsafe(function, *args)
        except RuntimeError as error:
            message = f"the event loop of system {self._system.name} is closed"
            raise RuntimeClosedError(message) from error

    def _pass_on(self) -> None:
        self._is_woken = False
        waiting = self._waiting
        for _ in range(_SLICE):
            if not waiting:
                break
            self._accept(waiting.popleft())
        else:
            self._is_woken = True
            self._system.loop.call_soon(self._pass_on)
        if len(waiting) < _MOST_WAITING // 2:
            self._room.set()

    def _accept(self, envelope: Envelope) -> None:
        cell, reply = envelope.cell, envelope.reply
        gate = self._gates.pop(envelope, None) if self._gates else None
        if gate is not None:
            self._start_sending(envelope, gate)
            return
        if reply is not None and reply.done():
            return
        if reply is not None and envelope.deadline is not None:
            cell.system.deadlines.add(envelope, reply, envelope.deadline - envelope.at, envelope.at)
        try:
            accept(cell, envelope)
        except BaseException as error:  # the sender is in another thread and has gone on
            cell.system.note_base_exception(error)
            _not_accepted(envelope, error)

    def _start_sending(self, envelope: Envelope, gate: concurrent.futures.Future[None]) -> None:
        task = self._system.loop.create_task(_send(envelope, gate), name=f"{self._system.name}-send")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def fail_all(self) -> None:
        """End everything that waits for a loop that is gone."""
        error = RuntimeClosedError(f"system {self._system.name} is closed")
        while self._waiting:
            envelope = self._waiting.popleft()
            gate = self._gates.pop(envelope, None)
            if gate is not None:
                gate.set_exception(error)
            if envelope.reply is not None and not envelope.reply.done():
                envelope.reply.release()
                if self._system.loop.is_closed():
                    continue
                envelope.reply.fail(error)
        self._room.set()


def _not_accepted(envelope: Envelope, error: BaseException) -> None:
    reply = envelope.reply
    if reply is not None:
        reply.release()
        reply.fail(error)
    elif not isinstance(error, ActorStoppingError):  # else it is a dead letter already
        envelope.cell.system.dead_letters.add(envelope, DeadLetterReason.OVERFLOW, error)


async def _send(envelope: Envelope, gate: concurrent.futures.Future[None]) -> None:
    """Put a message into its mailbox as soon as there is room, and tell the thread that waits for it."""
    cell = envelope.cell
    try:
        await wait_for_room(cell)
        accept(cell, envelope)
    except asyncio.CancelledError:
        gate.set_exception(RuntimeClosedError(f"the event loop of system {cell.system.name} is being closed"))
        raise
    except Exception as error:
        gate.set_exception(error)
    else:
        gate.set_result(None)
