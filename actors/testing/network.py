"""`SimulatedNetwork`: what lies between hosts in a simulation. It loses, doubles, delays and so reorders packets."""

from collections.abc import Callable
from random import Random

from protocols.clock import Clock
from protocols.transport import Transport


class SimulatedNetwork:
    """A network whose disturbances follow from a seed, by the clock of a test.

    Args:
        seed: decides; the same one does the same each time.
        clock: measures the delays.
        loss: share of the packets that are lost.
        doubles: share of those that arrive twice.
        longest: most seconds that a packet is under way.

    Example:
        ```python
        network = SimulatedNetwork(7, clock)
        one, two = network.transport("one"), network.transport("two")
        two.connect(lambda host, packet: print(host, packet))
        one.send("two", b"hello")
        await clock.advance(0.3)
        ```
    """

    def __init__(
        self, seed: int, clock: Clock, *, loss: float = 0.15, doubles: float = 0.1, longest: float = 0.3
    ) -> None:
        self.loss, self.doubles, self.longest = loss, doubles, longest
        self._random = Random(f"network {seed}").random
        self._clock = clock
        self._arrived: dict[str, Callable[[str, bytes], object]] = {}
        self._parted: set[str] = set()

    def transport(self, host: str) -> Transport:
        """Return what a host sends and takes its packets by."""
        return _HostTransport(self, host)

    def part(self, *hosts: str) -> None:
        """Let no packet pass between these hosts and the others."""
        self._parted = set(hosts)

    def heal(self) -> None:
        """Let packets pass between all hosts."""
        self._parted.clear()

    def remove(self, host: str) -> None:
        """Let no packet reach a host any more."""
        self._arrived.pop(host, None)

    def connect(self, host: str, arrived: Callable[[str, bytes], object]) -> None:
        """Have a function called with the packets for a host."""
        self._arrived[host] = arrived

    def send(self, sender: str, host: str, packet: bytes) -> None:
        """Carry a packet, or not."""
        random = self._random
        if random() < self.loss:
            return
        for _ in range(2 if random() < self.doubles else 1):
            self._clock.call_later(self.longest * random(), self._arrive, sender, host, packet)

    def _arrive(self, sender: str, host: str, packet: bytes) -> None:
        is_parted = (sender in self._parted) != (host in self._parted)
        if not is_parted and (arrived := self._arrived.get(host)) is not None:
            arrived(sender, packet)


class _HostTransport:
    """The transport of one host."""

    def __init__(self, network: SimulatedNetwork, host: str) -> None:
        self._network = network
        self._host = host

    def connect(self, arrived: Callable[[str, bytes], object]) -> None:
        self._network.connect(self._host, arrived)

    def send(self, host: str, packet: bytes) -> None:
        self._network.send(self._host, host, packet)
