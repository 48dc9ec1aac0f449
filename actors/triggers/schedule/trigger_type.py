"""The types of schedules: cron lines and intervals."""

from collections.abc import Sequence
from functools import partial
from zoneinfo import ZoneInfo

from actors.config.trigger import IntervalTrigger, ScheduleTrigger
from actors.triggers.schedule.source import MissedPolicy, Schedule, ScheduleActor
from actors.triggers.schedule.times import CronTimes, IntervalTimes, local_zone
from actors.triggers.trigger import Trigger
from actors.triggers.trigger_type import BuildContext, SourceSpec, TriggerType
from protocols.triggers import TriggerConfigError


def _cron(group: Sequence[tuple[Trigger, ScheduleTrigger]], context: BuildContext) -> SourceSpec:
    ((trigger, spec),) = group
    zone = ZoneInfo(spec.timezone) if spec.timezone else local_zone()
    try:
        times = CronTimes(spec.schedule, zone)
    except TriggerConfigError as error:
        message = f"trigger {trigger.full_name!r}: {error}"
        raise TriggerConfigError(message, node=trigger.node) from error
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
