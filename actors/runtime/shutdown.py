"""Coordinated shutdown: named phases in order, the tasks of one phase together, each phase within its time."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any, Final

import msgspec

from actors.runtime.errors import ActorCrashedError
from actors.runtime.log import LimitedLogger, error_line
from protocols.checks import SECONDS, check_values
from protocols.clock import Clock

Work = Callable[[], "Awaitable[Any] | None"]

STOP_ACTORS: Final = "stop-actors"
"""The phase in which a system stops its actors. Put your own before it (close the intake) or after it (flush)."""


class ShutdownReport(msgspec.Struct, frozen=True):
    """What a shutdown could not do."""

    failed: dict[str, BaseException] = {}
    """Errors by ``phase/task``."""
    overdue: tuple[str, ...] = ()
    """Tasks, as ``phase/task``, that did not end in time and were cancelled."""
    aborted: str | None = None
    """The phase after which nothing more was done, because it failed and was marked so."""


class _Phase(msgspec.Struct):
    name: str
    timeout: float | None
    aborts: bool
    after: set[str]
    tasks: dict[str, Work]


class Shutdown:
    """The phases of one system. They run once; a second call waits for the same end."""

    def __init__(self, clock: Clock, reporter: LimitedLogger) -> None:
        self._clock = clock
        self._reporter = reporter
        self._phases: dict[str, _Phase] = {}
        self._run: asyncio.Task[ShutdownReport] | None = None
        self._running: set[asyncio.Future[Any]] = set()
        self._is_hurried = False

    def add_phase(
        self,
        name: str,
        *,
        after: tuple[str, ...] = (),
        before: tuple[str, ...] = (),
        timeout: float | None = 5.0,
        aborts: bool = False,
    ) -> None:
        """Add a phase.

        Args:
            name: unique.
            after: phases that must be over before it begins.
            before: phases that must not begin before it is over.
            timeout: seconds for all its tasks together; then they are cancelled. None: they end by themselves.
            aborts: whether a failure in it ends the shutdown; else later phases run all the same.

        Raises:
            ValueError: the name is taken, a phase is unknown, the time is not positive, or the order would be a cycle.
        """
        who = f"shutdown phase {name!r}"
        if name in self._phases:
            raise ValueError(f"{who} exists")
        unknown = [other for other in (*after, *before) if other not in self._phases]
        if unknown:
            known = ", ".join(self._phases) or "none"
            raise ValueError(f"{who}: unknown phase {unknown[0]!r}; known are {known}")
        check_values({"timeout": SECONDS}, {"timeout": timeout}, lambda _, text: ValueError(f"{who}: {text}"))
        earlier = {key: phase.after | {name} if key in before else phase.after for key, phase in self._phases.items()}
        _order({**earlier, name: set(after)})
        self._phases[name] = _Phase(name, timeout, aborts, set(after), {})
        for other in before:
            self._phases[other].after.add(name)

    def add_task(self, phase: str, name: str, work: Work) -> None:
        """Add a function, which may be async, to a phase. Raises ValueError for an unknown phase or a taken name."""
        if phase not in self._phases:
            raise ValueError(f"shutdown task {name!r}: unknown phase {phase!r}; known are {', '.join(self._phases)}")
        if name in self._phases[phase].tasks:
            raise ValueError(f"shutdown phase {phase!r} has a task {name!r}")
        self._phases[phase].tasks[name] = work

    async def run(self) -> ShutdownReport:
        """Run all phases in order. Errors and overdue tasks are reported, never raised."""
        if self._run is None:
            self._run = asyncio.get_running_loop().create_task(self._run_phases(), name="shutdown")
        return await asyncio.shield(self._run)

    def hurry(self) -> None:
        """Cancel what runs now and give no phase any more time (for a second signal)."""
        self._is_hurried = True
        for task in tuple(self._running):
            task.cancel()

    async def _run_phases(self) -> ShutdownReport:
        failed: dict[str, BaseException] = {}
        overdue: list[str] = []
        for name in _order({key: phase.after for key, phase in self._phases.items()}):
            phase = self._phases[name]
            errors = await self._run_phase(phase, overdue)
            failed.update(errors)
            if phase.aborts and (errors or any(item.startswith(f"{name}/") for item in overdue)):
                return ShutdownReport(failed, tuple(overdue), name)
        return ShutdownReport(failed, tuple(overdue))

    async def _run_phase(self, phase: _Phase, overdue: list[str]) -> dict[str, BaseException]:
        if not phase.tasks:
            return {}
        tasks = {asyncio.ensure_future(_call(work)): f"{phase.name}/{name}" for name, work in phase.tasks.items()}
        self._running = set(tasks) if phase.timeout is not None else set()
        limit = 0.0 if self._is_hurried and phase.timeout is not None else phase.timeout
        timer = None if limit is None else self._clock.call_later(limit, lambda: [task.cancel() for task in tasks])
        try:
            await asyncio.wait(tasks)
        finally:
            if timer is not None:
                timer.cancel()
            self._running = set()
        errors: dict[str, BaseException] = {}
        for task, name in tasks.items():
            if task.cancelled():
                overdue.append(name)
                self._reporter.line(logging.WARNING, "a shutdown task did not end in time", task=name)
            elif (error := task.exception()) is not None:
                errors[name] = error
                self._reporter.line(logging.ERROR, "a shutdown task failed", task=name, error=error_line(error))
        return errors


async def _call(work: Work) -> None:
    try:
        result = work()
        if result is not None:
            await result
    except (SystemExit, KeyboardInterrupt) as error:  # the end has begun; the event loop must live to reach it
        raise ActorCrashedError(f"the task ended with {error_line(error)}") from error


def _order(phases: dict[str, set[str]]) -> list[str]:
    """Sort phases so that each comes after those it waits for, else in order of registration (Kahn 1962)."""
    ordered: list[str] = []
    left = dict(phases)
    while left:
        free = next((name for name, after in left.items() if not (after & left.keys())), None)
        if free is None:
            raise ValueError(f"shutdown phases would wait for each other: {', '.join(left)}")
        ordered.append(free)
        del left[free]
    return ordered
