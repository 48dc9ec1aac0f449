"""Background runs of a node: started, watched through `RunStats`, waited for, stopped."""

import weakref
from collections.abc import Sequence
from contextlib import suppress
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
from actors.runtime.options import StartOptions
from actors.runtime.ref import ActorRef
from protocols.checks import Check, check_values, finite, whole
from protocols.errors import AlreadyRunningError, EmptyPromptError, NotRunningError
from protocols.messages import ChatMessage

_CHECKS = {
    "max_count": Check("at least 1, or None for no limit", whole(1).accepts),
    "interval": Check("seconds >= 0", finite(0).accepts),
}


class _Session:
    """One background run. It holds its actor weakly: the actor holds the node, and the node holds this."""

    def __init__(self, plan: Plan, stats: RunStats, ref: ActorRef[Any]) -> None:
        self.is_unlimited = plan.max_count is None
        self.stats = stats
        self._ref = weakref.ref(ref)
        self._loop = running_loop()

    async def end(self, step: Step, node: object) -> None:
        ref = self._ref()
        if ref is not None and ref.is_alive():
            with suppress(ActorStoppingError, RuntimeClosedError):  # it ended in another thread just now
                ref.tell(step)
        if _is_inside(node):
            return  # the round in hand would wait for itself
        with suppress(Exception):  # told by `wait` and by the stats
            await self.stats
        if ref is not None and running_loop() is self._loop:
            await ref.stop()


class BackgroundRuns(NodeStats[Deps, Out]):
    """Running a node again and again while the caller goes on."""

    _session: _Session | None = None

    async def run_in_background(
        self,
        *prompts: object,
        max_count: int | UnsetType | None = UNSET,
        interval: float = 1.0,
        block: bool = False,
        **options: Unpack[RunKeywords],
    ) -> RunStats:
        """Run the node again and again, and return the live statistics at once.

        An agent goes on when a run fails, and a second start takes the place of the first. A failure of a team or a
        chain ends its background run, and a second start is refused while one goes on. Leaving ``async with`` or
        closing the pool ends it as well.

        Args:
            prompts: as for `run`; a function among them is called for every run, and may be async.
            max_count: how many runs; None for no limit, which is what an agent does unless told otherwise. A team or
                chain runs once.
            interval: seconds between the end of a run and the next.
            block: return only after the last run.
            **options: what differs for these runs, see `RunOptions`.

        Raises:
            ValueError: `max_count` is no whole number or below 1, or `interval` is no number or negative.
            AlreadyRunningError: a team or chain is running in the background.
            NodeStoppedError: the node has been closed.
        """
        plan = self._plan(prompts, RunOptions.of(self.name, options) if options else NO_OPTIONS, max_count, interval)
        while self.is_running:
            if not self.runs_until_stopped:
                msg = f"node {self.name!r} is running in the background already; stop it first"
                raise AlreadyRunningError(msg, node=self.name)
            await self.cancel()
        stats = self._start(plan).stats
        if block:
            with suppress(Exception):  # in the errors of the stats, and raised by `wait` and by awaiting the stats
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
            msg = f"node {self.name!r}: the prompt is empty; pass some text"
            raise EmptyPromptError(msg, node=self.name)
        return Plan(self, prompts, options, max_count, interval)

    def _start(self, plan: Plan) -> _Session:
        system = self.ref().system  # its clock and its end are the node's
        stats = RunStats(name=self.name)
        start = StartOptions(f"{self.name}-background", is_registered=False)
        session = self._session = _Session(
            plan, stats, system.start(BackgroundActor, ([(plan, stats)],), options=start)
        )
        self.keep_stats(stats)
        return session

    @property
    def is_running(self) -> bool:
        """Whether it is running in the background."""
        return self._session is not None and not self._session.stats.done

    def is_busy(self) -> bool:
        """Return whether it is running in the background, or has messages to work on."""
        ref = self.home.find()
        return self.is_running or (ref is not None and _has_work(ref))

    async def wait(self) -> ChatMessage[Out] | None:
        """Wait for the end of the background run and return its last answer.

        Returns:
            None if it was stopped before the first answer.

        Raises:
            NotRunningError: none was started, or it would never end.
            Exception: what the last run of a team failed with, or that of an agent none of whose runs succeeded.
        """
        session = self._session
        if session is None:
            msg = f"node {self.name!r}: there is no background run to wait for; start one with run_in_background"
            raise NotRunningError(msg, node=self.name)
        if session.is_unlimited and not session.stats.done:
            msg = f"node {self.name!r}: its background run has no limit and would never end; stop it, or pass max_count"
            raise NotRunningError(msg, node=self.name)
        return cast("ChatMessage[Out] | None", await session.stats)

    async def stop(self) -> None:
        """End the background run: the run in hand has 5 seconds to end, no other begins. Harmless without one."""
        if self._session is not None:
            await self._session.end(Step.STOP, self)

    async def cancel(self) -> None:
        """End the background run at once, cancelling the run in hand. Harmless without one."""
        if self._session is not None:
            await self._session.end(Step.ABORT, self)

    async def close(self) -> None:
        """End the background run, then do what every node does."""
        if self._entered <= 1:
            await self.stop()
        await super().close()


def _is_inside(node: object) -> bool:
    scope = current.get()
    return scope is not None and type(scope.message) is RunRequest and scope.message.node is node


def _has_work(ref: ActorRef[Any]) -> bool:
    actor: Any = ref._cell.actor  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] - the ledger is the actor's
    return bool(ref.statistics().depth or (actor is not None and actor.ledger.open))
