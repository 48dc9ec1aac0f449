"""The leak check finds what it is for."""

import asyncio
import socket
import threading

from actors.runtime.actor import AsyncioActor
from actors.runtime.system import ActorSystem
from actors.testing import Census


async def test_nothing_is_found_where_nothing_was_left(actor_system: ActorSystem) -> None:
    ref = actor_system.start(AsyncioActor)
    census = Census.take()
    await ref.stop()

    assert census.leaks() == []


async def test_a_living_actor_is_named(actor_system: ActorSystem) -> None:
    census = Census.take()
    actor_system.start(AsyncioActor, name="forgotten")

    assert census.leaks() == ["actor forgotten of system test"]


async def test_a_task_is_named() -> None:
    census = Census.take()
    task = asyncio.create_task(asyncio.Event().wait(), name="waits for ever")

    assert census.leaks() == ["task waits for ever"]
    task.cancel()


async def test_a_thread_is_named() -> None:
    stop = threading.Event()
    census = Census.take()
    thread = threading.Thread(target=stop.wait, name="waits for ever")
    thread.start()
    try:
        assert census.leaks(patience=0) == ["thread waits for ever"]
    finally:
        stop.set()
        thread.join()


async def test_a_socket_is_named() -> None:
    census = Census.take()
    with socket.socket() as opened:
        assert [line for line in census.leaks() if f"descriptor {opened.fileno()}" in line]
    assert census.leaks() == []
