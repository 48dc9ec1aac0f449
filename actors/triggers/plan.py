"""From the triggers of some nodes to the actors that are needed for them, for whoever owns the supervisor."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from time import time as wall_time
from typing import TYPE_CHECKING, Any, Final
from zoneinfo import ZoneInfo

from actors.config.trigger import (
    ConnectionTrigger,
    EmailTrigger,
    FileTrigger,
    IntervalTrigger,
    ScheduleTrigger,
    WebhookTrigger,
)
from actors.config.trigger import Trigger as TriggerConfig
from actors.triggers.connection_source import ConnectionActor, TalkFilter
from actors.triggers.extra import require_extra
from actors.triggers.mail.source import EmailActor, MailWatch
from actors.triggers.schedule.source import MissedPolicy, Schedule, ScheduleActor
from actors.triggers.schedule.times import CronTimes, IntervalTimes, local_zone
from actors.triggers.source import TriggerSource
from actors.triggers.trigger import Trigger, queue_class
from actors.triggers.webhook.decision import Webhook, WebhookDesk
from protocols.triggers import RunStarter, TriggerConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from actors.runtime.mailbox import MailboxConfig
    from actors.triggers.schedule.progress import ServedTimes
    from actors.triggers.schedule.times import Times
    from actors.triggers.webhook.replay_journal import ReplayJournal
    from actors.triggers.webhook.server import WebhookSite
    from protocols.triggers import ConnectionFlow

_MAIL: Final = TriggerSource.mailbox
"""Named for each source: a class that is given as a partial function has no attributes."""


@dataclass(frozen=True)
class TriggerRequest:
    """One trigger that a node has."""

    node: str
    """Name of the node."""
    settings: TriggerConfig
    """The trigger of the manifest."""
    starter: RunStarter
    """Starts runs of the node."""
    flow: ConnectionFlow | None = None
    """For a connection trigger: what tells of connections."""
    condition: Callable[[Any], object] | None = None
    """For a connection trigger with a condition: the condition. It is asked with what `ConnectionFact.freeze` returned,
    and answers with any truth value or an awaitable of one."""


@dataclass(frozen=True)
class TriggerChild:
    """One actor to be supervised. Equal when nothing about it has changed, so that it can be left alone."""

    name: str
    """Unique among the children of a plan."""
    settings: tuple[TriggerConfig, ...]
    """The triggers that it serves."""
    triggers: tuple[Trigger, ...]
    """Their handles."""
    actor_class: Callable[..., Any] = field(compare=False, repr=False)
    args: tuple[Any, ...] = field(compare=False, repr=False)
    mailbox: MailboxConfig | None = field(default=None, compare=False, repr=False)
    backoff: float = 0.2
    """Seconds before the first restart."""

    def spec(self, **fields: Any) -> dict[str, Any]:
        """Return the fields of a `ChildSpec`: permanent, because a trigger that ends by itself has failed.

        Args:
            fields: Further fields, such as ``backoff=Backoff(min=child.backoff)`` and ``shutdown``.
        """
        return {
            "actor_class": self.actor_class, "args": self.args, "name": self.name, "mailbox": self.mailbox,
            "restart": "permanent", **fields,
        }  # fmt: skip


@dataclass(frozen=True)
class TriggerPlan:
    """The actors that some triggers need."""

    triggers: tuple[Trigger, ...] = ()
    """Handles of all triggers that are switched on."""
    children: tuple[TriggerChild, ...] = ()
    """In the order in which they must start: the queues, then the sources."""
    sites: tuple[WebhookSite, ...] = ()
    """The ports on which webhooks are served."""
    webhooks: tuple[Webhook, ...] = ()
    """All webhooks."""


def plan_triggers(
    requests: Iterable[TriggerRequest],
    *,
    root: Path | None = None,
    previous: TriggerPlan | None = None,
    journal: ReplayJournal | None = None,
    book: ServedTimes | None = None,
    wall: Callable[[], float] = wall_time,
) -> TriggerPlan:
    """Return the actors for these triggers; nothing is started.

    Webhooks of one address share a server, file triggers of one root share a watcher, and each trigger has a queue.

    Args:
        requests: The triggers; those that are switched off are left out.
        root: Folder that the roots of file triggers are relative to, that of the manifest; by default the current one.
        previous: The plan before a reload. What has not changed is taken over: queues with what waits in them, what
            webhooks remember, and how far schedules and e-mail folders have come.
        journal: Keeps what webhooks have accepted beyond the end of the process; it must be open.
        book: Keeps how far cron lines have come beyond the end of the process; it must be open.
        wall: The wall clock, in seconds since 1970 UTC.

    Raises:
        TriggerExtraError: A library is missing.
        TriggerConfigError: A trigger can never work.
    """
    planner = _Planner(root or Path.cwd(), previous or TriggerPlan(), (journal, book), wall)
    return planner.plan([request for request in requests if request.settings.enabled])


def queue_name(trigger: Trigger) -> str:
    """Return the name of the actor that is the queue of a trigger."""
    return f"{trigger.full_name} queue"


def queue_child(trigger: Trigger) -> TriggerChild:
    """Return the actor that is the queue of a trigger."""
    settings: Any = trigger.settings
    return TriggerChild(
        queue_name(trigger), (settings,), (trigger,), queue_class(settings.concurrency), (trigger,),
        trigger.mailbox_config(), settings.backoff,
    )  # fmt: skip


class _Planner:
    def __init__(
        self,
        root: Path,
        previous: TriggerPlan,
        kept: tuple[ReplayJournal | None, ServedTimes | None],
        wall: Callable[[], float],
    ) -> None:
        self._root = root
        self._previous = previous
        self._journal, self._book = kept
        self._wall = wall
        self._old = {child.name: child for child in previous.children}
        self._sites: list[WebhookSite] = []
        self._webhooks: list[Webhook] = []

    def plan(self, requests: Sequence[TriggerRequest]) -> TriggerPlan:
        for request in requests:
            require_extra(request.settings.type)
        triggers = [(self._trigger(request), request) for request in requests]
        names = [trigger.full_name for trigger, _ in triggers]
        if len(set(names)) != len(names):
            twice = sorted({name for name in names if names.count(name) > 1})
            msg = f"triggers of one node need different names; twice there are {', '.join(twice)}"
            raise TriggerConfigError(msg)
        queues = [queue_child(trigger) for trigger, _ in triggers]
        sources = [*self._single_sources(triggers), *self._servers(triggers), *self._watchers(triggers)]
        children = tuple(map(self._kept, [*queues, *sources]))
        return TriggerPlan(
            tuple(trigger for trigger, _ in triggers), children, tuple(self._sites), tuple(self._webhooks)
        )

    def _kept(self, child: TriggerChild) -> TriggerChild:
        old = self._old.get(child.name)
        return old if old is not None and old == child else child

    def _trigger(self, request: TriggerRequest) -> Trigger:
        for trigger in self._previous.triggers:
            if trigger.node == request.node and trigger.settings == request.settings:
                trigger.starter = request.starter
                return trigger
        return Trigger(request.settings, request.starter, node=request.node)

    # -- one source for each trigger ------------------------------------------------------------------------------

    def _single_sources(self, triggers: Sequence[tuple[Trigger, TriggerRequest]]) -> list[TriggerChild]:
        found: list[TriggerChild] = []
        for trigger, request in triggers:
            settings = request.settings
            make: Callable[..., Any] | None = None
            match settings:
                case ScheduleTrigger() | IntervalTrigger():
                    make = partial(ScheduleActor, book=self._book, wall=self._wall)
                    args: tuple[Any, ...] = (trigger, _schedule(trigger, settings))
                case EmailTrigger():
                    make = partial(EmailActor, wall=self._wall)
                    args = (_mail_watch(trigger, settings),)
                case ConnectionTrigger():
                    make = partial(ConnectionActor, wall=self._wall)
                    args = _connection(trigger, request, settings)
                case FileTrigger() | WebhookTrigger():
                    continue
            found.append(TriggerChild(trigger.full_name, (settings,), (trigger,), make, args, _MAIL, settings.backoff))
        return found

    # -- one source for many triggers -----------------------------------------------------------------------------

    def _servers(self, triggers: Sequence[tuple[Trigger, TriggerRequest]]) -> list[TriggerChild]:
        groups: dict[tuple[str, int], list[tuple[Webhook, WebhookTrigger]]] = {}
        for trigger, request in triggers:
            settings = request.settings
            if isinstance(settings, WebhookTrigger):
                webhook = self._webhook(trigger, settings)
                groups.setdefault((settings.host, settings.port), []).append((webhook, settings))
        return [self._server(host, port, group) for (host, port), group in groups.items()]

    def _webhook(self, trigger: Trigger, settings: WebhookTrigger) -> Webhook:
        for webhook in self._previous.webhooks:
            if webhook.trigger is trigger:
                return webhook
        secrets = [secret.get_secret_value() for secret in settings.secret]
        made = Webhook(trigger, settings, secrets, insecure=settings.insecure, journal=self._journal, wall=self._wall)
        for webhook in self._previous.webhooks:
            if webhook.trigger.full_name == trigger.full_name:  # with other settings; what it accepted stays accepted
                made.guard, made.since = webhook.guard, webhook.since
        return made

    def _server(self, host: str, port: int, group: Sequence[tuple[Webhook, WebhookTrigger]]) -> TriggerChild:
        from actors.triggers.webhook.server import WebhookServer, WebhookSite

        webhooks = tuple(webhook for webhook, _ in group)
        triggers = tuple(webhook.trigger for webhook in webhooks)
        settings = tuple(settings for _, settings in group)
        name = f"webhooks of {host}:{port}"
        old = self._old.get(name)
        if old is not None and old.triggers == triggers:
            site: WebhookSite = old.args[0]
        else:
            site = WebhookSite(host, port, WebhookDesk(webhooks, wall=self._wall))
        self._sites.append(site)
        self._webhooks += webhooks
        backoff = min(each.backoff for each in settings)
        return TriggerChild(name, settings, triggers, WebhookServer, (site, webhooks), _MAIL, backoff)

    def _watchers(self, triggers: Sequence[tuple[Trigger, TriggerRequest]]) -> list[TriggerChild]:
        groups: dict[Path, list[tuple[Trigger, FileTrigger]]] = {}
        for trigger, request in triggers:
            if isinstance(request.settings, FileTrigger):
                root = self._root / (request.settings.root or ".")
                groups.setdefault(root, []).append((trigger, request.settings))
        return [self._watcher(root, group) for root, group in groups.items()]

    def _watcher(self, root: Path, group: Sequence[tuple[Trigger, FileTrigger]]) -> TriggerChild:
        from actors.triggers.files.source import FileWatch, FileWatchActor

        watches = tuple(FileWatch(trigger, settings) for trigger, settings in group)
        settings = tuple(settings for _, settings in group)
        backoff = min(each.backoff for each in settings)
        make = partial(FileWatchActor, wall=self._wall)
        return TriggerChild(
            f"files of {root}", settings, tuple(trigger for trigger, _ in group), make, (root, watches), _MAIL, backoff
        )


def _schedule(trigger: Trigger, settings: ScheduleTrigger | IntervalTrigger) -> Schedule:
    missed: MissedPolicy = "skip" if settings.skip_missed else settings.make_up
    if isinstance(settings, IntervalTrigger):
        every = settings.every

        def interval(start: float) -> Times:
            return IntervalTimes(every, start=start)

        return Schedule(
            f"every {every:g} s", settings.prompt, interval, missed=missed, jitter=settings.jitter,
            immediately=settings.immediately, by_wall_clock=False,
        )  # fmt: skip
    zone = ZoneInfo(settings.timezone) if settings.timezone else local_zone()
    try:
        times = CronTimes(settings.schedule, zone)
    except TriggerConfigError as error:
        msg = f"trigger {trigger.full_name!r}: {error}"
        raise TriggerConfigError(msg, node=trigger.node) from error
    return Schedule(settings.schedule, settings.prompt, lambda _: times, missed=missed, jitter=settings.jitter)


def _mail_watch(trigger: Trigger, settings: EmailTrigger) -> MailWatch:
    from actors.triggers.mail.folder import MailFolder

    folder = MailFolder(settings, settings.password.get_secret_value(), who=f"trigger {trigger.full_name!r}")
    return MailWatch(trigger, folder, interval=settings.check_interval, mark_seen=settings.mark_seen)


def _connection(trigger: Trigger, request: TriggerRequest, settings: ConnectionTrigger) -> tuple[Any, ...]:
    if request.flow is None:
        msg = f"trigger {trigger.full_name!r}: nothing that tells of connections was given; pass flow="
        raise TriggerConfigError(msg)
    if settings.condition is not None and request.condition is None:
        msg = f"trigger {trigger.full_name!r} has a condition, but nothing that evaluates it was given"
        raise TriggerConfigError(msg)
    wanted = TalkFilter(settings.event, source=settings.source, target=settings.target)
    return trigger, wanted, request.flow, request.condition
