"""Task 11: a stream."""

import asyncio

from actors import Agent


async def main() -> None:
    """Follow an answer."""
    async with Agent("reader", model="offline", system_prompt="One sentence.") as reader:
        async with reader.run_stream("Cats sleep for many hours of every day. Dogs do not.") as stream:
            pieces = [piece async for piece in stream.stream()]
        print("".join(pieces) == stream.result.text)


asyncio.run(main())
