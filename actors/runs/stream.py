"""`RunStream`: one run followed event by event."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Any, Generic, Self, cast

from pydantic_ai.messages import PartDeltaEvent, PartStartEvent, TextPart, TextPartDelta

from actors.runs.event_channel import EventChannel
from actors.runs.handle import Out
from actors.runs.node_stats import NodeStats
from actors.runs.request import RunOptions
from protocols.cost import TokenUsage
from protocols.errors import NotRunningError
from protocols.messages import ChatMessage
from protocols.streaming import StreamCompleteEvent, SupportsRunStream


class RunStream(Generic[Out]):
    """One open run. The run begins when the stream is entered or first read.

    The stream of an agent yields the events of its model and its tools, and last a `StreamCompleteEvent` with the
    answer. The stream of a team or chain yields ``(node, event)``, where the node is the working agent. The run stays
    at most some events ahead of its reader. Leaving early, by ``break``, an exception or the end of ``async with``,
    cancels the run: the connection to the model is closed, and nothing is stored.

    Example:
        ```python
        async with agent.run_stream("Tell me more") as stream:
            async for piece in stream.stream():
                print(piece, end="")
        print(stream.result.usage.total_tokens)
        ```
    """

    def __init__(self, node: NodeStats[Any, Out], prompts: tuple[object, ...], options: RunOptions) -> None:
        self._channel = EventChannel()
        self._node = node
        self._request = node.request(prompts, options, sink=self._channel)
        self._run: asyncio.Task[ChatMessage[Out]] | None = None

    async def _events(self) -> AsyncGenerator[Any, None]:
        run = self._begin()
        channel = self._channel
        try:
            while (event := await channel.get()) is not None:
                yield event
            await run
        finally:
            await self.aclose()

    def __aiter__(self) -> AsyncIterator[Any]:
        return self._events()

    async def stream(self) -> AsyncGenerator[str, None]:
        """Yield the text piece by piece, as the model writes it.

        A chain yields the text of its last stage, a parallel team that of all members as it comes. The answer of a
        function and a structured answer are one piece.

        Raises:
            Exception: the error of the run, after the pieces before it.
        """
        voice = TextFilter(self._node)
        async with aclosing(self._events()) as events:
            async for item in events:
                text = voice.text(item)
                if text:
                    yield text
        if not voice.has_spoken and self.result.text:
            yield self.result.text

    async def stream_text(self, *, delta: bool = False) -> AsyncGenerator[str, None]:
        """Yield the text so far, each time it grows. With `delta`, yield the same as `stream`."""
        text = ""
        async with aclosing(self.stream()) as pieces:
            async for piece in pieces:
                text += piece
                yield piece if delta else text

    @property
    def is_complete(self) -> bool:
        """True after the run is finished with an answer."""
        run = self._run
        return run is not None and run.done() and not run.cancelled() and run.exception() is None

    @property
    def result(self) -> ChatMessage[Out]:
        """The answer.

        Raises:
            NotRunningError: no answer yet, or the stream was left early.
            Exception: the error of the run.
        """
        run = self._run
        if run is None or not run.done() or run.cancelled():
            message = f"stream of node {self._node.name!r}: there is no result before it has been read to its end"
            raise NotRunningError(message, node=self._node.name)
        return run.result()

    @property
    def usage(self) -> TokenUsage:
        """Tokens of the answer; zeros before the answer."""
        return self.result.usage if self.is_complete else TokenUsage()

    def _begin(self) -> "asyncio.Task[ChatMessage[Out]]":
        if self._run is None:
            self._run = asyncio.create_task(self._node.ask(self._request), name=f"stream of {self._node.name}")
            self._run.add_done_callback(self._ended)
        return self._run

    def _ended(self, run: "asyncio.Task[ChatMessage[Out]]") -> None:
        if not run.cancelled():
            run.exception()  # the reader raises it, if there still is one
        self._channel.close()

    async def aclose(self) -> None:
        """Cancel the run if it is still open. Harmless afterwards."""
        run = self._run
        self._channel.close()
        if run is not None and not run.done():
            run.cancel()
            await asyncio.wait([run])

    async def __aenter__(self) -> Self:
        self._begin()
        return self

    async def __aexit__(self, *_exc: object) -> None:
        await self.aclose()


async def normalize_stream_for_teams(
    node: SupportsRunStream, *prompts: object, **options: Any
) -> AsyncGenerator[tuple[Any, Any], None]:
    """Run any node and yield ``(node, event)``. A team or chain names the agent that works, at any depth.

    Args:
        node: the node to run.
        *prompts: as for `run_stream`.
        **options: as for `run_stream`.

    Example:
        ```python
        async for node, event in normalize_stream_for_teams(agent | team, "Sum up"):
            print(node.name, event)
        ```
    """
    events = aiter(node.run_stream(*prompts, **options))
    try:
        async for item in events:
            yield cast("tuple[Any, Any]", item) if isinstance(item, tuple) else (node, item)
    finally:
        if isinstance(events, AsyncGenerator):
            await events.aclose()


class TextFilter:
    """Picks the text out of the events of one run.

    Of a chain only the last stage is heard, so the pieces make up the answer. Of a parallel team all members are heard,
    in the order in which the pieces come. A node without pieces, such as a function, is heard when it is done.
    """

    def __init__(self, node: NodeStats[Any, Any]) -> None:
        self._node = node
        self._speakers = {id(speaker) for speaker in node.speakers()}
        self._spoke: set[int] = set()

    @property
    def has_spoken(self) -> bool:
        """True if there was any text."""
        return bool(self._spoke)

    def text(self, item: Any) -> str:
        """Return the text in an item of the stream; empty when there is none."""
        named: tuple[object, object] = cast("Any", item) if isinstance(item, tuple) else (self._node, item)
        speaker, event = named
        if id(speaker) not in self._speakers:
            return ""
        if isinstance(event, StreamCompleteEvent):
            text = "" if id(speaker) in self._spoke else event.message.text
        else:
            text = text_of(event)
        if text:
            self._spoke.add(id(speaker))
        return text


def text_of(event: object) -> str:
    """Return the text that an event of pydantic_ai adds to the answer; thoughts and tools are none."""
    if isinstance(event, PartDeltaEvent):
        return event.delta.content_delta if isinstance(event.delta, TextPartDelta) else ""
    if isinstance(event, PartStartEvent) and isinstance(event.part, TextPart):
        return event.part.content
    return ""
