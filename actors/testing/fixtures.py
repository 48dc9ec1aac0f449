"""Fixtures for pytest and pytest-asyncio: ``pytest_plugins = ["actors.testing.fixtures"]`` in conftest.py."""

import asyncio
from collections.abc import AsyncGenerator

import pytest
import pytest_asyncio

from actors.runtime.system import ActorSystem
from actors.testing.clock import ManualClock
from actors.testing.leak import Census, living_actors
from actors.testing.scheduler import close
from actors.testing.settle import settle, systems_of


@pytest.fixture
def manual_clock() -> ManualClock:
    """A clock that stands still until the test moves it. `actor_system` uses it if the test asks for both."""
    return ManualClock()


@pytest_asyncio.fixture
async def no_leaked_actors() -> AsyncGenerator[None]:
    """Fail the test if it leaves actors, tasks, threads, files or sockets behind."""
    census = Census.take()
    yield
    found = living_actors()
    for system in systems_of(asyncio.get_running_loop()):
        await system.close(timeout=1.0)
    await settle()
    found += census.leaks()
    if found:
        pytest.fail("the test left something behind:\n  " + "\n  ".join(found))


@pytest_asyncio.fixture
async def actor_system(request: pytest.FixtureRequest, no_leaked_actors: None) -> AsyncGenerator[ActorSystem]:
    """A system for the test, closed after it. The test fails if it leaves anything behind."""
    clock: ManualClock | None = None
    if "manual_clock" in request.fixturenames:
        clock = request.getfixturevalue("manual_clock")
    system = ActorSystem("test", clock=clock)
    yield system
    if clock is not None:
        await close(system, clock)
    else:
        await system.close(timeout=1.0)
