"""A part of a run whose node lives at another host: it is kept in the mailbox of the node, and asked there."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from hashlib import blake2b
from itertools import count
from typing import Any

from msgspec.structs import replace

from actors.nodes.as_tool import limits_left
from actors.runs.request import RunOptions, RunRequest
from actors.runtime.actor import AsyncioActor
from actors.runtime.envelope import current
from actors.runtime.future import AsyncioFuture
from protocols.errors import add_note
from protocols.journal import MailboxJournal, NotDurableError
from protocols.messages import ChatMessage

Ask = Callable[[RunRequest, float | None], Awaitable[ChatMessage[Any]]]


@dataclass(frozen=True, slots=True)
class RouteReply:
    """Stands in for the actor of a stage of a chain, as far as its route asks."""

    reply: AsyncioFuture[Any]

    def take_reply(self) -> AsyncioFuture[Any]:
        """Return the reply of the stage."""
        return self.reply


class RemoteRun:
    """One part of a run, from when it reaches its actor here until its answer is there.

    Its id follows from that of the run: one that is delivered again finds the same answer. What has failed in an
    earlier delivery is asked anew.

    Args:
        request: the part.
        journal: what the hosts share.
        ask: keeps a run of the node and waits for its answer.
    """

    def __init__(self, request: RunRequest, journal: MailboxJournal, ask: Ask) -> None:
        self._request = request
        self._journal = journal
        self._ask = ask

    def begin(self, actor: AsyncioActor) -> None:
        """Take the reply of the ask that an actor handles, and answer it later; the actor is free for other messages.

        Only parts are taken: who reads a stream, or runs a node in memory, needs the node itself.
        """
        request, scope = self._request, current.get()
        if request.kept is None and not request.parent_run_id:
            text = "lives at another host, where no stream and no run with durable=False can be: ask for a whole answer"
            actor.fail_reply(NotDurableError(f"node {request.node.name!r} {text}", node=request.node.name))
            return
        deadline = None if scope is None else scope.deadline
        timeout = None if scope is None or deadline is None else max(0.0, deadline - scope.cell.now())
        reply = actor.take_reply()
        if reply is None:
            return
        outer = current.set(None)
        try:
            task = asyncio.ensure_future(self._answer(reply, timeout))
        finally:
            current.reset(outer)
        reply.add_done_callback(lambda _: task.cancel())

    async def _answer(self, reply: AsyncioFuture[Any], timeout: float | None) -> None:
        request, taken = self._request, RouteReply(reply)
        route: Any = request.route
        try:
            answer = await self._find(timeout)
        except Exception as error:  # the asker gets it
            if route is None:
                reply.release()
                reply.fail(error)
            else:
                route.failed(taken, request, error)
            return
        if route is None:
            reply.answer(answer)
        else:
            route.passed(taken, request, answer)

    async def _find(self, timeout: float | None) -> ChatMessage[Any]:
        """Return the recorded answer, or that of the host of the node."""
        request, kept = self._request, self._request.kept
        known = None if kept is None else kept.known(request.prompts)
        if known is not None:
            return known
        try:
            answer = await self._ask(replace(self._crossing(), run_id=await self._run_id()), timeout)
        except Exception as error:
            add_note(error, f"node {request.node.name!r}: the run failed")
            if kept is not None:
                kept.failed(request.prompts, error)
            raise
        _count(request.options, answer)
        if kept is not None:
            await kept.note(request.prompts, answer)
        return answer

    async def _run_id(self) -> str:
        """Return the id of the first run of this part that has not failed."""
        request = self._request
        for number in count():
            id = blake2b(f"{request.run_id}/{number}".encode(), digest_size=16).digest()
            is_first = request.kept is None or not request.kept.attempt
            found = None if is_first else await self._journal.find(id)
            if found is None or found.outcome in (None, "handled"):
                return id.hex()
        raise AssertionError

    def _crossing(self) -> RunRequest:
        """Return the part without what stays here: who reads its events, and what all parts use together."""
        options = self._request.options
        if options.usage is not None or isinstance(options.budget, tuple):
            budget = None if isinstance(options.budget, tuple) else options.budget
            limits = limits_left(options.usage_limits, options.usage)
            options = replace(options, usage=None, usage_limits=limits, budget=budget)
        return replace(
            self._request, options=options, route=None, sink=None, cost=None, follower=None, stats=None, kept=None
        )


def _count(options: RunOptions, answer: ChatMessage[Any]) -> None:
    """Count what an answer has used for the run that asked."""
    cost = answer.cost_info
    if options.usage is not None and cost is not None:
        options.usage.requests += 1
        options.usage.input_tokens += cost.token_usage.input_tokens
        options.usage.output_tokens += cost.token_usage.output_tokens
