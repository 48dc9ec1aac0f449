"""Waiting for what sets no event."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

TIMEOUT = 20.0
"""Real seconds after which a test that waits in vain fails. No test waits for them to pass."""


async def wait_until(condition: Callable[[], object]) -> None:
    """Let the loop run until a condition is true. Fails instead of hanging when the condition stays false."""
    async with asyncio.timeout(TIMEOUT):
        while not condition():  # noqa: ASYNC110 - threads, sockets and other processes set no event of this loop
            await asyncio.sleep(0)
