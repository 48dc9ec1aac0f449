"""Runs in memory that are asked here, of nodes that live at other hosts."""

import asyncio
from contextlib import suppress
from typing import Any, Final

from msgspec.structs import replace

from actors.agents.model_answer import typed_answer
from actors.cluster.live_service import LiveService
from actors.cluster.remote_run import RemoteAsks
from actors.cluster.single_place import lost_run
from actors.cluster.stream_record import CREDIT, MOST, decode_events
from actors.cluster.tenure import HostView
from actors.durable.failure import decode_failure
from actors.durable.record import decode_answer, encode_run, readable
from actors.nodes.node import AnyNode
from actors.runs.errors import stopped
from actors.runs.event_channel import EventChannel
from actors.runs.request import RunRequest
from actors.runtime.future import AsyncioFuture
from protocols.clock import pause
from protocols.cluster import HostRecord
from protocols.errors import HostLostError
from protocols.ids import new_id
from protocols.mailbox import MailboxFullError
from protocols.messages import ChatMessage
from protocols.transport import Answer, Cancel, Context, Credit, Failure, Frame, Item, Run

SOON: Final = 0.02
"""Seconds until the owner of a node is looked for again; then twice as many, up to half a second."""


class LiveRun:
    """One run that is under way at another host.

    Args:
        node: its node.
        host: where it was asked.
    """

    def __init__(self, node: AnyNode, host: HostRecord) -> None:
        self.id = bytes.fromhex(new_id())
        self.node = node
        self.host = host
        self.reply: AsyncioFuture[bytes | None] = AsyncioFuture(loop=asyncio.get_running_loop())
        """Its answer as bytes; None if it was not begun there."""
        self.channel = EventChannel(CREDIT)
        self.is_over = False
        """True if its host has it no more."""

    def arrived(self, frame: Frame) -> None:
        """Take a frame of the host of the node."""
        match frame:
            case Item(_, events):
                try:
                    for event in decode_events(events, self.node):
                        self.channel.put_now(event)
                except Exception as error:  # of another version
                    self.end(error)
            case Answer(_, message):
                self.is_over = True
                self.end(message)
            case Failure(_, data, is_elsewhere):
                self.is_over = True
                self.end(None if is_elsewhere else decode_failure(data))
            case _:
                return

    def end(self, result: bytes | Exception | None) -> None:
        """End the run with its answer or failure."""
        if isinstance(result, Exception):
            self.reply.fail(result)
        elif not self.reply.done():
            self.reply.answer(result)
        self.channel.close()


class LiveRuns:
    """Asks the hosts of nodes, by the lane.

    Args:
        host: this host.
    """

    def __init__(self, host: HostView) -> None:
        self._host = host
        self.asks = RemoteAsks()
        """The asks of nodes here that wait for other hosts."""
        self._service = LiveService(host)
        self._open: dict[bytes, LiveRun] = {}
        self._tasks: dict[asyncio.Task[Any], None] = {}
        self._is_closed = False

    async def ask(self, request: RunRequest, timeout: float | None) -> ChatMessage[Any]:
        """Have a run done where its node lives, and return its answer.

        While the node lives at no host, the run waits. A caller that is cancelled ends the run.

        Raises:
            Exception: what the run raised, as `decode_failure` gives it.
            NotDurableError: it has an object that belongs to this process.
            HostLostError: the host was lost while it had the run.
            MailboxFullError: too much waits for that host.
            NodeStoppedError: this host ends.
        """
        task: Any = asyncio.current_task()
        self._tasks[task] = None
        try:
            return await self._ask(request, timeout)
        except asyncio.CancelledError:
            if self._is_closed:
                raise stopped(request.node.name) from None
            raise
        finally:
            self._tasks.pop(task, None)

    async def _ask(self, request: RunRequest, timeout: float | None) -> ChatMessage[Any]:
        node: Any = request.node
        clock, delay = self._host.clock, SOON
        due = None if timeout is None else clock.now() + timeout
        request = await readable(request)
        record = self._encoded(request)
        while not self._is_closed:
            left = None if due is None else max(0.0, due - clock.now())
            if node.place is None or node.place.is_here:
                answer: ChatMessage[Any] = await node.ref().ask(request, timeout=left)
                return answer
            host = self._owner(node.place.name)
            run = None if host is None else LiveRun(node, host)
            if run is not None:
                message = await self._done(run, record, left, request)
                if message is not None:
                    return typed_answer(node, decode_answer(message))
            self._host.leases.look()
            await pause(clock, delay)
            delay = min(2 * delay, 0.5)
        raise stopped(node.name)

    def _encoded(self, request: RunRequest) -> bytes:
        options = replace(request.options, durable=None)
        if (tracing := request.node.tracing) is not None:
            request = replace(request, traceparent=tracing.accepted(request))
        return encode_run(replace(request, sink=None, follower=None, options=options), MOST, "it lives at another host")

    def _owner(self, address: str) -> HostRecord | None:
        """Return the other host that a node lives at, as far as is known."""
        shard, store = self._host.store.shard(address), self._host.store
        return next((one for one in self._host.leases.hosts if shard in one.shards and one.id != store.host), None)

    async def _done(self, run: LiveRun, record: bytes, left: float | None, request: RunRequest) -> bytes | None:
        """Ask a host; return what it answers, or None if the run was not begun there."""
        lane, steps = self._host.lane, request.follower
        sink, credit = (request.sink, CREDIT) if steps is None else (steps, 1)
        self._open[run.id] = run
        try:
            try:
                about = credit if sink is not None else 0, steps is not None
                lane.send(run.host.id, Run(run.id, run.node.place.name, record, left, *about))
            except HostLostError:
                run.is_over = True
                return None
            if sink is not None:
                await self._read(run, sink, max(1, credit // 2))
            return await run.reply
        finally:
            del self._open[run.id]
            if not run.is_over:
                self.send(run.host.id, Cancel(run.id))

    async def _read(self, run: LiveRun, sink: Any, together: int) -> None:
        """Give the events of a run to its reader, and have the host send so many further ones at the reader's pace."""
        taken = 0
        while (event := await run.channel.get()) is not None:
            await sink.pass_on(event, run.node)
            taken += 1
            if taken >= together:
                self.send(run.host.id, Credit(run.id, taken))
                taken = 0

    def tell(self, address: str, frame: Context) -> None:
        """Tell the host of a node something; it is lost with the host, and while the node lives nowhere."""
        host = self._owner(address)
        if host is not None:
            self.send(host.id, frame)

    def send(self, host: str, frame: Frame) -> None:
        """Send a frame, as soon as there is room for it; not to a host that is lost."""
        if not self._sent(host, frame):
            self._host.run(self.deliver(host, frame))

    async def deliver(self, host: str, frame: Frame) -> None:
        """Do the same, and wait until it is sent."""
        while not self._sent(host, frame):
            await pause(self._host.clock, SOON)

    def _sent(self, host: str, frame: Frame) -> bool:
        with suppress(HostLostError):
            try:
                self._host.lane.send(host, frame)
            except MailboxFullError:
                return False
        return True

    def arrived(self, sender: str, frame: Frame) -> None:
        """Take a frame of another host."""
        self._service.arrived(sender, frame)
        run = self._open.get(getattr(frame, "id", b""))
        if run is not None:
            run.arrived(frame)

    def lost(self, host: str) -> None:
        """Fail what a host had that is lost, and end what it has asked."""
        self._service.lost(host)
        for run in tuple(self._open.values()):
            if run.host.id == host:
                run.is_over = True
                run.end(lost_run(run.node.name, f"its host {run.host.name} was lost"))

    async def close(self) -> None:
        """Fail all who wait, as this host ends."""
        self._is_closed = True
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        self._service.close()
