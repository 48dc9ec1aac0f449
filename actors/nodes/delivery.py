"""Requests that nobody waits for inside a handler, such as those of connections."""

import asyncio
from contextvars import copy_context
from typing import Any

from actors.nodes.request import RunRequest
from actors.runtime.envelope import current
from actors.runtime.future import AsyncioFuture
from actors.runtime.ref import ActorRef
from protocols.messages import ChatMessage

Reply = AsyncioFuture[ChatMessage[Any]]


def ask_outside(ref: ActorRef[Any], request: RunRequest, timeout: float | None) -> Reply:
    """Ask as if from outside any handler: without its deadline, and without being part of its chain of asks.

    So a >> b >> a is no cycle of actors that wait for each other. Traces and log context go along.
    """
    return copy_context().run(_ask, ref, request, timeout)


def _ask(ref: ActorRef[Any], request: RunRequest, timeout: float | None) -> Reply:
    current.set(None)
    return ref.ask(request, block=False, timeout=timeout)


def failed_reply(error: Exception) -> Reply:
    """Return the reply of a request that could not even be made."""
    reply: Reply = AsyncioFuture(loop=asyncio.get_running_loop())
    reply.fail(error)
    return reply
