"""Packets between hosts that share a database, as notifications of PostgreSQL: no table has them.

A packet that is longer than a notification is cut: its pieces are told in one transaction, and so in their order.
"""

import asyncio
import logging
from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from collections import deque
from collections.abc import Callable, Iterator
from itertools import count
from typing import Final

from sqlalchemy.util import greenlet_spawn

from actors.storage.postgres_connection import PostgresConnection
from protocols.errors import cause_text
from protocols.transport import MOST_FRAME_BYTES

CHANNEL: Final = "understage_"
"""Where a host listens, before its id."""
MARK: Final = "packet "
"""What a notification begins with that is a piece of a packet."""
PIECE: Final = 5_850
"""Bytes of a packet in one notification, whose text has less than 8,000."""
MOST_WAITING: Final = 256
"""Packets that wait for the server; earlier ones are lost."""
GROUP: Final = 1024 * 1024
"""Bytes that go by one statement, at least."""
LIMIT: Final = 10.0
"""Seconds after which the server is taken to be away; what waits for it is lost."""
_NOTIFY: Final = "SELECT pg_notify(channel, piece) FROM unnest(?::text[], ?::text[]) AS new(channel, piece)"

_log = logging.getLogger("understage.cluster")


class PostgresTransport:
    """Carries packets by a connection of its own, which is made when it sends the first one.

    Args:
        url: of the database.
        me: the id of the host.
    """

    def __init__(self, url: str, me: str) -> None:
        self.arrived: Callable[[str, bytes], object] = lambda _host, _packet: None
        self.connection = PostgresConnection(url)
        self._me = me
        self._is_open = self._is_away = False
        self._numbers = count()
        self._waiting: deque[tuple[str, bytes]] = deque(maxlen=MOST_WAITING)
        self._sending: asyncio.Task[None] | None = None
        self._pieces: dict[str, tuple[str, list[str]]] = {}
        """Of each sender, the number of a packet, and its pieces so far."""

    def open(self, schema: str) -> None:
        """Send from now on, as one that uses a schema."""
        self.connection.schema, self._is_open = schema, True

    def connect(self, arrived: Callable[[str, bytes], object]) -> None:
        """Have a function called with each packet."""
        self.arrived = arrived

    def send(self, host: str, packet: bytes) -> None:
        """Send bytes to a host, together with others."""
        self._waiting.append((host, packet))
        if self._sending is None and self._is_open:
            self._sending = asyncio.ensure_future(self._send())

    def hear(self, text: str) -> None:
        """Take a piece of a packet."""
        try:
            _, sender, number, place, last, piece = text.split(" ", 5)
            known, pieces = self._pieces.pop(sender, (number, []))
            if int(place) == 0:
                known, pieces = number, []
            pieces.append(piece)
            if known != number or len(pieces) != int(place) + 1 or len(pieces) * PIECE > MOST_FRAME_BYTES + PIECE:
                return
            if place != last:
                self._pieces[sender] = (number, pieces)
                return
            packet = b64decode("".join(pieces))
        except (ValueError, Base64Error):  # of another version
            return
        self.arrived(sender, packet)

    async def close(self) -> None:
        """Send what waits, and disconnect."""
        self._is_open = False
        if self._sending is not None:
            await asyncio.gather(self._sending, return_exceptions=True)
        await self.connection.close()

    async def _send(self) -> None:
        try:
            while self._waiting:
                channels: list[str] = []
                pieces: list[str] = []
                size = 0
                while self._waiting and size < GROUP:
                    host, packet = self._waiting.popleft()
                    size += len(packet)
                    cut = [*self._cut(packet)]
                    channels += [f"{CHANNEL}{host}"] * len(cut)
                    pieces += cut
                async with asyncio.timeout(LIMIT):
                    await greenlet_spawn(self._notify, channels, pieces)
                self._is_away = False
        except Exception as error:  # what is lost is sent again by the lane
            if not self._is_away:
                _log.warning("this host cannot talk to the others now: %s", cause_text(error))
            self._is_away = True
            self.connection.drop()
            self._waiting.clear()
        finally:
            self._sending = None

    def _cut(self, packet: bytes) -> Iterator[str]:
        number, last = next(self._numbers), max(0, len(packet) - 1) // PIECE
        for place in range(last + 1):
            piece = b64encode(packet[place * PIECE : (place + 1) * PIECE]).decode()
            yield f"{MARK}{self._me} {number} {place} {last} {piece}"

    def _notify(self, channels: list[str], pieces: list[str]) -> None:
        self.connection.connect()
        self.connection.run(_NOTIFY, (channels, pieces))
