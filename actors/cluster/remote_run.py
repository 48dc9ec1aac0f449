"""A run that has come to the actor of a node which lives at another host, and is asked there."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from hashlib import blake2b
from itertools import count
from typing import Any, cast

from msgspec.structs import replace

from actors.nodes.as_tool import limits_left
from actors.nodes.transcript import Transcript
from actors.runs.correlation import names_in
from actors.runs.lifecycle import NodeLifecycle
from actors.runs.request import RunOptions, RunRequest
from actors.runtime.actor import AsyncioActor
from actors.runtime.envelope import Envelope, current
from actors.runtime.errors import AskCycleError
from actors.runtime.future import AsyncioFuture
from protocols.errors import RunError, name_node
from protocols.journal import MailboxJournal, NotDurableError
from protocols.messages import ChatMessage

Ask = Callable[[RunRequest, float | None], Awaitable[ChatMessage[Any]]]
"""Asks the host of the node. Of this process the request has who reads its events or steps, and nothing else."""


@dataclass(frozen=True, slots=True)
class RouteReply:
    """Stands in for the actor of a stage of a chain, as far as its route asks."""

    reply: AsyncioFuture[Any]

    def take_reply(self) -> AsyncioFuture[Any]:
        """Return the reply of the stage."""
        return self.reply


class NotStartedError(RunError):
    """A run was not begun, as its node lives at another host."""


class RemoteWaiting(AsyncioFuture[Any]):
    """Stands for what another host waits for on behalf of a reply, so that the engine sees a circle through it."""

    def cancel(self, msg: Any | None = None) -> bool:
        """Do nothing: the other host cancels what it waits for."""
        return False


class RemoteAsks:
    """The asks of nodes here that wait for other hosts, by a mark in the chains of what those hosts ask for them."""

    def __init__(self) -> None:
        self.served: set[str] = set()
        """Ids of the runs in memory that are done here for other hosts."""
        self._waiting: dict[str, AsyncioFuture[Any]] = {}

    def add(self, run_id: str, reply: AsyncioFuture[Any]) -> str:
        """Note an ask until it is answered, and return its mark."""
        mark = f"@{run_id}"
        self._waiting[mark] = reply
        reply.add_done_callback(lambda _: self._waiting.pop(mark, None))
        return mark

    def link(self, chain: tuple[str, ...], served: AsyncioFuture[Any]) -> None:
        """Note that asks of nodes here wait for a run that is done here as well."""
        for reply in [self._waiting[mark] for mark in chain if mark in self._waiting]:
            wait = RemoteWaiting(loop=reply.get_loop())
            wait._source, reply._source = (served,), (*reply.sources, wait)  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] - as `follow`


class RemoteRun:
    """One run from when it reaches its actor here until its answer is there.

    Args:
        request: the run.
        ask: asks the host of the node.
        asks: the asks of nodes here that wait for other hosts.
    """

    def __init__(self, request: RunRequest, ask: Ask, asks: "RemoteAsks") -> None:
        self._request = request
        self._ask = ask
        self._asks = asks
        self._chain: tuple[str, ...] = ()

    def begin(self, actor: AsyncioActor) -> None:
        """Take the reply of the ask that an actor handles, and answer it later; the actor is free for other messages.

        A run for which its own node waits is refused.
        """
        scope = current.get()
        deadline = None if scope is None else scope.deadline
        timeout = None if scope is None or deadline is None else max(0.0, deadline - scope.cell.now())
        self._chain = () if scope is None else chain_of(scope)
        reply = actor.take_reply()
        if reply is None:
            return
        if self._request.run_id in self._asks.served:  # it waited here, and the node has moved
            self._fail(reply, NotStartedError(f"node {self._request.node.name!r} lives at another host"))
            return
        if cycle := cycle_of(self._request, self._chain):
            self._fail(reply, AskCycleError(cycle))
            return
        if self._chain:
            self._chain = (*self._chain, self._asks.add(self._request.run_id, reply))
        outer = current.set(None)
        try:
            task = asyncio.ensure_future(self._answer(reply, timeout))
        finally:
            current.reset(outer)
        reply.add_done_callback(lambda _: task.cancel())

    def _fail(self, reply: AsyncioFuture[Any], error: Exception) -> None:
        route: Any = self._request.route
        if route is None:
            reply.release()
            reply.fail(error)
        else:
            route.failed(RouteReply(reply), self._request, error)

    async def _answer(self, reply: AsyncioFuture[Any], timeout: float | None) -> None:
        route: Any = self._request.route
        try:
            answer = await self._find(timeout)
        except Exception as error:  # the asker gets it
            self._fail(reply, error)
            return
        if route is None:
            reply.answer(answer)
        else:
            route.passed(RouteReply(reply), self._request, answer)

    async def _find(self, timeout: float | None) -> ChatMessage[Any]:
        """Return the recorded answer, or that of the host of the node."""
        request, kept = self._request, self._request.kept
        known = None if kept is None else kept.known(request.prompts)
        if known is not None:
            return known
        handoff = request.follower.handoff if isinstance(request.follower, Transcript) else None
        if handoff is not None and handoff.has_talks:
            text = f"chain {request.node.name!r} lives at another host, and connections do not cross; use run_iter"
            raise NotDurableError(text, node=request.node.name)
        try:
            answer = await self._ask(self._crossing(), timeout)
        except Exception as error:
            name_node(error, request.node.name)
            if kept is not None:
                kept.failed(request.prompts, error)
            raise
        _count(request.options, answer)
        if kept is not None:
            await kept.note(request.prompts, answer)
        return answer

    def _crossing(self) -> RunRequest:
        """Return the run without what stays here: what all parts use together."""
        options = self._request.options
        if options.usage is not None or isinstance(options.budget, tuple):
            budget = None if isinstance(options.budget, tuple) else options.budget
            limits = limits_left(options.usage_limits, options.usage)
            options = replace(options, usage=None, usage_limits=limits, budget=budget)
        own: dict[str, Any] = dict.fromkeys(("route", "cost", "stats", "kept"))
        return replace(self._request, options=options, chain=self._chain, **own)


async def first_open(request: RunRequest, journal: MailboxJournal) -> str:
    """Return the id of a part of a run in the mailbox of its node. It follows from that of the run.

    So a run that is delivered again finds the same answer. What has failed in an earlier delivery is asked anew.
    """
    for number in count():
        id = blake2b(f"{request.run_id}/{number}".encode(), digest_size=16).digest()
        is_first = request.kept is None or not request.kept.attempt
        found = None if is_first else await journal.find(id)
        if found is None or found.outcome in (None, "handled"):
            return id.hex()
    raise AssertionError


def chain_of(scope: Envelope) -> tuple[str, ...]:
    """Return the nodes that wait for what an actor handles, here and at other hosts, outermost first."""
    names: list[str] = []
    at = scope
    while (before := at.parent) is not None:
        at = before
        if isinstance(at.message, RunRequest):
            names.append(_entry(at.message))
    return (*(at.message.chain if isinstance(at.message, RunRequest) else ()), *reversed(names))


def cycle_of(request: RunRequest, chain: tuple[str, ...]) -> tuple[str, ...]:
    """Return the names from the node of a run back to it, if the node waits for the run and so cannot begin it."""
    node, entry = request.node, _entry(request)
    address, _, key = entry.partition("#")
    is_alone = cast("NodeLifecycle", node).most_runs == 1
    known = [one.partition("#")[0] if is_alone else one for one in chain]
    name = address if is_alone else entry
    if name not in known or not (is_alone or key):
        return ()
    return (*names_in(chain[known.index(name) :]), node.name)


def _entry(request: RunRequest) -> str:
    """Return the address of the node of a run, with what its runs of one memory have in common."""
    node = request.node
    address = node.name if node.place is None else node.place.name
    key = node.message_key(request)
    return f"{address}#{key}" if node.is_serial and key is not None else address


def _count(options: RunOptions, answer: ChatMessage[Any]) -> None:
    """Count what an answer has used for the run that asked."""
    cost = answer.cost_info
    if options.usage is not None and cost is not None:
        options.usage.requests += 1
        options.usage.input_tokens += cost.token_usage.input_tokens
        options.usage.output_tokens += cost.token_usage.output_tokens
