"""IMAP connections that hand out their open socket, so that another thread can break them off."""

import imaplib
import socket
import ssl
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

    def __init__(
        self,
        host: str,
        port: int,
        *,
        timeout: float,
        on_open: Callable[[socket.socket], None],
        context: ssl.SSLContext | None,
    ) -> None:
        """Connect.

        Args:
            host: IMAP server.
            port: TCP port.
            timeout: seconds that the server may take for one answer.
            on_open: called with the socket before the first read.
            context: checks the server's certificate; None for a connection without encryption.
        """
        options: dict[str, Any] = (
            {"timeout": timeout} if context is None else {"timeout": timeout, "ssl_context": context}
        )
        client = _OpenClient if context is None else _SecureClient
        self._make = partial(client, on_open, host, port, **options)
        super().__init__()

    def _get_mailbox_client(self) -> imaplib.IMAP4:
        return self._make()
