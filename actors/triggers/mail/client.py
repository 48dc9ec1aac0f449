"""IMAP connections that hand out their open socket, so that another thread can break them off."""

from __future__ import annotations

import imaplib
from typing import TYPE_CHECKING, Any

from imap_tools import BaseMailBox

if TYPE_CHECKING:
    import socket
    import ssl
    from collections.abc import Callable


class _PlainClient(imaplib.IMAP4):
    def __init__(self, host: str, port: int, timeout: float, on_open: Callable[[socket.socket], None]) -> None:
        self._on_open = on_open
        super().__init__(host, port, timeout)

    def open(self, host: str = "", port: int = 143, timeout: float | None = None) -> None:
        super().open(host, port, timeout)
        self._on_open(self.sock)


class _SecureClient(imaplib.IMAP4_SSL):
    def __init__(
        self,
        host: str,
        port: int,
        timeout: float,
        on_open: Callable[[socket.socket], None],
        context: ssl.SSLContext,
    ) -> None:
        self._on_open = on_open
        super().__init__(host, port, ssl_context=context, timeout=timeout)

    def open(self, host: str = "", port: int | None = 993, timeout: float | None = None) -> None:
        super().open(host, port, timeout)
        self._on_open(self.sock)


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
        self._make: Callable[[], Any] = (
            (lambda: _PlainClient(host, port, timeout, on_open))
            if context is None
            else (lambda: _SecureClient(host, port, timeout, on_open, context))
        )
        super().__init__()

    def _get_mailbox_client(self) -> imaplib.IMAP4:
        client: imaplib.IMAP4 = self._make()
        return client
