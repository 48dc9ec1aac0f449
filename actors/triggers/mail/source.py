"""The e-mail trigger: poll an IMAP folder. A mail is marked as read only after its event was accepted."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec

from actors.config.trigger import EmailTrigger
from actors.triggers.source import Ready, TriggerSource
from actors.triggers.trigger import Trigger
from actors.triggers.trigger_type import BuildContext, SourceSpec, TriggerType
from protocols.clock import pause
from protocols.control import DeadLetterReason
from protocols.triggers import MailReceived, TriggerError, TriggerFullError, TriggerStoppedError

if TYPE_CHECKING:  # needs a library of the extra
    from actors.triggers.mail.folder import Mail, MailBatch, MailFolder


@dataclass
class MailWatch:
    """One e-mail trigger and its progress, which outlives restarts of the actor."""

    trigger: Trigger
    folder: "MailFolder"
    settings: EmailTrigger
    validity: str = ""
    highest: int = 0
    """Number of the last e-mail that was accepted or left out."""
    unmarked: list[int] = field(default_factory=list[int])
    """Accepted e-mails that are not marked as read yet."""


class PollNow(msgspec.Struct, frozen=True):
    """Ask an e-mail trigger to poll at once. The reply arrives after a poll that begins then."""


class EmailActor(TriggerSource):
    """Polls the folder, accepts new e-mails, and marks them as read.

    When the queue is full, the rest stays unread for the next poll. A server that is down is a crash: the supervisor
    restarts the actor with backoff.
    """

    def __init__(self, watch: MailWatch, *, wall: Callable[[], float]) -> None:
        super().__init__((watch.trigger,))
        self._watch = watch
        self._wall = wall
        self._hurry = asyncio.Event()

    def on_stop(self) -> Any:
        """Break off the present poll, so that the stop does not wait for a silent server."""
        self._watch.folder.abort()
        return super().on_stop()

    async def on_receive(self, message: Any) -> Any:
        """Poll at once after `PollNow`."""
        if not isinstance(message, PollNow):
            return await super().on_receive(message)
        self.is_established = False
        self._hurry.set()
        return await super().on_receive(Ready())

    async def observe(self) -> None:
        """Poll, accept, mark, wait."""
        while True:
            self._hurry.clear()
            has_more = await self._poll()
            if not self._hurry.is_set():
                self.established()
            if not has_more:
                await pause(self.system.clock, self._watch.settings.check_interval, self._hurry)

    async def _poll(self) -> bool:
        """Poll once; return True if there are more e-mails that the queue can accept."""
        watch = self._watch
        await self._mark()
        batch: MailBatch = await self.system.in_thread(watch.folder.poll)(watch.validity, watch.highest)
        if batch.validity != watch.validity:
            watch.validity, watch.highest, watch.unmarked = batch.validity, 0, []
        is_all = await self._accept_all(batch)
        await self._mark()
        return batch.has_more and is_all

    async def _accept_all(self, batch: "MailBatch") -> bool:
        watch = self._watch
        for mail in batch.mails:
            left_out = mail.left_out
            if not left_out:
                try:
                    await watch.trigger.accept(self._event(mail), self._key(mail))
                except TriggerFullError:
                    return False
                except TriggerStoppedError:
                    raise
                except TriggerError as error:
                    left_out = str(error)
            if left_out:
                name = self._actor_cell.name
                self.system.log_limited("an e-mail is left out", actor=name, uid=mail.uid, why=left_out)
                cause = TriggerError(f"e-mail {mail.uid} is left out: {left_out}")
                watch.trigger.discard(self._event(mail), DeadLetterReason.REJECTED, cause)
            elif watch.settings.mark_seen:
                watch.unmarked.append(mail.uid)
            watch.highest = max(watch.highest, mail.uid)
        return True

    def _key(self, mail: "Mail") -> str:
        spec = self._watch.settings
        return repr((spec.host, spec.username, spec.folder, self._watch.validity, mail.uid))

    def _event(self, mail: "Mail") -> MailReceived:
        return MailReceived(
            source=self._watch.trigger.name,
            time=self._wall(),
            sender=mail.sender,
            subject=mail.subject,
            body=mail.body,
            recipients=mail.recipients,
            uid=str(mail.uid),
            attachments=mail.attachments,
            metadata={"uid": mail.uid},
        )

    async def _mark(self) -> None:
        """Mark the accepted e-mails, also those of before a failure."""
        watch = self._watch
        if watch.unmarked:
            marked = tuple(watch.unmarked)
            await self.system.in_thread(watch.folder.mark_seen)(marked)
            watch.unmarked = [uid for uid in watch.unmarked if uid not in marked]


def _build(group: Sequence[tuple[Trigger, EmailTrigger]], context: BuildContext) -> SourceSpec:
    from actors.triggers.mail.folder import MailFolder

    ((trigger, spec),) = group
    folder = MailFolder(spec, spec.password.get_secret_value(), who=f"trigger {trigger.full_name!r}")
    return SourceSpec(partial(EmailActor, wall=context.wall), (MailWatch(trigger, folder, spec),))


EMAIL = TriggerType(EmailTrigger, _build, libraries=("imap_tools",))
