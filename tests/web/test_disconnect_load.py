"""Clients that come and go by the hundred under load: nothing of them stays."""

from __future__ import annotations

import asyncio
import gc
from typing import TYPE_CHECKING

import pytest

from actors.testing.leak import Census
from actors.testing.models import ModelCall, RecordingModel
from tests.support.waiting import wait_until
from tests.web.server import make_app, make_pool, request_bytes, serve_app

if TYPE_CHECKING:
    from pathlib import Path

    import httpx2

    from tests.web.server import RunningServer

pytestmark = pytest.mark.usefixtures("no_leaked_actors")

DISCONNECTS = 1_000
AT_ONCE = 50
MOST_OBJECTS = 3_000
"""Objects that may be more than before; one disconnect makes some dozens."""


class Stuck:
    """What a model says: to most prompts an echo, to the prompt ``wait`` nothing, ever."""

    def __init__(self) -> None:
        self.waiting = 0
        self.cancelled = 0

    async def __call__(self, call: ModelCall) -> str:
        if call.prompt != "wait":
            return call.prompt
        self.waiting += 1
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.waiting -= 1
        return ""


async def leave(stage: RunningServer, requests: list[bytes], stuck: Stuck) -> None:
    """Have clients ask for what is never answered, and leave together."""
    before, gone = stuck.cancelled, asyncio.Event()
    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        for request in requests:
            group.create_task(stay(stage, request, gone))
        await wait_until(lambda: stuck.waiting == len(requests))
        gone.set()
        await wait_until(lambda: stuck.cancelled == before + len(requests))


async def stay(stage: RunningServer, request: bytes, gone: asyncio.Event) -> None:
    async with stage.raw(request):
        await gone.wait()


async def ask_on(http: httpx2.AsyncClient, ended: asyncio.Event) -> int:
    """Ask the service as long as others come and go; return how often it has answered."""
    count = 0
    while not ended.is_set():
        assert (await http.post("/ask/helper", content=f"q{count}")).text == f"q{count}"
        count += 1
    return count


async def test_a_thousand_disconnects_under_load_leave_nothing(tmp_path: Path) -> None:
    stuck = Stuck()
    model = RecordingModel(stuck)
    requests = [
        request_bytes("POST", "/ask/helper", b"wait", Content_Length="4"),
        request_bytes("GET", "/tell?q=wait"),
    ] * (AT_ONCE // 2)
    async with serve_app(make_app(make_pool(tmp_path, model))) as stage, stage.client() as http:
        await leave(stage, requests, stuck)
        objects, census = count_objects(model), Census.take()
        ended = asyncio.Event()
        load = asyncio.create_task(ask_on(http, ended))
        for _ in range(DISCONNECTS // AT_ONCE):
            await leave(stage, requests, stuck)
        ended.set()
        answered = await load
        # The loop closes the generator of an answer that was cut off in a task of its own, after the request's.
        await wait_until(lambda: Census.take().tasks - census.tasks <= {asyncio.current_task()})
        more = count_objects(model) - objects

    assert (stuck.cancelled, stuck.waiting) == (DISCONNECTS + AT_ONCE, 0)
    assert answered >= DISCONNECTS // AT_ONCE
    assert more < MOST_OBJECTS


def count_objects(model: RecordingModel) -> int:
    model.requests.clear()
    gc.collect()
    return len(gc.get_objects())
