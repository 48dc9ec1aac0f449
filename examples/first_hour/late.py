"""Task 10: a deadline."""

import asyncio

from actors import Agent
from protocols.errors import RunTimeoutError


async def forever(text: str) -> str:
    """Wait."""
    await asyncio.Event().wait()
    return text


chain = Agent.from_callback(str.strip) | forever
try:
    chain.run_sync("Hello", timeout=0.1)
except RunTimeoutError as error:
    print(error)
