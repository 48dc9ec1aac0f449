"""A folder of an IMAP server. Everything here blocks, so it runs in threads."""

import imaplib
import re
import socket
import ssl
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any, Final

import msgspec
from imap_tools import AND, BaseMailBox, ImapToolsError, MailMessage, U

from actors.config.trigger import EmailTrigger
from actors.triggers.mail.html_text import html_text
from protocols.plain_text import is_slow_charset, printable
from protocols.triggers import TriggerConfigError, TriggerError

MOST_AT_ONCE: Final = 50
"""E-mails of one batch; the next one follows at once if there are more."""
MOST_TRIES: Final = 5
"""Polls that may break on one e-mail; then it is left out."""
TIMEOUT: Final = 15.0
"""Seconds that the server may take for one answer."""
_LONGEST_ERROR: Final = 300
_FAILURES: Final = (OSError, imaplib.IMAP4.error, ImapToolsError)
_SIZE: Final = re.compile(rb"\b(UID|RFC822\.SIZE) (\d+)")
_CHARSET: Final = re.compile(r"""(?:=\?|\*=\s*"?|\bcharset\s*=\s*"?)([^\s"'*;?]+)""", re.IGNORECASE)
"""A charset in a header: of an encoded word, of a parameter, or of the content."""
_PARTS: Final = re.compile(rb"^content-type:\s*multipart(?:[^\r\n]|\r?\n[ \t])*+", re.IGNORECASE | re.MULTILINE)
_MOST_PARTS: Final = 100
_LONGEST_HEADER: Final = 20_000
"""The parser of the standard library takes quadratic time for deep nesting and for long headers."""


class _OpenClient(imaplib.IMAP4):
    def __init__(self, on_open: Callable[[socket.socket], None], *args: Any, **kwargs: Any) -> None:
        self._on_open = on_open
        super().__init__(*args, **kwargs)

    def open(self, *args: Any, **kwargs: Any) -> None:
        super().open(*args, **kwargs)
        self._on_open(self.sock)


class _SecureClient(_OpenClient, imaplib.IMAP4_SSL):
    pass


class MailClient(BaseMailBox):
    """A mailbox of imap-tools over such a connection."""

    def __init__(self, on_open: Callable[[socket.socket], None], *address: Any, **options: Any) -> None:
        """Connect.

        Args:
            on_open: called with the socket before the first read.
            *address: host and port.
            **options: those of `imaplib.IMAP4`; with an ``ssl_context`` the connection is encrypted.
        """
        client = _SecureClient if "ssl_context" in options else _OpenClient
        self._make = partial(client, on_open, *address, **options)
        super().__init__()

    def _get_mailbox_client(self) -> imaplib.IMAP4:
        return self._make()


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
    """Finds e-mails that are not marked as read."""

    def __init__(self, settings: EmailTrigger, password: str, *, who: str) -> None:
        texts = [settings.host, settings.username, settings.folder, password, *settings.filters.values()]
        if any(sign in text for text in texts for sign in "\r\n\0"):
            raise TriggerConfigError(f"{who}: host, username, password, folder and filters must be free of line breaks")
        self._settings = settings
        self._password = password
        self._socket: socket.socket | None = None
        self._is_aborted = False
        self._broken: dict[int, int] = {}
        """How often a poll broke on an e-mail."""
        self._where = f"{settings.username!r} at {settings.host}:{settings.port}, folder {settings.folder!r}"

    def poll(self, validity: str, highest: int) -> MailBatch:
        """Return the e-mails that are not marked as read, after number `highest` if the validity is the same.

        Raises:
            TriggerError: The server does not answer, or refuses.
        """
        self._is_aborted = False
        with self._opened(readonly=True) as box:
            _, values = box.client.response("UIDVALIDITY")
            now = values[0].decode() if values and values[0] else ""
            first = highest + 1 if now == validity else 1
            if now != validity:
                self._broken.clear()
            criteria = self._criteria(first)
            charset = "US-ASCII" if str(criteria).isascii() else "UTF-8"
            # `n:*` always brings the last e-mail, whatever its number.
            uids = sorted(uid for uid in map(int, box.uids(criteria, charset)) if uid >= first)
            chosen = uids[:MOST_AT_ONCE]
            mails: list[Mail] = []
            has_more = len(uids) > len(chosen)
            try:
                mails.extend(self._fetched(box, chosen))
            except _FAILURES:
                if not mails:
                    raise
                has_more = True
            return MailBatch(now, tuple(mails), has_more=has_more)

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
            security = {"ssl_context": ssl.create_default_context()} if settings.ssl else {}
            # `abort` may break off a poll, but not the marking.
            on_open: Callable[[socket.socket], None] = self._begin if readonly else lambda _: None
            box: Any = MailClient(on_open, settings.host, settings.port, timeout=TIMEOUT, **security)
            try:
                is_plain = self._password.isascii() and settings.username.isascii()
                login = box.login if is_plain else box.login_utf8
                login(settings.username, self._password, initial_folder=None)
                box.folder.set(settings.folder, readonly=readonly)
                yield box
            finally:
                _leave(box)
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
        _, answers = box.client.uid("fetch", ",".join(map(str, uids)), "(UID RFC822.SIZE)")
        found = [dict(_SIZE.findall(answer)) for answer in answers if isinstance(answer, bytes)]
        sizes = {int(each[b"UID"]): int(each[b"RFC822.SIZE"]) for each in found if len(each) == 2}  # noqa: PLR2004
        for uid in uids:
            size = sizes.get(uid)
            if size is None:
                continue  # it was deleted meanwhile
            if size > self._settings.max_size:
                yield Mail(uid, left_out=f"{size} bytes, more than max_size={self._settings.max_size}")
            elif self._broken.get(uid, 0) >= MOST_TRIES:
                yield Mail(uid, left_out=f"the connection broke {MOST_TRIES} times while it was read")
            else:
                yield from self._read(box, uid)

    def _read(self, box: Any, uid: int) -> list[Mail]:
        try:
            mails = [read_mail(uid, data) for data in _contents(box, uid)]
        except _FAILURES:
            if not self._is_aborted:
                self._broken[uid] = self._broken.get(uid, 0) + 1
            raise
        except Exception as error:
            mails = [Mail(uid, left_out=f"it cannot be read ({type(error).__name__})")]
        self._broken.pop(uid, None)
        return mails


def _leave(box: Any) -> None:
    try:
        box.logout()
    except _FAILURES:
        box.client.shutdown()


def _contents(box: Any, uid: int) -> list[bytes]:
    status, answers = box.client.uid("fetch", str(uid), "(BODY.PEEK[])")
    if status != "OK":
        raise imaplib.IMAP4.error(str(answers))
    return [answer[1] for answer in answers if isinstance(answer, tuple)]


def read_mail(uid: int, data: bytes) -> Mail:
    """Return the content of an e-mail, or why it is left out."""
    parts = _PARTS.findall(data)
    if len(parts) > _MOST_PARTS or len(max(parts, key=len, default=b"")) > _LONGEST_HEADER:
        return Mail(uid, left_out="it is made of too many parts")
    message = MailMessage.from_bytes(data)
    headers = [str(value) for part in message.obj.walk() for value in part.values()]
    if len(max(headers, key=len, default="")) > _LONGEST_HEADER:
        return Mail(uid, left_out=f"it has a header of more than {_LONGEST_HEADER} signs")
    for charset in {name for value in headers for name in _CHARSET.findall(value)}:
        if is_slow_charset(charset):
            return Mail(uid, left_out=f"texts of charset {printable(charset)} are not read")
    text = message.text
    return Mail(
        uid,
        sender=message.from_,
        subject=message.subject,
        body=(text if text.strip() else html_text(message.html)).replace("\r\n", "\n").strip(),
        recipients=tuple(message.to),
        attachments=tuple(attachment.filename for attachment in message.attachments),
    )
