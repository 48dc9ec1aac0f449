"""A folder of an IMAP server. Everything here blocks, so it runs in threads."""

import imaplib
import socket
import ssl
from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Final

import msgspec
from imap_tools import AND, ImapToolsError, U

from actors.config.trigger import EmailTrigger
from actors.triggers.mail.client import MailClient
from actors.triggers.mail.html_text import html_text
from protocols.plain_text import printable
from protocols.triggers import TriggerConfigError, TriggerError

if TYPE_CHECKING:
    from imap_tools import MailMessage

MOST_AT_ONCE: Final = 50
"""E-mails of one batch; the next one follows at once if there are more."""
TIMEOUT: Final = 15.0
"""Seconds that the server may take for one answer."""
_LONGEST_ERROR: Final = 300
_FAILURES: Final = (OSError, imaplib.IMAP4.error, ImapToolsError)


class Mail(msgspec.Struct, frozen=True):
    """One e-mail."""

    uid: int
    sender: str = ""
    subject: str = ""
    body: str = ""
    recipients: tuple[str, ...] = ()
    attachments: tuple[str, ...] = ()
    left_out: str = ""
    """Why the mail has no content: too large, or not readable."""


class MailBatch(msgspec.Struct, frozen=True):
    """New e-mails of a folder."""

    validity: str
    """A batch with another validity than the one before gives new meanings to the numbers of e-mails."""
    mails: tuple[Mail, ...]
    """In the order of their numbers."""
    has_more: bool = False


class MailFolder:
    """Finds e-mails that are not marked as read. `context` checks the server's certificate."""

    def __init__(
        self, settings: EmailTrigger, password: str, *, who: str, context: ssl.SSLContext | None = None
    ) -> None:
        texts = [settings.host, settings.username, settings.folder, password, *settings.filters.values()]
        if any(sign in text for text in texts for sign in "\r\n\0"):
            message = f"{who}: host, username, password, folder and filters must be free of line breaks"
            raise TriggerConfigError(message)
        self._settings = settings
        self._password = password
        self._context = context
        self._socket: socket.socket | None = None
        self._is_aborted = False
        self._where = f"{settings.username!r} at {settings.host}:{settings.port}, folder {settings.folder!r}"

    def poll(self, validity: str, highest: int) -> MailBatch:
        """Return the e-mails that are not marked as read, after number `highest` if the validity is the same.

        Raises:
            TriggerError: The server does not answer, or refuses.
        """
        self._is_aborted = False
        with self._opened(readonly=True) as box:
            now = _validity(box)
            first = highest + 1 if now == validity else 1
            criteria = self._criteria(first)
            charset = "US-ASCII" if str(criteria).isascii() else "UTF-8"
            # `n:*` always brings the last e-mail, whatever its number.
            uids = sorted(uid for uid in map(int, box.uids(criteria, charset)) if uid >= first)
            chosen = uids[:MOST_AT_ONCE]
            mails = tuple(self._fetched(box, chosen))
            return MailBatch(now, mails, has_more=len(uids) > len(chosen))

    def abort(self) -> None:
        """Break off a `poll` in another thread, if there is one."""
        self._is_aborted = True
        opened = self._socket
        if opened is not None:
            with suppress(OSError):
                opened.shutdown(socket.SHUT_RDWR)

    def mark_seen(self, uids: Sequence[int]) -> None:
        """Mark e-mails as read.

        Raises:
            TriggerError: The server does not answer, or refuses.
        """
        with self._opened(readonly=False) as box:
            box.flag([str(uid) for uid in uids], r"\Seen", True)

    @contextmanager
    def _opened(self, *, readonly: bool) -> Generator[Any]:
        settings = self._settings
        try:
            context = (self._context or ssl.create_default_context()) if settings.ssl else None
            # `abort` may break off a poll, but not the marking.
            on_open = self._begin if readonly else _ignore
            box: Any = MailClient(settings.host, settings.port, timeout=TIMEOUT, on_open=on_open, context=context)
            with _closing(box):
                is_plain = self._password.isascii() and settings.username.isascii()
                login = box.login if is_plain else box.login_utf8
                login(settings.username, self._password, initial_folder=None)
                box.folder.set(settings.folder, readonly=readonly)
                yield box
        except _FAILURES as error:
            message = f"e-mail of {self._where}: {type(error).__name__}: {self._shown(error)}"
            raise TriggerError(message) from None  # its text is unchecked
        finally:
            self._socket = None

    def _shown(self, error: Exception) -> str:
        """Return the text of a server without the password: it may repeat the command."""
        said = str(error)
        for secret in filter(None, (self._password, repr(self._password)[1:-1])):
            said = said.replace(secret, "***")
        return printable(said[:_LONGEST_ERROR])

    def _begin(self, opened: socket.socket) -> None:
        self._socket = opened
        if self._is_aborted:
            self.abort()

    def _criteria(self, first: int) -> Any:
        names = {"from": "from_", "to": "to", "subject": "subject", "body": "body"}
        filters: dict[str, Any] = {names[key]: value for key, value in self._settings.filters.items()}
        return AND(seen=False, uid=U(str(first), "*"), **filters)

    def _fetched(self, box: Any, uids: Sequence[int]) -> Generator[Mail]:
        if not uids:
            return
        heads = box.fetch(uid_list=[str(uid) for uid in uids], mark_seen=False, headers_only=True, bulk=True)
        sizes = {int(head.uid): head.size_rfc822 for head in heads}
        for uid in uids:
            size = sizes.get(uid)
            if size is None:
                continue  # it was deleted meanwhile
            if size > self._settings.max_size:
                yield Mail(uid, left_out=f"{size} bytes, more than max_size={self._settings.max_size}")
                continue
            for message in box.fetch(uid_list=[str(uid)], mark_seen=False):
                yield _read(uid, message)


def _ignore(opened: socket.socket) -> None:
    """Do not keep the socket."""


@contextmanager
def _closing(box: Any) -> Generator[None]:
    try:
        yield
    finally:
        try:
            box.logout()
        except _FAILURES:
            box.client.shutdown()


def _validity(box: Any) -> str:
    _, values = box.client.response("UIDVALIDITY")
    return values[0].decode() if values and values[0] else ""


def _read(uid: int, message: "MailMessage") -> Mail:
    try:
        return Mail(
            uid,
            sender=message.from_,
            subject=message.subject,
            body=(message.text or html_text(message.html)).replace("\r\n", "\n").strip(),
            recipients=tuple(message.to),
            attachments=tuple(attachment.filename for attachment in message.attachments),
        )
    except Exception as error:
        return Mail(uid, left_out=f"it cannot be read ({type(error).__name__})")
