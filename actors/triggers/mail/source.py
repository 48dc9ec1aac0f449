"""The e-mail trigger: looks into an IMAP folder from time to time; marks as read only what was accepted."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import msgspec

from actors.triggers.source import Ready, TriggerSource
from protocols.triggers import MailReceived, TriggerFullError

if TYPE_CHECKING:
    from collections.abc import Callable

    from actors.triggers.mail.folder import Look, Mail, MailFolder
    from actors.triggers.trigger import Trigger


class MailWatch:
    """One e-mail trigger and how far it has come; it outlives restarts of the actor."""

    def __init__(self, trigger: Trigger, folder: MailFolder, *, interval: float, mark_seen: bool) -> None:
        """Take the folder, the seconds between two looks, and whether accepted e-mails are marked as read."""
        self.trigger = trigger
        self.folder = folder
        self.interval = interval
        self.mark_seen = mark_seen
        self.validity = ""
        self.highest = 0
        """Number of the last e-mail that was accepted or left out."""
        self.unmarked: list[int] = []
        """Accepted e-mails that are not marked as read yet."""
        self.left_out = 0
        """E-mails without a run, because they are too large or cannot be read."""


class LookNow(msgspec.Struct, frozen=True):
    """Ask it of an e-mail trigger not to wait for its next look; the answer comes after a look that begins then."""


class EmailActor(TriggerSource):
    """Looks into the folder, accepts what is new, and marks it as read.

    When the queue is full, the rest stays unread for the next look. A server that is down is a crash: the supervisor
    tries again with backoff.
    """

    def __init__(self, watch: MailWatch, *, wall: Callable[[], float]) -> None:
        super().__init__((watch.trigger,))
        self._watch = watch
        self._wall = wall
        self._hurry = asyncio.Event()

    def on_stop(self) -> Any:
        """Break off the look in hand, so that the stop does not wait for a server that does not answer."""
        self._watch.folder.abort()
        return super().on_stop()

    async def on_receive(self, message: Any) -> Any:
        """Look soon if asked to."""
        if not isinstance(message, LookNow):
            return await super().on_receive(message)
        self.is_established = False
        self._hurry.set()
        return await super().on_receive(Ready())

    async def observe(self) -> None:
        """Look, accept, mark, wait."""
        while True:
            self._hurry.clear()
            has_more = await self._look()
            if not self._hurry.is_set():
                self.established()
            if not has_more:
                await self._wait()

    async def _look(self) -> bool:
        """Look once; returns whether there is more that can be accepted."""
        watch = self._watch
        await self._mark()
        look: Look = await self.system.in_thread(watch.folder.look)(watch.validity, watch.highest)
        if look.validity != watch.validity:
            watch.validity, watch.highest, watch.unmarked = look.validity, 0, []
        is_all = self._accept_all(look)
        await self._mark()
        return look.has_more and is_all

    async def _wait(self) -> None:
        timer = self.system.clock.call_later(self._watch.interval, self._hurry.set)
        try:
            await self._hurry.wait()
        finally:
            timer.cancel()

    def _accept_all(self, look: Look) -> bool:
        watch = self._watch
        for mail in look.mails:
            if mail.left_out:
                watch.left_out += 1
                self.system.log_limited("an e-mail is left out", actor=self.cell.name, uid=mail.uid, why=mail.left_out)
            else:
                try:
                    watch.trigger.accept(self._event(mail))
                except TriggerFullError:
                    return False
                if watch.mark_seen:
                    watch.unmarked.append(mail.uid)
            watch.highest = max(watch.highest, mail.uid)
        return True

    def _event(self, mail: Mail) -> MailReceived:
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
        """Mark what was accepted, now or before a failure."""
        watch = self._watch
        if watch.unmarked:
            marked = tuple(watch.unmarked)
            await self.system.in_thread(watch.folder.mark_seen)(marked)
            watch.unmarked = [uid for uid in watch.unmarked if uid not in marked]
