"""The lane of a host: frames reach other hosts in order and at most once, over a transport that promises neither.

A host that was taken for dead and came back has another `HostRecord.life`. Each packet names the lives of both hosts,
and one of another life is thrown away: so what was under way when a host was lost is never taken for something new.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from typing import Any, Final

from msgspec import MsgspecError, Raw, Struct, msgpack

from protocols.clock import Clock, TimerHandle, pause
from protocols.cluster import HostRecord
from protocols.errors import HostLostError, RunError
from protocols.mailbox import MailboxFullError
from protocols.transport import MOST_FRAME_BYTES, Frame, Transport

WINDOW: Final = 4
"""Packets that are under way to one host at the same time."""
MOST_FRAMES: Final = 100
"""Frames of one packet."""
MOST_BYTES: Final = 256 * 1024
"""Bytes of the frames of one packet, unless one is longer; of all that are under way `WINDOW` times as many."""
RESEND: Final = (0.2, 2.0)
"""Seconds after which what was not acknowledged is sent again: at first, and at most."""
SPEED: Final = 4 * 1024 * 1024
"""Bytes for which a transport is given another second."""
ACKNOWLEDGE: Final = 0.02
"""Seconds that an acknowledgement waits for frames that it can travel with."""
MOST_WAITING: Final = 10_000
"""Frames that wait for one host."""
MOST_WAITING_BYTES: Final = 64 * 1024 * 1024
_HEAD: Final = 256
"""Bytes of a packet without its frames, at most."""

_log = logging.getLogger("understage.cluster")


class Packet(Struct, frozen=True, array_like=True):
    """What a transport carries."""

    receiver: str
    lives: tuple[int, int]
    """Those of the sender and of the receiver."""
    first: int
    """Number of the first frame."""
    taken: int
    """Number of the frame that the sender takes next: it has all before."""
    frames: Sequence[Raw]


_ENCODER = msgpack.Encoder()
_PACKET = msgpack.Decoder(Packet)
_FRAME: msgpack.Decoder[Frame] = msgpack.Decoder(Frame)


class HostLane:
    """Sends frames of this host to those that live, and takes theirs, from `begin` to `end`.

    Args:
        me: the id of this host.
        transport: carries packets.
        look: called when a packet comes from a host that is not known yet.
    """

    def __init__(self, me: str, transport: Transport, look: Callable[[], object]) -> None:
        self.undecodable = 0
        """Packets and frames that could not be read."""
        self.transport = transport
        self.clock: Any = None
        self.progress = asyncio.Event()
        """Set when frames are acknowledged."""
        self._me = me
        self._look = look
        self._life = 0
        self._lives: dict[str, int] = {}
        self._windows: dict[str, FrameWindow] = {}
        self._strange: set[str] = set()
        self._arrived: Callable[[str, Frame], object] = lambda _host, _frame: None
        self._lost: Callable[[str], object] = lambda _host: None

    def begin(self, clock: Clock) -> None:
        """Take packets, by a clock."""
        self.clock = clock
        self.transport.connect(self._take)

    async def end(self, patience: float) -> None:
        """Wait until what was sent has arrived, for so many seconds at most; then all hosts are lost."""
        if self.clock is None:
            return
        until = self.clock.now() + patience
        while any(one.queue for one in self._windows.values()) and (left := until - self.clock.now()) > 0:
            self.progress.clear()
            await pause(self.clock, left, self.progress)
        self._look = lambda: None
        self.see(())

    def listen(self, arrived: Callable[[str, Frame], object], lost: Callable[[str], object]) -> None:
        """Have functions called with each frame and its sender, and with a host that is lost."""
        self._arrived, self._lost = arrived, lost

    def see(self, hosts: Iterable[HostRecord]) -> None:
        """Take note of the hosts that live, this one among them. Those that are gone, or have a new life, are lost."""
        lives = {one.id: one.life for one in hosts}
        life = lives.pop(self._me, self._life)
        gone = [host for host, known in self._lives.items() if life != self._life or lives.get(host) != known]
        self._life, self._lives = life, lives
        for host in gone:
            if (window := self._windows.pop(host, None)) is not None:
                window.end()
        for host in gone:
            self._lost(host)

    def send(self, host: str, frame: Frame) -> None:
        """Send a frame, without waiting.

        Raises:
            HostLostError: the host is not known to live.
            MailboxFullError: too much waits for it.
            RunError: the frame is too long.
        """
        if host == self._me:
            raise ValueError(f"host {host!r} is this one: what it says to itself needs no lane")
        if host not in self._lives:
            raise HostLostError(f"host {host!r} is not known to live; ask again where its nodes live")
        data = _ENCODER.encode(frame)
        if len(data) > MOST_FRAME_BYTES - _HEAD:
            text = f"{len(data)} bytes are too many for host {host!r} at once (at most {MOST_FRAME_BYTES - _HEAD})"
            raise RunError(f"{text}; keep large values elsewhere, and send where they are")
        window = self._window(host)
        if len(window.queue) >= MOST_WAITING or window.size + len(data) > MOST_WAITING_BYTES:
            raise MailboxFullError(f"host {host!r} (lane)", MOST_WAITING, frame)
        window.put(data)

    def _window(self, host: str) -> "FrameWindow":
        if (window := self._windows.get(host)) is None:
            window = self._windows[host] = FrameWindow(self, host, (self._life, self._lives[host]))
        return window

    def _take(self, host: str, data: bytes) -> None:
        try:
            packet = _PACKET.decode(data)
        except MsgspecError as error:
            self._note_strange(host, error)
            return
        life = self._lives.get(host, -1)
        if packet.receiver == self._me and packet.lives == (life, self._life):
            self._window(host).take(packet)
        elif packet.lives[0] > life:
            self._look()

    def deliver(self, host: str, data: Raw) -> None:
        """Hand over the next frame of a host."""
        try:
            frame = _FRAME.decode(data)
        except MsgspecError as error:
            self._note_strange(host, error)
            return
        try:
            self._arrived(host, frame)
        except Exception:
            _log.exception("a fault of the cluster")

    def _note_strange(self, host: str, error: MsgspecError) -> None:
        self.undecodable += 1
        if host not in self._strange:
            self._strange.add(host)
            _log.warning("host %r says what this version does not know; give both the same version: %s", host, error)


class FrameWindow:
    """The frames to and from one host, for as long as both hosts have the lives that they have.

    Args:
        lane: sends packets and takes frames.
        host: the other host.
        lives: those of this host and of the other one.
    """

    def __init__(self, lane: HostLane, host: str, lives: tuple[int, int]) -> None:
        self.queue: deque[bytes] = deque()
        """What is not acknowledged."""
        self.size = 0
        """Bytes of the queue."""
        self._lane = lane
        self._host = host
        self._lives = lives
        self._first = 0
        """Number of the first frame of the queue."""
        self._sent: deque[tuple[int, int]] = deque()
        """The packets that are under way: the number of the frame after each, and its bytes."""
        self._taken = 0
        self._owed = 0
        """Packets that this host has not acknowledged."""
        self._delay = RESEND[0]
        self._resending: TimerHandle | None = None
        self._acknowledging: TimerHandle | None = None
        self._is_due = self._is_over = False

    def put(self, frame: bytes) -> None:
        """Send a frame, together with those of the same turn of the loop."""
        self.queue.append(frame)
        self.size += len(frame)
        self._send_soon()

    def take(self, packet: Packet) -> None:
        """Hand over the frames that come next, and send on."""
        self._note_taken(packet.taken)
        if not packet.frames:
            return
        self._owed += 1
        for frame in self._fresh(packet):
            self._taken += 1
            self._lane.deliver(self._host, frame)
            if self._is_over:  # by what was delivered
                return
        if self._owed > 1 or self._taken != packet.first + len(packet.frames):
            self._send_soon()
        elif self._acknowledging is None:
            self._acknowledging = self._lane.clock.call_later(ACKNOWLEDGE, self._acknowledge)

    def _fresh(self, packet: Packet) -> Sequence[Raw]:
        """Return the frames of a packet that have not been delivered, unless some before them are missing."""
        known = self._taken - packet.first
        return packet.frames[known:] if known >= 0 else ()

    def end(self) -> None:
        """Send no more."""
        self._is_over = True
        self.queue.clear()
        for timer in (self._resending, self._acknowledging):
            if timer is not None:
                timer.cancel()

    def _note_taken(self, taken: int) -> None:
        if not self._first < taken <= self._first + len(self.queue):
            return
        while self._first < taken:
            self.size -= len(self.queue.popleft())
            self._first += 1
        while self._sent and self._sent[0][0] <= taken:
            self._sent.popleft()
        self._delay = RESEND[0]
        if self._resending is not None:
            self._resending.cancel()
            self._resending = None
        self._lane.progress.set()
        self._send_soon()

    def _send_soon(self) -> None:
        if not self._is_due:
            self._is_due = True
            asyncio.get_running_loop().call_soon(self._send)

    def _send(self) -> None:
        self._is_due = False
        if self._is_over:
            return
        size = sum(size for _, size in self._sent)
        while len(self._sent) < WINDOW and size < WINDOW * MOST_BYTES and (frames := self._pack()):
            self._post(frames)
            self._sent.append((self._next + len(frames), sum(map(len, frames))))
            size += self._sent[-1][1]
        if self._owed:
            self._post(())
        if self._sent and self._resending is None:
            self._resending = self._lane.clock.call_later(self._delay + size / SPEED, self._resend)

    @property
    def _next(self) -> int:
        return self._sent[-1][0] if self._sent else self._first

    def _pack(self) -> list[bytes]:
        """Return the frames of the next packet."""
        frames: list[bytes] = []
        size, start = 0, self._next - self._first
        for frame in islice(self.queue, start, start + MOST_FRAMES):
            size += len(frame)
            if frames and size > MOST_BYTES:
                break
            frames.append(frame)
        return frames

    def _post(self, frames: Sequence[bytes]) -> None:
        self._owed = 0
        packet = Packet(self._host, self._lives, self._next, self._taken, [Raw(one) for one in frames])
        self._lane.transport.send(self._host, _ENCODER.encode(packet))

    def _resend(self) -> None:
        """Send everything again that is under way."""
        self._resending = None
        self._sent.clear()
        self._delay = min(2 * self._delay, RESEND[1])
        self._send()

    def _acknowledge(self) -> None:
        self._acknowledging = None
        self._send()
