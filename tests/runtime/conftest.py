"""Every test of the engine is cut off if it hangs, and must leave nothing behind."""

from __future__ import annotations

import signal
from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any, cast

import pytest
import pytest_asyncio

from actors.runtime.background_loop import stop_background
from actors.runtime.options import StartOptions
from actors.runtime.ref import ActorRef
from actors.testing import settle
from tests.support.actors import Echo, Restarter

if TYPE_CHECKING:
    from types import FrameType

    from actors.runtime.actor import AsyncioActor
    from actors.runtime.cell import Cell
    from actors.runtime.system import ActorSystem

_LIMIT = 30.0
"""Real seconds of one test; only one that hangs needs them."""

StartChild = Callable[..., ActorRef[Any]]


class HungError(BaseException):
    """A test hung. No handler under test may take it for an error of its own, so it is no Exception."""


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, object, object]:
    """Interrupt a test that hangs, again and again, should a handler under test swallow the first interruption."""
    if pyfuncitem.get_closest_marker("soak"):
        return (yield)
    limit = float(getattr(pyfuncitem.module, "LIMIT", _LIMIT))

    def hung(_number: int, _frame: FrameType | None) -> None:
        raise HungError(f"{pyfuncitem.name} did not end within {limit} seconds")

    before = signal.signal(signal.SIGALRM, hung)
    signal.setitimer(signal.ITIMER_REAL, limit, 1.0)
    try:
        return (yield)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@pytest.fixture
def background() -> Generator[None]:
    """End the background loop after a test that starts actors where no loop runs."""
    yield
    assert stop_background() == []


@pytest_asyncio.fixture
async def parent(actor_system: ActorSystem) -> ActorRef[Restarter]:
    """Return an actor that revives its children."""
    return actor_system.start(Restarter, name="parent")


@pytest.fixture
def start_child(actor_system: ActorSystem, parent: ActorRef[Restarter]) -> StartChild:
    """Return a function that starts an actor under `parent`."""

    def start(actor_class: Callable[..., AsyncioActor], *args: Any, **options: Any) -> ActorRef[Any]:
        return actor_system.start(actor_class, args, options=StartOptions(parent=cell_of(parent), **options))

    return start


def cell_of(ref: ActorRef[Any]) -> Cell:
    """Return the engine's side of an actor."""
    return ref._cell  # pyright: ignore[reportPrivateUsage]


def actor_of(cell: Cell) -> AsyncioActor | None:
    """Return the actor object, None between two incarnations."""
    return cast("AsyncioActor | None", cell.actor)


def stash_of(cell: Cell) -> int:
    """Return how many messages the actor has stashed."""
    return len(cell.stash or ())


async def check_whole(system: ActorSystem) -> None:
    """Assert that the workers of a system are all there, and that another actor answers."""
    bystander = system.start(Echo)
    assert await bystander.ask("still here", timeout=None) == "still here"
    await settle()
    assert system.dispatcher.active == 0
    assert not system.dispatcher.ready
    assert all(not task.done() for task in system.dispatcher.tasks)
