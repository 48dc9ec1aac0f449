"""Futures made by hand: of the running loop, or of none, set by any thread and waited for by any loop or thread."""

from __future__ import annotations

import asyncio
import operator
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pykka
import pytest

from actors.runtime.errors import AskTimeoutError, BlockingCallError
from actors.runtime.future import AsyncioFuture
from tests.support.actors import Echo

if TYPE_CHECKING:
    from collections.abc import Iterable


def in_thread(function: Any, *args: Any) -> None:
    """Call a function in a thread and wait for its end."""
    thread = threading.Thread(target=function, args=args)
    thread.start()
    thread.join()


def test_what_a_thread_sets_is_there_at_once_and_for_good() -> None:
    future: AsyncioFuture[int] = AsyncioFuture()
    with pytest.raises(AskTimeoutError):
        future.get(timeout=0)
    in_thread(future.set, 1)
    assert [future.get(timeout=0), future.get()] == [1, 1]
    with pytest.raises(asyncio.InvalidStateError):
        future.set(2)
    assert pykka.get_all([future, future], timeout=0) == [1, 1]


def test_an_exception_that_a_thread_sets_is_raised_with_its_frames() -> None:
    future: AsyncioFuture[int] = AsyncioFuture()

    def fail() -> None:
        try:
            raise NameError("where")  # noqa: TRY301 - the frame under test
        except NameError:
            future.set_exception()

    in_thread(fail)
    with pytest.raises(NameError, match="where") as caught:
        future.get()
    assert caught.traceback[-1].name == "fail"


def test_derived_futures_need_no_loop_either() -> None:
    number: AsyncioFuture[int] = AsyncioFuture()
    items: AsyncioFuture[Iterable[int]] = AsyncioFuture()
    derived: list[Any] = [
        number.map(lambda n: n * 2),
        number.join(items),
        items.filter(lambda n: n > 1),
        items.reduce(operator.add, 10),
    ]
    not_items: Any = number
    broken: AsyncioFuture[Any] = not_items.filter(bool)
    in_thread(items.set, [1, 2, 3])
    number.set(4)
    assert pykka.get_all(derived, timeout=0) == [8, [4, [1, 2, 3]], [2, 3], 16]
    with pytest.raises(TypeError):
        broken.get(timeout=0)


def test_a_function_runs_once_however_many_threads_complete_a_join() -> None:
    calls: list[Any] = []
    with ThreadPoolExecutor(8) as threads:
        for _ in range(200):
            parts: list[AsyncioFuture[int]] = [AsyncioFuture() for _ in range(8)]
            joined = parts[0].join(*parts[1:]).map(calls.append)
            together = threading.Barrier(8)

            def put(part: AsyncioFuture[int], at: threading.Barrier = together) -> None:
                at.wait()
                part.set(1)

            list(threads.map(put, parts))
            assert joined.get(timeout=5) is None
    assert calls == [[1] * 8] * 200


def test_a_callback_that_fails_harms_neither_who_sets_nor_the_other_callbacks(
    caplog: pytest.LogCaptureFixture,
) -> None:
    future: AsyncioFuture[int] = AsyncioFuture()
    called: list[object] = []
    future.add_done_callback(_fail)
    future.add_done_callback(called.append)
    future.set(1)
    assert called == [future]
    assert "a broken callback" in caplog.text


async def test_a_loop_waits_for_what_a_thread_sets() -> None:
    made: list[AsyncioFuture[int]] = []
    in_thread(lambda: made.append(AsyncioFuture()))
    waiting = asyncio.ensure_future(_value(made[0]))
    await asyncio.sleep(0)
    with pytest.raises(BlockingCallError):
        made[0].get()
    in_thread(made[0].set, 3)
    assert [await waiting, await made[0], made[0].get()] == [3, 3, 3]


async def test_who_gives_up_waiting_on_a_loop_cancels_it() -> None:
    made: list[AsyncioFuture[int]] = []
    in_thread(lambda: made.append(AsyncioFuture()))
    waiting = asyncio.ensure_future(_value(made[0]))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait([waiting])
    assert made[0].cancelled()


async def test_a_future_made_on_a_loop_belongs_to_it() -> None:
    future: AsyncioFuture[int] = AsyncioFuture()
    assert future.get_loop() is asyncio.get_running_loop()
    threading.Thread(target=future.set, args=(5,)).start()
    assert await future == 5


def test_replies_of_two_loops_and_a_future_of_none_join(background: None) -> None:
    by_hand: AsyncioFuture[int] = AsyncioFuture()
    reply = Echo.start().ask("reply", block=False)

    async def elsewhere() -> Any:
        mine: AsyncioFuture[str] = AsyncioFuture()
        joined = mine.join(by_hand, reply)
        mine.set("mine")
        in_thread(by_hand.set, 2)
        return await joined

    assert asyncio.run(elsewhere()) == ["mine", 2, "reply"]
    assert by_hand.join(reply).get(timeout=5) == [2, "reply"]


def _fail(_: object) -> None:
    message = "a broken callback"
    raise ValueError(message)


async def _value(future: AsyncioFuture[int]) -> int:
    return await future
