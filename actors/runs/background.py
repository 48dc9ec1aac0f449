"""Background runs of a node: start, watch through `RunStats`, wait, stop."""

import weakref
from collections.abc import Sequence
from contextlib import suppress
from contextvars import copy_context
from typing import Any, Unpack, cast

from msgspec import UNSET, UnsetType

from actors.runs.background_actor import BackgroundActor, Plan, Step
from actors.runs.handle import Deps, Out
from actors.runs.node_stats import NodeStats
from actors.runs.request import NO_OPTIONS, RunKeywords, RunOptions, RunRequest
from actors.runs.run_stats import RunStats
from actors.runtime.clock import running_loop
from actors.runtime.envelope import current
from actors.runtime.errors import ActorStoppingError, RuntimeClosedError
from actors.runtime.intake import carried
from actors.runtime.options import StartOptions
from actors.runtime.ref import ActorRef
from protocols.checks import Check, check_values, finite, whole
from protocols.errors import AlreadyRunningError, EmptyPromptError, NotRunningError
from protocols.keywords import spelled_out
from protocols.messages import ChatMessage

_CHECKS = {
    "max_count": Check("at least 1, or None for no limit", whole(1).accepts),
    "interval": Check("seconds >= 0", finite(0).accepts),
}


class _Session:
    """One background run. Holds its actor weakly, because the actor holds the node, and the node this object."""

    def __init__(self, plan: Plan, stats: RunStats, ref: ActorRef[Any]) -> None:
        self.is_unlimited = plan.max_count is None
        self.stats = stats
        self._ref = weakref.ref(ref)
        self._loop = running_loop()

    async def end(self, step: Step, node: object) -> None:
        ref = self._ref()
        if ref is not None and ref.is_alive():
            with suppress(ActorStoppingError, RuntimeClosedError):  # the actor has just stopped in another thread
                ref.tell(step)
        scope = current.get()
        if scope is not None and type(scope.message) is RunRequest and scope.message.node is node:
            return  # the current round would wait for itself
        with suppress(Exception):  # `wait` and the stats raise it
            await self.stats
        if ref is not None and running_loop() is self._loop:
            await ref.stop()


class BackgroundRuns(NodeStats[Deps, Out]):
    """A node that can repeat runs in the background."""

    _session: _Session | None = None

    @spelled_out(RunKeywords, NO_OPTIONS)
    async def run_in_background(
        self,
        *prompts: object,
        max_count: int | UnsetType | None = UNSET,
        interval: float = 1.0,
        block: bool = False,
        **options: Unpack[RunKeywords[Deps]],
    ) -> RunStats:
        """Repeat runs of the node in the background, and return the live stats at once.

        An agent continues after a failed run, and a second start replaces the first. A failure of a team or a chain
        ends its background run, and a second start is refused meanwhile. Leaving ``async with`` or closing the pool
        ends the background run as well.

        Args:
            prompts: as for `run`. A function among them, plain or async, is called for every run.
            max_count: number of runs; None for no limit. By default an agent has no limit, and a team or chain runs
                once.
            interval: seconds between the end of a run and the start of the next.
            block: True to return only after the last run.
            **options: what differs for these runs, see `RunOptions`.

        Raises:
            ValueError: `max_count` is not a whole number above 0, or `interval` is negative or not a number.
            AlreadyRunningError: a team or chain is already running in the background.
            NodeStoppedError: the node is closed.
        """
        plan = self._plan(prompts, RunOptions.of(self.name, options) if options else NO_OPTIONS, max_count, interval)
        while self.is_running:
            if not self.runs_until_stopped:
                message = f"node {self.name!r} is running in the background already; stop it first"
                raise AlreadyRunningError(message, node=self.name)
            await self.cancel()
        system = self.ref().system  # its clock and its end are the node's
        stats = RunStats(name=self.name)
        start = StartOptions(f"{self.name}-background", is_registered=False)
        ref = system.start(BackgroundActor, ([(plan, stats)],), options=start)
        self._session = _Session(plan, stats, ref)
        self._keep_stats(stats)
        if block:
            with suppress(Exception):  # the stats list it; `wait` and awaiting the stats raise it
                await stats
        return stats

    def _plan(
        self, prompts: Sequence[object], options: RunOptions, max_count: int | UnsetType | None, interval: float
    ) -> Plan:
        if max_count is UNSET:
            max_count = None if self.runs_until_stopped else 1
        check_values(
            _CHECKS,
            {"max_count": max_count, "interval": interval},
            lambda _, problem: ValueError(f"node {self.name!r}: {problem}"),
            never_none=("interval",),
        )
        if not prompts:
            raise EmptyPromptError(f"node {self.name!r}: the prompt is empty; pass some text", node=self.name)
        return Plan(self, prompts, options, max_count, interval, carried(copy_context(), is_whole=True))

    @property
    def is_running(self) -> bool:
        """True while a background run is open."""
        return self._session is not None and not self._session.stats.done

    def is_busy(self) -> bool:
        """Return True if the node is running in the background, or has messages to work on."""
        ref = self.home.find()
        actor: Any = None if ref is None else ref._cell.actor  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] - the runs are the actor's
        has_runs = actor is not None and actor.runs.open
        return bool(self.is_running or has_runs or (ref is not None and ref.statistics().depth))

    async def wait(self) -> ChatMessage[Out] | None:
        """Wait until the background run ends.

        Returns:
            The last answer. None if the background run was stopped before its first answer.

        Raises:
            NotRunningError: no background run was started, or it has no limit.
            Exception: the error of the last run of a team, or of an agent without any successful run.
        """
        session = self._session
        if session is None:
            message = f"node {self.name!r}: there is no background run to wait for; start one with run_in_background"
            raise NotRunningError(message, node=self.name)
        if session.is_unlimited and not session.stats.done:
            message = (
                f"node {self.name!r}: its background run has no limit and would never end; stop it, or pass max_count"
            )
            raise NotRunningError(message, node=self.name)
        return cast("ChatMessage[Out] | None", await session.stats)

    async def stop(self) -> None:
        """End the background run. The current run has 5 seconds to end. Harmless without a background run."""
        if self._session is not None:
            await self._session.end(Step.STOP, self)

    async def cancel(self) -> None:
        """End the background run at once, and cancel the current run. Harmless without a background run."""
        if self._session is not None:
            await self._session.end(Step.ABORT, self)

    async def close(self) -> None:
        """End the background run, then close the node."""
        if self._entered <= 1:
            await self.stop()
        await super().close()
