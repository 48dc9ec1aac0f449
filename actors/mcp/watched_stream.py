"""Notice the end of a connection to a tool server between two calls."""

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from importlib import import_module
from typing import Any, Self


def watched_session(transport: Any, on_end: Callable[[], None]) -> Any:
    """Return a transport of fastmcp that works like `transport` and reports the end of its stream.

    fastmcp's client checks its connection only when it is used, so the next call would find a dead server. The session
    reads all the time, so its stream reports the end at once: it calls `on_end`, once or more.
    """
    base: Any = import_module("fastmcp.client.transports.base")

    class WatchedTransport(base.ClientTransport):  # type: ignore[misc]  # the base is an optional library
        legacy_only = transport.legacy_only

        @asynccontextmanager
        async def connect_session(self, *, transport_options: Any = None, **session: Any) -> AsyncGenerator[Any]:
            options = transport_options or base.TransportOptions()
            session_class = options.session_class

            def watched(read_stream: Any, write_stream: Any, **keywords: Any) -> Any:
                return session_class(_WatchedStream(read_stream, on_end), write_stream, **keywords)

            options = replace(options, session_class=watched)
            async with transport.connect_session(transport_options=options, **session) as opened:
                yield opened

        async def close(self) -> None:
            await transport.close()

    return WatchedTransport()


class _WatchedStream:
    """The stream that a session reads from; calls a function when the session has read its end and leaves it."""

    def __init__(self, stream: Any, on_end: Callable[[], None]) -> None:
        self._stream = stream
        self._on_end = on_end

    def __aiter__(self) -> Any:
        return self._stream.__aiter__()

    async def __aenter__(self) -> Self:
        await self._stream.__aenter__()
        return self

    async def __aexit__(self, *error: object) -> Any:
        self._on_end()
        return await self._stream.__aexit__(*error)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)  # such as `last_context`, which some streams have
