"""What the booker can do. Its book is a file outside of the pool, as that of a bank or a warehouse would be."""

import json
import os
import signal
from pathlib import Path

from pydantic_ai import RunContext

from actors import delivery

BOOK = Path(os.environ.get("ORDERS", ".")) / "book.jsonl"


def book(ctx: RunContext[None]) -> str:
    """Book the order, once: a call that is repeated after a death has the key of the first."""
    made = delivery()
    lines = BOOK.read_text(encoding="utf-8").splitlines() if BOOK.exists() else []
    known = {json.loads(line)["key"] for line in lines}
    if made.tool_key in known:
        return "booked before"
    with BOOK.open("a", encoding="utf-8") as file:
        file.write(json.dumps({"key": made.tool_key, "order": str(ctx.prompt)}) + "\n")
    if os.environ.get("KILL_AT") == str(len(lines) + 1):
        os.kill(os.getpid(), signal.SIGKILL)  # the demo: the order is booked, and the process has told no one
    return "booked"
