"""A server of tools over its input and output. It speaks the protocol without the library, whose import takes a second.

The library serves the same tools over HTTP: see `servers`.
"""

import asyncio
import inspect
import json
import os
import signal
import sys
from typing import Any


def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


def process() -> int:
    """Tell the id of the process."""
    return os.getpid()


def variables() -> list[str]:
    """Tell the environment variables."""
    return sorted(f"{name}={value}" for name, value in os.environ.items())


def delete_all() -> str:
    """Delete everything."""
    return "deleted"


async def hang(port: int) -> str:
    """Tell a port of this machine that the call has begun, wait for ever, and tell it of a cancellation."""
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"{os.getpid()}\n".encode())
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        writer.write(b"cancelled\n")
        writer.close()
        raise
    return ""


TOOLS: dict[str, Any] = {tool.__name__: tool for tool in (add, process, variables, delete_all, hang)}
VERSION = "2026-07-28"
KINDS: dict[Any, dict[str, Any]] = {
    int: {"type": "integer"},
    str: {"type": "string"},
    list[str]: {"type": "array", "items": {"type": "string"}},
}


def described(name: str, tool: Any) -> dict[str, Any]:
    *arguments, (_, result) = inspect.get_annotations(tool).items()
    given = {"type": "object", "properties": {one: KINDS[kind] for one, kind in arguments}}
    output = {"type": "object", "properties": {"result": KINDS[result]}, "required": ["result"]}
    shapes = {"inputSchema": {**given, "required": [one for one, _ in arguments]}, "outputSchema": output}
    return {"name": name, "description": inspect.getdoc(tool), **shapes}


async def answer(method: str, given: dict[str, Any]) -> dict[str, Any]:
    if method == "server/discover":
        return {"capabilities": {"tools": {}}, "supportedVersions": [VERSION]}
    if method == "tools/list":
        return {"tools": [described(*pair) for pair in TOOLS.items()]}
    found: Any = TOOLS[given["name"]](**given["arguments"])
    result: int | str | list[str] = await found if inspect.isawaitable(found) else found
    parts = result if isinstance(result, list) else [result]
    texts = [{"type": "text", "text": str(one)} for one in parts]
    return {"content": texts, "isError": False, "structuredContent": {"result": result}}


async def respond(id: int, method: str, given: dict[str, Any]) -> None:
    server = {"io.modelcontextprotocol/serverInfo": {"name": "calc", "version": ""}}
    common = {"cacheScope": "private", "ttlMs": 0, "resultType": "complete", "_meta": server}
    line = {"jsonrpc": "2.0", "id": id, "result": {**common, **await answer(method, given)}}
    sys.stdout.write(f"{json.dumps(line)}\n")
    sys.stdout.flush()


async def serve() -> None:
    """Answer until the input ends."""
    lines = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    calls: dict[int, asyncio.Task[None]] = {}
    while line := await lines.readline():
        asked = json.loads(line)
        if asked["method"] == "notifications/cancelled":
            calls[asked["params"]["requestId"]].cancel()
        elif "id" in asked:
            call = respond(asked["id"], asked["method"], asked.get("params", {}))
            calls[asked["id"]] = asyncio.create_task(call)


if __name__ == "__main__":
    if "--broken" in sys.argv:
        sys.exit(f"no licence for {os.environ.get('TOKEN', 'anybody')}")
    asyncio.run(serve())
    if "--stubborn" in sys.argv:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        signal.pause()
