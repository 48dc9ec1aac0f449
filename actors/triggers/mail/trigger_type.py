"""The type of e-mail triggers."""

from collections.abc import Sequence
from functools import partial

from actors.config.trigger import EmailTrigger
from actors.triggers.mail.source import EmailActor, MailWatch
from actors.triggers.trigger import Trigger
from actors.triggers.trigger_type import BuildContext, SourceSpec, TriggerType


def _build(group: Sequence[tuple[Trigger, EmailTrigger]], context: BuildContext) -> SourceSpec:
    from actors.triggers.mail.folder import MailFolder

    ((trigger, spec),) = group
    folder = MailFolder(spec, spec.password.get_secret_value(), who=f"trigger {trigger.full_name!r}")
    watch = MailWatch(trigger, folder, interval=spec.check_interval, mark_seen=spec.mark_seen)
    return SourceSpec(partial(EmailActor, wall=context.wall), (watch,))


EMAIL = TriggerType(EmailTrigger, _build, libraries=("imap_tools",))
