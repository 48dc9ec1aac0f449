import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import anyio
import pytest

from actors.runs.resources import OpenResources

Resource = AbstractAsyncContextManager[Any]


@asynccontextmanager
async def resource(
    name: str, log: list[str], *, opens: Callable[[], Any] | None = None, error: Exception | None = None
) -> AsyncGenerator[None]:
    try:
        if opens is not None:
            await opens()
    except asyncio.CancelledError:
        log.append(f"{name} cancelled")
        raise
    log.append(f"+{name}")
    yield
    log.append(f"-{name}")
    if error is not None:
        raise error


async def hang() -> None:
    await asyncio.Event().wait()


async def fail() -> None:
    raise OSError("no server")


async def test_resources_are_left_by_the_task_that_entered_them() -> None:
    opened = OpenResources()

    @asynccontextmanager
    async def group() -> AsyncGenerator[None]:
        async with anyio.create_task_group() as tasks:  # raises if another task leaves it
            yield
            tasks.cancel_scope.cancel()

    await asyncio.create_task(opened.enter([group(), group()], is_parallel=True))
    await asyncio.create_task(opened.close())


async def test_a_failure_cancels_what_is_being_entered_and_is_told_at_once() -> None:
    log: list[str] = []
    opened = OpenResources()
    resources: list[Resource] = [resource("a", log), resource("b", log, opens=hang), resource("c", log, opens=fail)]

    with pytest.raises(OSError, match="no server"):
        await opened.enter(resources, is_parallel=True)
    await opened.close()

    assert log == ["+a", "b cancelled", "-a"]


async def test_one_after_the_other_none_is_entered_after_a_failure() -> None:
    log: list[str] = []
    opened = OpenResources()

    with pytest.raises(OSError, match="no server"):
        await opened.enter([resource("a", log), resource("b", log, opens=fail), resource("c", log)], is_parallel=False)
    await opened.close()

    assert log == ["+a", "-a"]


@pytest.mark.parametrize("parallel", [True, False])
async def test_a_cancelled_start_cancels_what_is_being_entered(parallel: bool) -> None:
    log: list[str] = []
    opened = OpenResources()
    begun = asyncio.Event()

    async def wait() -> None:
        begun.set()
        await hang()

    start = asyncio.create_task(
        opened.enter([resource("a", log), resource("b", log, opens=wait)], is_parallel=parallel)
    )
    await begun.wait()
    start.cancel()
    with pytest.raises(asyncio.CancelledError):
        await start
    await opened.close()

    assert log == ["+a", "b cancelled", "-a"]


async def test_all_are_left_in_reverse_order_even_if_one_fails() -> None:
    log: list[str] = []
    opened = OpenResources()
    await opened.enter(
        [resource("a", log), resource("b", log, error=OSError("stuck")), resource("c", log)], is_parallel=True
    )

    with pytest.raises(OSError, match="stuck"):
        await opened.close()
    await opened.close()

    assert log == ["+a", "+b", "+c", "-c", "-b", "-a"]
