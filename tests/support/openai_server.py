"""A server of chat completions on the loop of the test, which answers whatever the test wants."""

import asyncio
import json
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from pydantic_ai.models import override_allow_model_requests
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider

Answer = dict[str, Any] | Sequence[dict[str, Any]] | int
"""A whole answer, the chunks of a stream, or the status of a refusal."""


def completion(message: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """Return a whole answer with one message."""
    choice = {"index": 0, "message": {"role": "assistant", "content": None, **message}, "finish_reason": "stop"}
    return {"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice], **changes}


def chunks(*deltas: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the chunks of a stream."""
    base = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    choices = [{"index": 0, "delta": delta, "finish_reason": None} for delta in deltas]
    return [{**base, "choices": [choice]} for choice in choices]


def call(name: str, arguments: Any, **rest: Any) -> dict[str, Any]:
    """Return a tool call as a server names it."""
    return {"type": "function", "function": {"name": name, "arguments": arguments}, **rest}


@asynccontextmanager
async def serving(*answers: Answer) -> AsyncGenerator[tuple[str, list[dict[str, Any]]]]:
    """Serve the answers in turn. Yield the address, and the requests that were made."""
    left, requests = list(answers), list[dict[str, Any]]()

    async def client(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = int(head.partition("content-length:")[2].split("\r\n")[0])
        requests.append(json.loads(await reader.readexactly(length)))
        writer.write(_reply(left.pop(0) if len(left) > 1 else left[0]))
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(client, "127.0.0.1", 0)
    async with server:
        with override_allow_model_requests(True):
            yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1", requests


def _reply(answer: Answer) -> bytes:
    status, kind = 200, "application/json"
    if isinstance(answer, int):
        status, body = answer, json.dumps({"error": {"message": "not here"}})
    elif isinstance(answer, dict):
        body = json.dumps(answer)
    else:
        kind, body = "text/event-stream", "".join(f"data: {json.dumps(one)}\n\n" for one in answer) + "data: [DONE]\n\n"
    head = f"HTTP/1.1 {status} X\r\ncontent-type: {kind}\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n"
    return (head + body).encode()


@asynccontextmanager
async def chat_model(*answers: Answer) -> AsyncGenerator[OpenAIChatModel]:
    """Yield a model of a server that answers these."""
    async with serving(*answers) as (url, _):
        provider = OpenAIProvider(base_url=url, api_key="k")
        async with provider:
            yield OpenAIChatModel("m", provider=provider)
