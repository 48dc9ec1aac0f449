"""Runs in memory that other hosts ask of nodes which live here."""

import asyncio
from typing import Any, Final

import msgspec
from msgspec.structs import replace

from actors.agents.agent import Agent
from actors.cluster.remote_run import NotStartedError
from actors.cluster.stream_record import CREDIT, MOST, encode_event
from actors.cluster.tenure import HostView
from actors.durable.failure import encode_failure
from actors.durable.record import decode_run, encode_answer
from actors.nodes.node import AnyNode
from actors.nodes.step_handoff import StepHandoff
from actors.nodes.transcript import Transcript
from actors.runs.errors import ENGINE_ERRORS, run_failure
from actors.runs.event_channel import EventChannel, StreamSink
from actors.runs.request import AddContext, RunRequest
from protocols.clock import pause
from protocols.errors import NodeStoppedError, RunCancelledError
from protocols.messages import ChatMessage
from protocols.transport import Answer, Cancel, Context, Credit, Failure, Frame, Item, Run

TOGETHER: Final = 0.05
"""Seconds for which events of a stream are collected."""


class LiveReader:
    """The reader of a run at another host, as far as the host of the node knows it.

    Args:
        host: this host.
        sender: where the reader is.
        run: what it asked.
    """

    def __init__(self, host: HostView, sender: str, run: Run) -> None:
        self.credit = asyncio.Semaphore(run.credit)
        """Events that the reader takes now."""
        self._host = host
        self._sender = sender
        self._run = run

    async def perform(self, node: AnyNode) -> ChatMessage[Any]:
        """Do the run, and send its events before its answer."""
        request = decode_run(self._run.record, node)
        request.continue_trace()
        request = replace(request, options=replace(request.options, durable=False))
        if not self._run.credit:
            return await self._ask(node, request)
        handoff = StepHandoff() if self._run.has_steps else None
        steps = None if handoff is None else Transcript(handoff)
        channel = EventChannel(CREDIT) if handoff is None else handoff
        sink = StreamSink(channel, node) if steps is None else None
        answer: ChatMessage[Any] | BaseException
        telling, asked = asyncio.ensure_future(self._tell(channel)), replace(request, sink=sink, follower=steps)
        try:
            (answer,) = await asyncio.gather(self._ask(node, asked), return_exceptions=True)
            for failure in () if steps is None else steps.errors.items():
                channel.put_now(failure)
            channel.close()
            await telling
        finally:
            telling.cancel()
        if isinstance(answer, BaseException):
            raise answer
        return answer

    async def _ask(self, node: AnyNode, request: RunRequest) -> ChatMessage[Any]:
        """Do the same as `NodeHandle.ask`; a circle through other hosts is seen.

        Raises:
            NotStartedError: the run was not begun, as the node moves to another host.
        """
        asks = self._host.live.asks
        asks.served.add(request.run_id)
        try:
            reply = node.ref().ask(request, block=False, timeout=self._run.left)
            asks.link(request.chain, reply)
            answer: ChatMessage[Any] = await reply
        except ENGINE_ERRORS as error:
            failure = run_failure(error, node.name, self._run.left)
            if isinstance(failure, NodeStoppedError) and self._host.leases.is_draining:
                raise NotStartedError(str(failure)) from None
            raise failure from error.__cause__
        finally:
            asks.served.discard(request.run_id)
        if request.downstream.open:
            await node._wait_for_connections(request)  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] - as `ask`
        return answer

    async def _tell(self, channel: EventChannel) -> None:
        clock, due = self._host.clock, 0.0
        try:
            await self.credit.acquire()
            while (item := await channel.get()) is not None:
                if (left := due - clock.now()) > 0:
                    await pause(clock, left)
                events = [encode_event(item)]
                while len(channel) and not self.credit.locked():
                    await self.credit.acquire()
                    events.append(encode_event(await channel.get()))
                await self._host.live.deliver(self._sender, Item(self._run.id, msgspec.msgpack.encode(events)))
                due = clock.now() + TOGETHER
                await self.credit.acquire()
        finally:
            channel.close()


class LiveService:
    """Does the runs that other hosts ask, by the lane.

    Args:
        host: this host.
    """

    def __init__(self, host: HostView) -> None:
        self._host = host
        self._under_way: dict[tuple[str, bytes], tuple[LiveReader, asyncio.Task[None]]] = {}

    def arrived(self, sender: str, frame: Frame) -> None:
        """Take a frame of another host that asks for something."""
        match frame:
            case Run(id):
                reader = LiveReader(self._host, sender, frame)
                task = self._host.run(self._serve(sender, frame, reader))
                self._under_way[sender, id] = reader, task
                task.add_done_callback(lambda _: self._under_way.pop((sender, id), None))
            case Cancel(id) if (sender, id) in self._under_way:
                self._under_way[sender, id][1].cancel()
            case Credit(id, number) if (sender, id) in self._under_way:
                for _ in range(number):
                    self._under_way[sender, id][0].credit.release()
            case Context(to, text, session):
                self._note(to, text, session)
            case _:
                return

    async def _serve(self, sender: str, run: Run, reader: LiveReader) -> None:
        place = self._host.mailboxes.get(run.to)
        elsewhere: Frame = Failure(run.id, b"", is_elsewhere=True)
        if place is None or not place.is_here:
            self._host.live.send(sender, elsewhere)
            return
        task: Any = asyncio.current_task()
        try:
            frame: Frame = Answer(run.id, encode_answer(await reader.perform(place.node), MOST))
        except asyncio.CancelledError:
            if task.cancelling():  # its asker waits no more
                raise
            error = RunCancelledError(f"node {place.node.name!r}: the run was cancelled", node=place.node.name)
            frame = Failure(run.id, encode_failure(error))
        except NotStartedError:
            frame = elsewhere
        except Exception as error:  # the asker gets it
            frame = Failure(run.id, encode_failure(error))
        await self._host.live.deliver(sender, frame)

    def _note(self, to: str, text: str, session: str | None) -> None:
        place = self._host.mailboxes.get(to)
        node: AnyNode | None = None if place is None or not place.is_here else place.node
        if node is not None and text:
            node.ref().tell(AddContext(node, text, session))
        elif node is not None and session is not None:
            node.notes.pop(session, ())
            if isinstance(node, Agent):
                node.execution.forget(session)  # pyright: ignore[reportUnknownMemberType] - an agent of any types

    def lost(self, host: str) -> None:
        """End the runs of a host that is lost."""
        for (sender, _), (_, task) in tuple(self._under_way.items()):
            if sender == host:
                task.cancel()

    def close(self) -> None:
        """End all runs, as this host ends."""
        for _, task in tuple(self._under_way.values()):
            task.cancel()
