"""The replicas of one router: which of them gets a message, and when the message is settled."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import partial
from itertools import count, islice
from typing import Any, Final, Literal, cast

from actors.runtime.actor import AsyncioActor
from actors.runtime.cell import Cell, cell_of
from actors.runtime.envelope import Envelope
from actors.runtime.errors import ActorStoppingError
from actors.runtime.future import LoopFuture
from actors.runtime.intake import wake
from actors.runtime.mailbox import BoundedMailbox, MailboxConfig
from actors.runtime.ref import ActorRef
from actors.runtime.turn import Turn
from actors.supervision.backoff import Backoff
from actors.supervision.child import ChildSpec
from actors.supervision.child_state import ChildState
from actors.supervision.children import Children
from actors.supervision.intensity import RestartIntensity

Routing = Literal["least_busy", "round_robin"]
"""Which replica gets a message: the one with the fewest open messages, or the next one in turn that has a place."""

_UNBOUNDED: Final = 10**9


class ReplicaReply(LoopFuture[None]):
    """The reply of a replica to its router, which is done when a message is settled. It has no deadline."""

    __slots__ = ("origin",)

    origin: Envelope
    """The message that the router handles."""

    def release(self) -> None:
        """Forget the message."""
        self.envelope = None


class ReplicaMailbox(BoundedMailbox):
    """Tells the router when a message is settled. The bound is that of the router's own mailbox."""

    __slots__ = ("_given", "_open")

    is_plain = False

    def __init__(self, who: str, config: MailboxConfig) -> None:
        super().__init__(who, config)
        self._open: dict[Envelope, ReplicaReply] = {}
        self._given: Envelope | None = None

    def give(self, send: Callable[[], object], origin: Envelope) -> ReplicaReply | None:
        """Send a message here in the name of the one that the router handles; None if it was not accepted."""
        self._taken()
        send()
        envelope = self._taken()
        if envelope is None:
            return None
        envelope.sender = origin.sender
        settled: ReplicaReply = ReplicaReply(loop=envelope.cell.loop)
        settled.envelope, settled.origin = envelope, origin
        self._open[envelope] = settled
        return settled

    def _taken(self) -> Envelope | None:
        envelope, self._given = self._given, None  # a message may hold much
        return envelope

    def put(self, envelope: Envelope) -> Envelope | None:
        """Accept a message."""
        lost = super().put(envelope)
        self._given = envelope
        return lost

    def put_back(self, envelopes: list[Envelope]) -> None:
        """Put messages back; one that comes again after a crash is still open."""
        for again in envelopes:
            before = next((one for one in self._open if one.message is again.message and again.redelivered), None)
            if before is not None:
                self._open[again] = settling = self._open.pop(before)
                settling.envelope = again
        super().put_back(envelopes)

    def ack(self, envelope: Envelope) -> None:
        """Tell the router that a message is settled."""
        settling = self._open.pop(envelope, None)
        if settling is not None and not settling.done():
            settling.answer(None)

    def router_turn(self, envelope: Envelope) -> Turn | None:
        """Return the handler of the router that waits for a message; None if there is none."""
        settled = self._open.get(envelope)
        return None if settled is None else settled.origin.turn

    def before(self, envelope: Envelope) -> None:
        """Return None: the router keeps the order, so no message waits for another one here."""


class Replicas(Children):
    """The children of a router: actors of one spec, any of which may handle a message."""

    stops_together = True

    def __init__(
        self, actor: AsyncioActor, spec: ChildSpec, routing: Routing, intensity: RestartIntensity,
        backoff: Backoff | None,
    ) -> None:  # fmt: skip
        super().__init__(actor, "one_for_one", intensity, backoff, "never")
        self._routing: Routing = routing
        self._spec = spec
        self._leaving: set[str] = set()
        self._turn = -1

    @property
    def staying(self) -> list[ChildState]:
        """The replicas, without those that go after the messages that they have."""
        return [child for child in self.states.values() if child.name not in self._leaving]

    @property
    def places(self) -> int:
        """Messages that one replica handles at the same time."""
        return getattr(self._spec.actor_class, "max_concurrency", 1)

    def specs(self, number: int) -> list[ChildSpec]:
        """Return the specs of so many more replicas."""
        names = (f"{self._spec.name}#{place}" for place in count(1))
        return [self._named(name) for name in islice((one for one in names if one not in self.states), number)]

    def _named(self, name: str) -> ChildSpec:
        return replace(self._spec, name=name, mailbox=MailboxConfig(_UNBOUNDED, factory=ReplicaMailbox))

    def follow(self, spec: ChildSpec) -> None:
        """Make the replicas by another spec, from their next life on; how much they do at once holds now."""
        self._spec = spec
        for child in self.states.values():
            self.update(child, self._named(child.name))

    def fit(self, replicas: int | None = None) -> None:
        """Let the router take as many messages as its replicas have places."""
        cell = cell_of(self.actor)
        most = 1 if is_serial(cell) else (replicas or len(self.staying) or 1) * self.places
        if most != cell.max_concurrency:
            cell.max_concurrency = most
            if cell.open:
                wake(cell)

    def dismiss(self, child: ChildState) -> None:
        """Give a replica no more messages, and end it when it has none."""
        self._leaving.add(child.name)
        self.settled(child)

    def settled(self, child: ChildState) -> None:
        """End a replica that is to go, if it has no message."""
        if child.name in self._leaving and not (child.cell is not None and (_load(child) or child.cell.parked)):
            self.take_down(child).add_done_callback(partial(self._gone, child))

    def _gone(self, child: ChildState, _: object) -> None:
        self._leaving.discard(child.name)
        self.remove(child)

    def choose(self) -> ChildState:
        """Return the replica for the next message. One that is between two lives gets messages if no other lives.

        Raises:
            ActorStoppingError: there is none; the router crashes, so that its supervisor starts all of them anew.
        """
        self.fit()  # an update of the router itself has set the number of its class
        alive = [child for child in self.staying if child.cell is not None and not child.cell.mailbox.closed]
        if not alive:
            raise ActorStoppingError(f"router {cell_of(self.actor).name}: all replicas have ended for good")
        ready = [child for child in alive if cast("Cell", child.cell).open] or alive
        self._turn = (self._turn + 1) % len(ready)
        in_turn = ready[self._turn :] + ready[: self._turn]
        if self._routing == "round_robin":
            return next((child for child in in_turn if _load(child) < self.places), in_turn[0])
        return min(in_turn, key=_load)


def is_serial(cell: Cell) -> bool:
    """Return True if only one message at a time keeps those of one memory in order, as the mailbox does not."""
    return getattr(cell.factory, "is_serial", False) and not hasattr(cell.mailbox, "before")


def _load(child: ChildState) -> int:
    cell = cast("Cell", child.cell)
    return len(cell.mailbox) + len(cell.turns or ())


def workers_of(refs: Iterable[ActorRef[Any]]) -> Iterator[Cell]:
    """Yield what handles the messages that are sent to refs: the replicas in the place of a router."""
    for ref in refs:
        cell: Cell = ref._cell  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] - the engine's own
        if isinstance(cell.supervision, Replicas):
            yield from tuple(cell.children or ())
        else:
            yield cell
