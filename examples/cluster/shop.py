"""What the ledger can do. Its book is a file outside of the pool, as that of a bank or a warehouse would be."""

import json
import os
import time
from pathlib import Path

from pydantic_ai import RunContext

from actors import delivery

BOOK = Path(os.environ.get("ORDERS", ".")) / "book.jsonl"


def book(ctx: RunContext[None]) -> str:
    """Book the order, once: a call that is repeated after a death has the key of the first, in any process."""
    made = delivery()
    lines = BOOK.read_text(encoding="utf-8").splitlines() if BOOK.exists() else []
    if made.tool_key in {json.loads(line)["key"] for line in lines}:
        return "booked before"
    line = {"key": made.tool_key, "order": str(ctx.prompt), "process": os.getpid(), "at": time.time()}
    with BOOK.open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")
    return "booked"
