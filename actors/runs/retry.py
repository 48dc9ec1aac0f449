"""A step of a node that is done again after a failure."""

import random
from itertools import count
from typing import Any

from msgspec.structs import replace

from actors.runs.correlation import begin_step
from actors.runs.events import run_retried
from actors.runs.request import RunRequest
from actors.runtime.actor import AsyncioActor
from actors.runtime.cell import Cell, cell_of
from actors.runtime.envelope import current
from actors.supervision.retry import Retry
from protocols.clock import pause
from protocols.messages import ChatMessage


async def retried(actor: AsyncioActor, request: RunRequest, asked: ChatMessage[Any], retry: Retry) -> ChatMessage[Any]:
    """Have a node do its work, again after a failure that `retry` covers, inside the handler of `actor`.

    A wait that would outlast the deadline of the run is not begun: the caller gets the failure at once.
    """
    node, cell = request.node, cell_of(actor)
    for attempt in count(1):
        begin_step()
        notes = {key: tuple(node.notes.get(key, ())) for key in (None, request.options.session)}
        try:
            answer = node.perform(request, asked)
            if not isinstance(answer, ChatMessage):
                answer = await answer
        except Exception as error:
            wait = retry.backoff.delay(attempt - 1, random.random())
            if attempt == retry.attempts or not retry.covers(error) or _is_last(request, error, cell, wait):
                raise
            taken = [key for key in notes if key not in node.notes] if request.kept is None else []  # that has them
            for key in taken:
                for text in notes[key]:
                    node.notes.keep(text, key)
            run_retried(cell.system.events, request, error, attempt, wait)
        else:
            cost = None if attempt == 1 else node.cost_of(request)
            return answer if cost is None else replace(answer, cost_info=cost)
        await pause(cell.system.clock, wait)
    raise AssertionError  # pragma: no cover - `count` has no end


def _is_last(request: RunRequest, error: Exception, cell: Cell, wait: float) -> bool:
    """Return True if the failure is a crash, the answers of members are read as they come, or the time is short."""
    node, scope = request.node, current.get()
    if isinstance(error, (*node.definition.settings.crash_on, *cell.crash_on)):
        return True
    if node.counts_members and (request.follower is not None or request.sink is not None):
        return True
    deadline = None if scope is None else scope.deadline
    return deadline is not None and cell.system.clock.now() + wait >= deadline
