"""Ours: an actor that crashes on demand and says when it is back."""

from __future__ import annotations

import asyncio
from time import perf_counter
from typing import Any, ClassVar

from actors import ActorRef, AsyncioActor, Backoff, ChildSpec, RestartIntensity, Supervisor


class Boom(Exception):  # noqa: N818 - what the actor dies of, not an error of the benchmark
    """The crash."""


class Fragile(AsyncioActor):
    """Crashes on every message; each incarnation notes the time at which it starts."""

    crashed_at: ClassVar[float] = 0.0
    back: ClassVar[asyncio.Queue[float]]

    def on_start(self) -> None:
        """Report the seconds since the crash."""
        self.back.put_nowait(perf_counter() - Fragile.crashed_at)

    def on_receive(self, message: Any) -> Any:
        """Crash."""
        Fragile.crashed_at = perf_counter()
        raise Boom


async def crashes(ref: ActorRef[Any], count: int) -> list[float]:
    """Crash the actor ``count`` times; the seconds from each crash to the start of the next incarnation."""
    seconds: list[float] = []
    for _ in range(count):
        ref.tell(None)
        seconds.append(await Fragile.back.get())
    return seconds


async def supervised() -> tuple[ActorRef[Any], ActorRef[Any]]:
    """A supervisor that never gives up and never waits, and its child, which is running."""
    Fragile.back = asyncio.Queue()
    supervisor = Supervisor.start(
        [ChildSpec(Fragile, name="fragile")],
        intensity=RestartIntensity(limit=1_000_000, period=1.0),
        backoff=Backoff.none(),
    )
    (child,) = await supervisor.proxy().children()
    await Fragile.back.get()
    return supervisor, child.ref
