"""The thread of a pool that a chat talks to."""

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest

from actors.cli.app_thread import AppThread


class InterruptedLoop:
    """An event loop of another thread; a signal interrupts the first call that is handed over to it."""

    def __init__(self, loop: asyncio.AbstractEventLoop, *, is_handed_over: bool) -> None:
        self._loop = loop
        self._is_handed_over = is_handed_over
        self._is_first = True
        self.create_task = loop.create_task

    def call_soon_threadsafe(self, callback: Callable[..., Any], *args: Any) -> None:
        is_first, self._is_first = self._is_first, False
        if self._is_handed_over or not is_first:
            self._loop.call_soon_threadsafe(callback, *args)
        if is_first:
            raise KeyboardInterrupt


@pytest.mark.parametrize("is_handed_over", [False, True])
def test_an_interrupt_while_work_is_handed_over_leaves_none_running(is_handed_over: bool) -> None:
    loop = asyncio.new_event_loop()
    runner = threading.Thread(target=loop.run_forever)
    runner.start()
    app: Any = object.__new__(AppThread)
    app._loop = InterruptedLoop(loop, is_handed_over=is_handed_over)
    try:
        with pytest.raises(KeyboardInterrupt):
            app.call(asyncio.Event().wait())
        assert asyncio.run_coroutine_threadsafe(_others(), loop).result() == 0
    finally:
        loop.call_soon_threadsafe(loop.stop)
        runner.join()
        loop.close()


async def _others() -> int:
    return len(asyncio.all_tasks()) - 1
