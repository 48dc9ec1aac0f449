"""A server of chat completions on the loop of the test, which answers whatever the test wants."""

import json
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from pydantic_ai.models import Model, override_allow_model_requests

from actors.models.resolve import close_models
from actors.testing.faults import events, raw, refusal
from actors.testing.hostile_server import HostileServer, Reply
from actors.testing.models import served_model

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
async def serving(*answers: Answer) -> AsyncGenerator[str]:
    """Serve the answers in turn. Yield the address."""
    async with HostileServer([_reply(answer) for answer in answers]) as server:
        with override_allow_model_requests(True):
            yield server.url
        await close_models()


@asynccontextmanager
async def chat_model(*answers: Answer) -> AsyncGenerator[Model]:
    """Yield a model of a server that answers these."""
    async with HostileServer([_reply(answer) for answer in answers]) as server, served_model(server) as model:
        yield model


def _reply(answer: Answer) -> Reply:
    if isinstance(answer, int):
        return refusal(answer, "not here")
    return raw(json.dumps(answer).encode()) if isinstance(answer, dict) else events(*answer, "[DONE]")
