"""A dispatcher that takes ready actors in a random order given by a seed, and a search over seeds.

The same seed gives the same schedule, so a failure that needs an unlucky order can be replayed.
"""

import asyncio
import random
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from typing import Final

from actors.runtime.cell import Cell
from actors.runtime.clock import running_loop
from actors.runtime.dispatcher import Dispatcher
from actors.runtime.errors import WrongLoopError
from actors.runtime.options import SystemConfig
from actors.runtime.system import ActorSystem
from actors.testing.clock import ManualClock

Scenario = Callable[[ActorSystem, ManualClock], Awaitable[object]]

_CANCELLATIONS: Final = 10
_PATIENCE: Final = 20.0
"""Real seconds after which a scenario counts as hanging."""
_TRACE: Final = 40
"""Number of last steps that a failure shows."""


class DeterministicDispatcher(Dispatcher):
    """Handles one message of one random ready actor at a time, and lets the loop run at random moments.

    Example:
        ``ActorSystem("test", dispatcher=DeterministicDispatcher.seeded(7), clock=ManualClock())``
    """

    batch = 1

    def __init__(self, loop: asyncio.AbstractEventLoop, name: str, seed: int = 0) -> None:
        super().__init__(loop, name)
        self.seed = seed
        self.random = random.Random(seed)
        """The source of the schedule; a scenario may use it too."""
        self.trace: deque[str] = deque(maxlen=_TRACE)
        """Names of the actors that ran last."""

    @classmethod
    def seeded(cls, seed: int) -> "Callable[[asyncio.AbstractEventLoop, str], DeterministicDispatcher]":
        """Return the argument for `ActorSystem(dispatcher=...)`."""
        return lambda loop, name: cls(loop, name, seed)

    def next(self) -> Cell:
        """Take a random one of the ready actors."""
        ready = self.ready
        ready.rotate(-self.random.randrange(len(ready)))
        cell = ready.popleft()
        self.trace.append(cell.name)
        return cell

    def hands_over(self) -> bool:
        """Return True at random moments, so both ways of a message are tried."""
        return self.random.random() < 0.5  # noqa: PLR2004

    def lets_loop_run(self) -> bool:
        """Return True at random moments. The real dispatcher reads the time here, which no seed could replay."""
        return self.random.random() < 0.5  # noqa: PLR2004


def explore(scenario: Scenario, seeds: Iterable[int] = range(100), *, config: SystemConfig | None = None) -> int:
    """Run a scenario once for each seed, each time in a new loop and system with its own order of events.

    Args:
        scenario: async function of a system and its `ManualClock`; a failed assertion ends the search. It takes its
            random choices from ``system.dispatcher.random``.
        seeds: the schedules to try. After a failure ``explore(scenario, [seed])`` replays it.
        config: limits of the system.

    Returns:
        The number of schedules that were tried.

    Raises:
        BaseException: what the scenario raised, with a note that names the seed and the last steps.
        TimeoutError: the scenario hung.
        WrongLoopError: called where an event loop runs, such as in an async test.
    """
    if running_loop() is not None:
        raise WrongLoopError(
            "explore makes an event loop for each seed: call it in a plain `def test`, not in an async one"
        )
    tried = 0
    for seed in seeds:
        with asyncio.Runner() as runner:
            runner.run(_run_one(scenario, seed, config))
        tried += 1
    return tried


async def _run_one(scenario: Scenario, seed: int, config: SystemConfig | None) -> None:
    clock = ManualClock()
    name = f"seed-{seed}"
    dispatcher = DeterministicDispatcher(asyncio.get_running_loop(), name, seed)
    system = ActorSystem(name, config=config, clock=clock, dispatcher=lambda _loop, _name: dispatcher)
    try:
        async with asyncio.timeout(_PATIENCE):
            await scenario(system, clock)
            await close(system, clock)
    except BaseException as error:
        error.add_note(f"seed {seed}: replay it with explore(scenario, [{seed}])")
        error.add_note(f"last steps: {' '.join(dispatcher.trace)}")
        for _ in range(_CANCELLATIONS):  # a handler may ignore the first cancellation
            for task in asyncio.all_tasks() - {asyncio.current_task()}:
                task.cancel()
            await asyncio.sleep(0)
        raise


async def close(system: ActorSystem, clock: ManualClock) -> list[str]:
    """Close a system that uses a manual clock, and move the clock as far as the stop needs.

    Returns:
        The names of abandoned actors.
    """
    closing = asyncio.ensure_future(system.close())
    await clock.advance()
    while not closing.done() and (due := clock.next_due) is not None:
        await clock.advance(max(0.0, due - clock.now()))
    return await closing
