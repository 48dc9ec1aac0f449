"""The standard error of a tool server that was started here."""

import asyncio
import logging
import os
from collections import deque
from collections.abc import Iterable
from typing import Self, TextIO

from protocols.redaction import Redaction

_MOST_LINES = 20
_MOST_CHARACTERS = 1_000
_END_TIMEOUT = 1.0
"""Seconds to wait for the last line of a stopped server. Processes that it left behind may hold the pipe."""

_log = logging.getLogger("understage")


class ErrorOutput(asyncio.Protocol):
    """A pipe that stores its last lines for error texts, and logs all lines at level debug.

    It masks known secrets, such as the environment variables of the server, in both.
    """

    def __init__(self, server: str, secrets: Iterable[str]) -> None:
        self._server = server
        self.clean = Redaction()
        """Returns a text without secrets."""
        self.clean.learn(secrets)
        self._lines: deque[str] = deque(maxlen=_MOST_LINES)
        self._rest = b""
        self._ended = asyncio.Event()
        self._transport: asyncio.BaseTransport | None = None
        self.file: TextIO | None = None
        """Standard error of the server; None while the pipe is closed."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_exc: object) -> None:
        if self.file is not None:
            self.file.close()
        if self._transport is not None:
            self._transport.close()

    async def open(self) -> None:
        """Make the pipe for a server that is about to start."""
        reading, writing = os.pipe()
        self.file = os.fdopen(writing, "w")
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.connect_read_pipe(lambda: self, os.fdopen(reading, "rb", 0))

    def data_received(self, data: bytes) -> None:
        """Store and log what was written."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        self._rest = self._rest[-_MOST_CHARACTERS:]
        for line in lines:
            self._keep(line)

    def connection_lost(self, exc: Exception | None) -> None:
        """Handle the end of the pipe: every writer has closed it."""
        if self._rest:
            self._keep(self._rest)
            self._rest = b""
        self._ended.set()

    def _keep(self, line: bytes) -> None:
        text = self.clean(line.decode(errors="replace").strip()[:_MOST_CHARACTERS])
        if text:
            self._lines.append(text)
            _log.debug("MCP server %s: %s", self._server, text)

    async def tail(self) -> str:
        """Return the last line of a stopped server. Empty if it wrote nothing, or was not started here."""
        if self.file is None:
            return ""
        self.file.close()
        try:
            async with asyncio.timeout(_END_TIMEOUT):
                await self._ended.wait()
        except TimeoutError:
            pass
        return self._lines[-1] if self._lines else ""
