"""Asks that are detached from the handler that makes them, such as those of connections."""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any

from actors.runtime.envelope import current
from actors.runtime.future import AsyncioFuture
from actors.runtime.ref import ActorRef
from protocols.delivery_tracker import DeliveryTracker
from protocols.messages import ChatMessage
from protocols.node import Origin

Reply = AsyncioFuture[ChatMessage[Any]]
Settled = Callable[[asyncio.Future[Any]], object]


def post_outside(
    ref: ActorRef[Any], request: object, timeout: float | None, origin: Origin | None, settled: Settled | None
) -> Reply:
    """Ask as if outside any handler: without its deadline, and outside its chain of asks.

    So ``a >> b >> a`` is not a cycle of waiting actors. Traces and log context are kept. `origin` counts the delivery
    until the reply has arrived and `settled` has been called with it.
    """
    outer = None if current.get() is None else current.set(None)
    try:
        reply: Reply = ref.ask(request, block=False, timeout=timeout)
    finally:
        if outer is not None:
            current.reset(outer)
    return when_settled(reply, origin, settled)


def when_settled(reply: Reply, origin: Origin | None, settled: Settled | None) -> Reply:
    """Call a function with a reply, at once if it is there, so that the caller finds a failure counted."""
    if origin is not None:
        origin.downstream.begin()
        settled = partial(_end, origin.downstream, settled)
    if settled is not None and reply.done():
        settled(reply)
    elif settled is not None:
        reply.add_done_callback(settled)  # one callback for all, since each is a turn of the event loop
    return reply


def _end(tracker: DeliveryTracker, settled: Settled | None, done: asyncio.Future[Any]) -> None:
    try:
        if settled is not None:
            settled(done)
    finally:
        tracker.end()


def failed_reply(error: Exception, settled: Settled | None) -> Reply:
    """Return the reply of a request that could not be made."""
    reply: Reply = AsyncioFuture(loop=asyncio.get_running_loop())
    reply.fail(error)
    return when_settled(reply, None, settled)
