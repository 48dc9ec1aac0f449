"""The actors that some triggers need, for the owner of their supervisor."""

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import time as wall_time
from typing import Any, Final

from actors.config.trigger import TriggerSpec, installed_type
from actors.triggers.connection_source import CONNECTION
from actors.triggers.files.source import FILE
from actors.triggers.mail.source import EMAIL
from actors.triggers.schedule.progress import ScheduleProgress
from actors.triggers.schedule.source import INTERVAL, SCHEDULE
from actors.triggers.source import TriggerSource
from actors.triggers.trigger import Trigger, queue_class
from actors.triggers.trigger_type import BuildContext, TriggerChild, TriggerRequest, TriggerType
from actors.triggers.webhook.replay_journal import ReplayJournal
from actors.triggers.webhook.trigger_type import WEBHOOK
from protocols.triggers import TriggerConfigError

BUILT_IN: Final[tuple[TriggerType[Any], ...]] = (FILE, WEBHOOK, SCHEDULE, INTERVAL, EMAIL, CONNECTION)
"""The types of triggers that need no package of their own."""
_MAIL: Final = TriggerSource.mailbox
"""Named for each source: a class that is given as a partial function has no attributes."""


@dataclass(frozen=True)
class TriggerPlan:
    """The actors that some triggers need."""

    triggers: tuple[Trigger, ...] = ()
    """Handles of all triggers that are switched on."""
    children: tuple[TriggerChild, ...] = ()
    """In the order in which they must start: the queues, then the sources."""

    @property
    def sites(self) -> tuple[Any, ...]:
        """Where sources listen, such as the servers of webhooks; each has a `url`."""
        return tuple(child.site for child in self.children if child.site is not None)


def plan_triggers(  # noqa: PLR0913 - all but the first have defaults
    requests: Iterable[TriggerRequest],
    *,
    types: Iterable[TriggerType[Any]] = (),
    root: Path | None = None,
    previous: TriggerPlan | None = None,
    journal: ReplayJournal | None = None,
    progress: ScheduleProgress | None = None,
    wall: Callable[[], float] = wall_time,
) -> TriggerPlan:
    """Return the actors for these triggers; start nothing.

    Each trigger has a queue. Webhooks of one address share a server, file triggers of one root share a watcher.

    Args:
        requests: the triggers; those that are switched off are left out.
        types: further types of triggers.
        root: folder of the manifest, for relative paths; the current one by default.
        previous: the plan before a reload. What has not changed is taken over: queues with what waits in them, what
            webhooks remember, and how far schedules and e-mail folders have come.
        journal: keeps what webhooks have accepted beyond the end of the process; it must be open.
        progress: keeps how far cron lines have come beyond the end of the process; it must be open.
        wall: the wall clock, in seconds since 1970 UTC.

    Raises:
        TriggerExtraError: A library is missing.
        TriggerConfigError: A trigger can never work.
    """
    before = previous or TriggerPlan()
    wanted = [request for request in requests if request.settings.enabled]
    known = tuple(types)
    typed = [(_handle(request, before), request, type_of(request.settings, known)) for request in wanted]
    for _, request, trigger_type in typed:
        trigger_type.require_libraries(request.settings.type)
    names = [trigger.full_name for trigger, _, _ in typed]
    if len(set(names)) != len(names):
        twice = sorted({name for name in names if names.count(name) > 1})
        raise TriggerConfigError(f"triggers of one node need different names; twice there are {', '.join(twice)}")
    by_name = dict(zip(names, wanted, strict=True))
    context = BuildContext(root or Path.cwd(), wall, journal, progress, by_name, before.children)
    handles = tuple(trigger for trigger, _, _ in typed)
    sources = _sources([(trigger, trigger_type) for trigger, _, trigger_type in typed], context)
    old = {child.name: child for child in before.children}
    children = [*map(queue_child, handles), *sources]
    return TriggerPlan(handles, tuple(kept if (kept := old.get(new.name)) == new else new for new in children))


def queue_name(trigger: Trigger) -> str:
    """Return the name of the actor that is the queue of a trigger."""
    return f"{trigger.full_name} queue"


def queue_child(trigger: Trigger) -> TriggerChild:
    """Return the actor that is the queue of a trigger."""
    settings = trigger.settings
    return TriggerChild(
        queue_name(trigger), (settings,), (trigger,), queue_class(settings.concurrency), (trigger,),
        trigger.mailbox_config(), settings.backoff,
    )  # fmt: skip


def _handle(request: TriggerRequest, before: TriggerPlan) -> Trigger:
    for trigger in before.triggers:
        if trigger.node == request.node and trigger.settings == request.settings:
            trigger.starter, trigger.keeper = request.starter, request.keeper
            return trigger
    return Trigger(request.settings, request.starter, node=request.node, keeper=request.keeper)


def _sources(typed: Sequence[tuple[Trigger, TriggerType[Any]]], context: BuildContext) -> list[TriggerChild]:
    groups: dict[Hashable, tuple[TriggerType[Any], list[Trigger]]] = {}
    for trigger, trigger_type in typed:
        shared_by = trigger_type.shared_by
        key = trigger.full_name if shared_by is None else (trigger_type, shared_by(trigger.settings, context))
        groups.setdefault(key, (trigger_type, []))[1].append(trigger)
    return [_source(trigger_type, triggers, context) for trigger_type, triggers in groups.values()]


def _source(trigger_type: TriggerType[Any], triggers: Sequence[Trigger], context: BuildContext) -> TriggerChild:
    spec = trigger_type.build([(trigger, trigger.settings) for trigger in triggers], context)
    settings = tuple(trigger.settings for trigger in triggers)
    name = spec.name or triggers[0].full_name
    backoff = min(each.backoff for each in settings)
    return TriggerChild(name, settings, tuple(triggers), spec.actor_class, spec.args, _MAIL, backoff, spec.site)


def type_of(spec: TriggerSpec, further: Iterable[TriggerType[Any]] = ()) -> TriggerType[Any]:
    """Return the type of a trigger.

    Args:
        spec: the trigger.
        further: types that are neither built-in nor installed.

    Raises:
        TriggerConfigError: No type has this class as its `spec`.
    """
    installed: TriggerType[Any] | None = installed_type(spec.type)
    for known in (*BUILT_IN, *further, installed):
        if known is not None and known.spec is type(spec):
            return known
    message = f"trigger {spec.name!r}: no type of trigger has {type(spec).__name__} as its spec; pass types=[...]"
    raise TriggerConfigError(message)
