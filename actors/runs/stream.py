"""`RunStream`: one run followed event by event."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Any, Generic, Self, cast

from pydantic_ai.messages import PartDeltaEvent, PartStartEvent, TextPart, TextPartDelta

from actors.runs.event_channel import EventChannel, StreamEvent, StreamSink
from actors.runs.handle import Out
from actors.runs.node_stats import NodeStats
from actors.runs.request import NO_OPTIONS, OutputKeywords, RunOptions
from protocols.cost import TokenUsage
from protocols.errors import NotRunningError
from protocols.keywords import spelled_out
from protocols.messages import ChatMessage
from protocols.streaming import SupportsRunStream


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
        self._request = node.request(prompts, options, sink=StreamSink(self._channel, node))
        self._run: asyncio.Task[ChatMessage[Out]] | None = None

    async def _items(self) -> AsyncGenerator[StreamEvent, None]:
        run = self._begin()
        channel = self._channel
        try:
            while (item := await channel.get()) is not None:
                yield item
            await run
        finally:
            await self.aclose()

    async def _events(self) -> AsyncGenerator[Any, None]:
        async with aclosing(self._items()) as items:
            async for node, event, _, _ in items:
                if event is not None:
                    yield event if node is None else (node, event)

    def __aiter__(self) -> AsyncIterator[Any]:
        return self._events()

    async def stream(self) -> AsyncGenerator[str, None]:
        """Yield the text of the answer piece by piece. Together the pieces are ``result.text``.

        A piece comes as soon as it is certain: that of a model without tools as the model writes it, an answer of a
        parallel team when those before it are there, and everything else at the end.

        Raises:
            Exception: the error of the run, after the pieces before it.
        """
        told, held = "", list[str]()
        async with aclosing(self._pieces()) as pieces:
            async for piece, is_sure in pieces:
                if is_sure:
                    told += piece
                    yield piece
                elif piece:
                    held.append(piece)
                else:
                    held.clear()
        rest = self.result.text.removeprefix(told)
        for piece in held if "".join(held) == rest else [rest]:
            if piece:
                yield piece

    async def stream_text(self, *, delta: bool = False) -> AsyncGenerator[str, None]:
        """Yield the text so far, each time it grows or begins anew. The last text is ``result.text``.

        A piece that is not certain yet is told as well: what a model says before it calls a tool stands there until the
        model continues. With `delta`, yield the same as `stream`.
        """
        if delta:
            async with aclosing(self.stream()) as sure:
                async for piece in sure:
                    yield piece
            return
        told = shown = ""
        async with aclosing(self._pieces()) as pieces:
            async for piece, is_sure in pieces:
                told += piece if is_sure else ""
                shown = shown + piece if piece else told
                if piece:
                    yield shown
        if shown != self.result.text:
            yield self.result.text

    async def _pieces(self) -> AsyncGenerator[tuple[str, bool], None]:
        """Yield text, and whether it is certain to belong to the answer. No text: what was uncertain does not."""
        async with aclosing(self._items()) as items:
            async for item in items:
                if isinstance(item.event, PartStartEvent) and not item.event.index:
                    yield "", False  # the response before was not the last one
                if item.text:
                    yield item.text, item.is_sure

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


@spelled_out(OutputKeywords, NO_OPTIONS)
async def normalize_stream_for_teams(
    node: SupportsRunStream, *prompts: object, **options: Any
) -> AsyncGenerator[tuple[Any, Any], None]:
    """Run any node and yield ``(node, event)``. A team or chain names the agent that works, at any depth.

    Args:
        node: the node to run.
        *prompts: as for `run_stream`.
        **options: see `RunOptions`.

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


def text_of(event: object) -> str:
    """Return the text that an event of pydantic_ai adds to the answer; thoughts and tools are none."""
    if isinstance(event, PartDeltaEvent):
        return event.delta.content_delta if isinstance(event.delta, TextPartDelta) else ""
    if isinstance(event, PartStartEvent) and isinstance(event.part, TextPart):
        return event.part.content
    return ""
