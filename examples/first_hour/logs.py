"""Task 25: a line of JSON for what goes wrong."""

import asyncio
import json
import logging
from contextlib import suppress

from actors import Agent, AgentPool

FIELDS = ("actor", "run_id", "reason", "error")


class JsonLines(logging.Formatter):
    """One document a line."""

    def format(self, record: logging.LogRecord) -> str:
        """Return text and fields as JSON."""
        fields = {name: getattr(record, name) for name in FIELDS if hasattr(record, name)}
        return json.dumps({"text": record.getMessage(), **fields}, default=str)


def clerk(_text: str) -> str:
    """Fail."""
    raise ConnectionError("the shop is closed")


async def main() -> None:
    """Let an actor crash."""
    async with AgentPool[None]() as pool:
        await pool.add_node(Agent.from_callback(clerk, crash_on=(ConnectionError,)))
        with suppress(ConnectionError):
            await pool["clerk"].run("order 17")


handler = logging.StreamHandler()
handler.setFormatter(JsonLines())
logger = logging.getLogger("understage")
logger.addHandler(handler)
asyncio.run(main())
logger.removeHandler(handler)
