"""IMAP connections that hand out their open socket, so that another thread can break them off."""

import imaplib
import socket
from collections.abc import Callable
from functools import partial
from typing import Any

from imap_tools import BaseMailBox


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
