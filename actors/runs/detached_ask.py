"""Requests that nobody waits for inside a handler, such as those of connections."""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any

from actors.runs.request import RunRequest
from actors.runtime.envelope import current
from actors.runtime.future import AsyncioFuture
from actors.runtime.ref import ActorRef
from protocols.messages import ChatMessage
from protocols.node import Origin, Tracker

Reply = AsyncioFuture[ChatMessage[Any]]
Settled = Callable[[asyncio.Future[Any]], object]


def post_outside(
    ref: ActorRef[Any], request: RunRequest, timeout: float | None, origin: Origin | None, settled: Settled | None
) -> Reply:
    """Ask as if from outside any handler: without its deadline, and without being part of its chain of asks.

    So a >> b >> a is no cycle of actors that wait for each other. Traces and log context go along. The delivery is
    counted by `origin` until the reply is there and `settled` was called with it.
    """
    if origin is not None:
        origin.downstream.begin()
        settled = partial(_end, origin.downstream, settled)
    outer = current.set(None)
    try:
        reply: Reply = ref.ask(request, block=False, timeout=timeout)
    finally:
        current.reset(outer)
    if settled is not None:
        reply.add_done_callback(settled)  # one callback for all, since each is a turn of the event loop
    return reply


def _end(tracker: Tracker, settled: Settled | None, done: asyncio.Future[Any]) -> None:
    try:
        if settled is not None:
            settled(done)
    finally:
        tracker.end()


def failed_reply(error: Exception, settled: Settled | None = None) -> Reply:
    """Return the reply of a request that could not even be made."""
    reply: Reply = AsyncioFuture(loop=asyncio.get_running_loop())
    reply.fail(error)
    if settled is not None:
        reply.add_done_callback(settled)
    return reply
