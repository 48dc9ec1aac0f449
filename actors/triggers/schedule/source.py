"""The schedule trigger: waits on the injectable clock, so that a test passes a day in moments."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from random import Random
from time import time as wall_time
from typing import Any, Final, Literal
from zoneinfo import ZoneInfo

import msgspec

from actors.config.trigger import IntervalTrigger, ScheduleTrigger
from actors.triggers.schedule.progress import ScheduleProgress
from actors.triggers.schedule.times import CronTimes, IntervalTimes, Times, local_zone
from actors.triggers.source import TriggerSource
from actors.triggers.trigger import Trigger
from actors.triggers.trigger_type import BuildContext, SourceSpec, TriggerType
from protocols.ids import RunId
from protocols.triggers import TimeReached, TriggerConfigError

MissedPolicy = Literal["skip", "once", "all"]
"""Runs for times that were due while nothing could run: none, one for all, or one each."""

LATE: Final = 5.0
"""Seconds after which a time counts as missed."""
MOST_MADE_UP: Final = 100
"""Most runs with which `all` makes up for missed times, the newest ones."""
MOST_COUNTED: Final = 1_000
"""Most missed times that are counted."""
LOOKED_BACK: Final = 86_400.0
"""Seconds for which a process of a cluster looks back for times that another one has served, or missed."""
LONGEST_WAIT: Final = 60.0
"""Seconds between two looks at the wall clock: it may have been set, or the machine may have slept."""
SET_BACK: Final = 3_600.0
"""Seconds that the wall clock must have been set back before served times are due again."""


@dataclass
class Schedule:
    """The times of a schedule trigger, and its progress. A schedule outlives restarts of the actor."""

    label: str
    """The cron line or interval, for prompts."""
    prompt: str
    """Prompt of the runs."""
    make_times: Callable[[float], Times]
    """Makes the times, given the start of the schedule."""
    missed: MissedPolicy = "once"
    """Which missed times get a run."""
    jitter: float = 0.0
    """Longest random delay in seconds, at most half the way to the next time."""
    immediately: bool = False
    """True to start a run at once."""
    by_wall_clock: bool = True
    """True for times of the wall clock; otherwise those of the monotonic clock of the system."""
    times: Times | None = None
    """The times since the start."""
    served: float = 0.0
    """The last served time, in seconds of its clock."""
    skipped: int = 0
    """Times without a run, because they were missed or the last run had not ended."""


class _Wake(msgspec.Struct, frozen=True):
    pass


class ScheduleActor(TriggerSource):
    """Offers an event at each time of a schedule."""

    def __init__(
        self,
        trigger: Trigger,
        schedule: Schedule,
        *,
        progress: ScheduleProgress | None = None,
        wall: Callable[[], float] = wall_time,
        random: Random | None = None,
    ) -> None:
        super().__init__((trigger,))
        self._trigger = trigger
        self._schedule = schedule
        self._progress = progress if schedule.by_wall_clock else None
        self._wall = wall
        self._random = random or Random()
        self._target = 0.0

    async def on_start(self) -> None:
        """Wait for the first time."""
        schedule = self._schedule
        if schedule.times is None:
            await self._recall()
            schedule.times = schedule.make_times(schedule.served)
            if schedule.immediately:
                self._target = schedule.served
                self.actor_ref.tell(_Wake())
                self.established()
                return
        self._aim()
        self.established()

    async def _recall(self) -> None:
        """Begin now, or at the progress of the last process."""
        now = self._schedule.served = self._now()
        if self._progress is None:
            if self._schedule.by_wall_clock and self._trigger.keeper is not None:
                self._schedule.served = await self._trigger.keeper.look_back(now, self._past(now))
        else:
            kept = self._progress.of(self._trigger.full_name, self._schedule.label)
            if kept is None:
                await self._keep()
            else:
                self._schedule.served = min(now, kept)

    def _past(self, now: float) -> Iterator[tuple[float, RunId]]:
        """Yield earlier times, the latest first, with the runs that a durable node keeps of them."""
        for time in reversed(self._schedule.make_times(now).latest(now - LOOKED_BACK, now, MOST_MADE_UP)):
            yield time, self._trigger.kept_id(repr(time))

    async def _keep(self) -> None:
        if self._progress is not None:
            keep, schedule = self.system.in_thread(self._progress.keep), self._schedule
            await keep(self._trigger.full_name, schedule.label, schedule.served)

    async def on_receive(self, message: Any) -> Any:
        """Serve the times that are due, and wait for the next one."""
        if not isinstance(message, _Wake):
            return await super().on_receive(message)
        schedule = self._schedule
        now = self._now()
        if now < schedule.served - SET_BACK:
            schedule.served = now
        elif now < self._target:
            self._wait()
            return None
        else:
            await self._serve(now)
        self._aim()
        return None

    async def _serve(self, now: float) -> None:
        schedule = self._schedule
        assert schedule.times is not None
        if schedule.immediately:
            schedule.immediately = False
            await self._offer(now, 0)
        due = schedule.times.latest(schedule.served, now, MOST_COUNTED)
        if not due:
            return
        chosen = self._chosen(due, now)
        for time, missed in chosen:
            await self._offer(time, missed)
            schedule.served = time
        schedule.served = due[-1]
        schedule.skipped += len(due) - sum(1 + missed for _, missed in chosen)
        await self._keep()

    def _chosen(self, due: list[float], now: float) -> list[tuple[float, int]]:
        """Return the times that get a run, each with the number of times it makes up for."""
        numbers = self._trigger.statistics()
        if self._schedule.missed == "all":
            return [(time, 0) for time in due[-MOST_MADE_UP:]]
        if self._schedule.missed == "once":
            return [] if numbers.queued else [(due[-1], len(due) - 1)]
        is_busy = numbers.queued or numbers.running >= self._trigger.settings.concurrency
        is_late = now - max(due[-1], self._target) > LATE
        return [] if is_busy or is_late else [(due[-1], 0)]

    async def _offer(self, due: float, missed: int) -> None:
        wall = self._wall()
        schedule = self._schedule
        event = TimeReached(
            source=self._trigger.name,
            time=wall,
            schedule=schedule.label,
            prompt=schedule.prompt,
            due=due if schedule.by_wall_clock else wall - (self._now() - due),
            missed=missed,
            metadata={"schedule": schedule.label, **({"missed": missed} if missed else {})},
        )
        await self._trigger.offer(event, repr(due) if schedule.by_wall_clock else "")

    def _aim(self) -> None:
        schedule = self._schedule
        assert schedule.times is not None
        due = schedule.times.next_after(schedule.served)
        if due is None:
            self.system.log_limited("schedule has no further times", actor=self._actor_cell.name)
            return
        jitter = 0.0
        if schedule.jitter:
            after = schedule.times.next_after(due)
            longest = schedule.jitter if after is None else min(schedule.jitter, (after - due) / 2)
            jitter = self._random.uniform(0.0, longest)
        self._target = due + jitter
        self._wait()

    def _wait(self) -> None:
        self.schedule(min(max(0.0, self._target - self._now()), LONGEST_WAIT), _Wake())

    def _now(self) -> float:
        return self._wall() if self._schedule.by_wall_clock else self.system.clock.now()


def _cron(group: Sequence[tuple[Trigger, ScheduleTrigger]], context: BuildContext) -> SourceSpec:
    ((trigger, spec),) = group
    zone = ZoneInfo(spec.timezone) if spec.timezone else local_zone()
    try:
        times = CronTimes(spec.schedule, zone)
    except TriggerConfigError as error:
        raise TriggerConfigError(f"trigger {trigger.full_name!r}: {error}", node=trigger.node) from error
    schedule = Schedule(spec.schedule, spec.prompt, lambda _: times, missed=_missed(spec), jitter=spec.jitter)
    return _source(trigger, schedule, context)


def _interval(group: Sequence[tuple[Trigger, IntervalTrigger]], context: BuildContext) -> SourceSpec:
    ((trigger, spec),) = group
    schedule = Schedule(
        f"every {spec.every:g} s", spec.prompt, lambda start: IntervalTimes(spec.every, start=start),
        missed=_missed(spec), jitter=spec.jitter, immediately=spec.immediately, by_wall_clock=False,
    )  # fmt: skip
    return _source(trigger, schedule, context)


def _source(trigger: Trigger, schedule: Schedule, context: BuildContext) -> SourceSpec:
    make = partial(ScheduleActor, progress=context.progress, wall=context.wall)
    return SourceSpec(make, (trigger, schedule))


def _missed(spec: ScheduleTrigger | IntervalTrigger) -> MissedPolicy:
    return "skip" if spec.skip_missed else spec.make_up


SCHEDULE = TriggerType(ScheduleTrigger, _cron)
INTERVAL = TriggerType(IntervalTrigger, _interval)
