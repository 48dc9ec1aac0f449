"""Connections on which the head of a request must come in time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from uvicorn.protocols.http.h11_impl import H11Protocol

if TYPE_CHECKING:
    import asyncio

    import h11

HEAD_PATIENCE: Final = 10.0
"""Seconds from the beginning of a connection, or the end of an answer, in which a whole head must have come."""


class PatientProtocol(H11Protocol):
    """uvicorn's protocol, which closes a connection whose next head takes too long.

    uvicorn alone waits for ever for a client that sends nothing, or a byte now and then.
    """

    patience = HEAD_PATIENCE

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Take what uvicorn gives."""
        super().__init__(*args, **kwargs)
        self._deadline: asyncio.TimerHandle | None = None
        self._is_over = False

    @property
    def is_waiting(self) -> bool:
        """Whether the head of a request is waited for."""
        return self._deadline is not None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait."""
        super().connection_made(transport)
        self._arm()

    def data_received(self, data: bytes) -> None:
        """Wait no more once a request is in hand."""
        super().data_received(data)
        self._look()

    def on_response_complete(self) -> None:
        """Wait for the next one."""
        super().on_response_complete()
        self._look()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for nothing."""
        self._end()
        super().connection_lost(exc)

    def handle_websocket_upgrade(self, event: h11.Request) -> None:
        """Leave the connection to another protocol."""
        self._end()
        super().handle_websocket_upgrade(event)

    def _look(self) -> None:
        is_in_hand = bool(self.cycle) and not self.cycle.response_complete
        if is_in_hand:
            self._disarm()
        else:
            self._arm()

    def _end(self) -> None:
        self._is_over = True
        self._disarm()

    def _arm(self) -> None:
        if self._deadline is None and not self._is_over:
            self._deadline = self.loop.call_later(self.patience, self._expire)

    def _expire(self) -> None:
        self._deadline = None
        self.transport.close()

    def _disarm(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
