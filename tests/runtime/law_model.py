"""The world of the laws: actors that do what their messages say, and a ledger of what happened to them."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from actors.runtime.actor import AsyncioActor
from actors.runtime.errors import ActorStoppingError, MailboxFullError, Reject
from actors.runtime.mailbox import MailboxConfig
from actors.runtime.options import StartOptions, SystemConfig
from actors.testing.scheduler import close
from protocols.control import ActorState, Terminated
from protocols.mailbox import Overflow
from tests.runtime.conftest import actor_of, cell_of, stash_of
from tests.support.actors import Restarter

if TYPE_CHECKING:
    from actors.runtime.cell import Cell
    from actors.runtime.future import AsyncioFuture
    from actors.runtime.ref import ActorRef
    from actors.runtime.system import ActorSystem
    from actors.testing import ManualClock

CONFIG = SystemConfig(grace=1.0, stop_timeout=10.0, start_timeout=10.0)
NOBODY = -1
"""Sender of the asks that workers make by themselves; they have no order of their own."""
KINDS = ("quick", "yields", "sleeps", "deaf", "crash", "late crash", "reject", "exit", "stash", "unstash", "ask")


@dataclass
class Order:
    """One message: who sent it, its number from that sender, and what its handler is to do."""

    sender: int
    number: int
    kind: str
    to: Any = None


@dataclass
class Ledger:
    """What happened, over all incarnations of one actor."""

    running: int = 0
    most_at_once: int = 0
    seen: list[tuple[int, int]] = field(default_factory=list)
    """(sender, number) in the order in which handlers began."""
    ended: list[Terminated] = field(default_factory=list)


class Worker(AsyncioActor):
    """Does what its messages say."""

    mailbox = MailboxConfig(capacity=20, overflow=Overflow.REJECT)

    def __init__(self, ledger: Ledger) -> None:
        super().__init__()
        self.ledger = ledger

    async def on_receive(self, message: Order) -> Any:
        ledger = self.ledger
        if message.kind == "stash":
            self.stash()
            message.kind = "quick"
            return None
        ledger.seen.append((message.sender, message.number))
        ledger.running += 1
        ledger.most_at_once = max(ledger.most_at_once, ledger.running)
        try:
            return await self._work(message)
        finally:
            ledger.running -= 1

    async def _work(self, message: Order) -> Any:  # noqa: C901 - one case for each kind
        match message.kind:
            case "yields":
                await asyncio.sleep(0)
            case "sleeps":
                await asyncio.Event().wait()
            case "deaf":
                await _deaf(self)
            case "crash":
                raise ValueError("crash")
            case "late crash":
                await asyncio.sleep(0)
                raise ValueError("late crash")
            case "reject":
                raise Reject("no")
            case "exit":
                raise GeneratorExit
            case "unstash":
                self.unstash()
            case "ask":
                return await message.to.ask(Order(NOBODY, 0, "quick"), timeout=2)
            case _:
                pass
        return message.number

    def on_terminated(self, terminated: Terminated) -> None:
        self.ledger.ended.append(terminated)


async def _deaf(worker: Worker) -> None:
    # Ignores its cancellation twice; what is cut loose is no handler of the actor any more.
    for _ in range(2):
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            if cell_of(worker.actor_ref).actor is not worker:
                raise


class LawModel:
    """The actors of one run, and the laws."""

    def __init__(self, system: ActorSystem, clock: ManualClock) -> None:
        self.clock = clock
        self.system = system
        self.parent = system.start(Restarter, name="parent")
        self.ledgers: dict[ActorRef[Any], Ledger] = {}
        self.cells: list[Cell] = [cell_of(self.parent)]
        self.asks: list[AsyncioFuture[Any]] = []
        self.numbers: defaultdict[tuple[int, Any], int] = defaultdict(int)
        self.stashes = False
        self.watches: Counter[tuple[Any, Any]] = Counter()

    @property
    def refs(self) -> list[ActorRef[Any]]:
        return list(self.ledgers)

    def start(self, supervised: bool, limit: int = 20) -> None:
        options = StartOptions(
            name=f"w{len(self.ledgers)}",
            parent=cell_of(self.parent) if supervised else None,
            mailbox=MailboxConfig(capacity=limit),
        )
        ledger = Ledger()
        ref = self.system.start(Worker, (ledger,), options=options)
        self.ledgers[ref] = ledger
        self.cells.append(cell_of(ref))

    def order(self, ref: ActorRef[Any], sender: int, kind: str, to: ActorRef[Any] | None = None) -> Order:
        self.numbers[sender, ref] += 1
        self.stashes = self.stashes or kind == "stash"
        return Order(sender, self.numbers[sender, ref], kind, to)

    def tell(self, ref: ActorRef[Any], order: Order) -> None:
        try:
            ref.tell(order)
        except (ActorStoppingError, MailboxFullError):
            return

    def ask(self, ref: ActorRef[Any], order: Order, timeout: float) -> None:
        self.asks.append(ref.ask(order, timeout=timeout))

    def watch(self, watcher: ActorRef[Any], target: ActorRef[Any]) -> None:
        actor = actor_of(cell_of(watcher))
        if actor is not None:
            self.watches[watcher, target] += cell_of(target) not in (cell_of(watcher).watching or ())
            actor.watch(target)

    # -- laws -----------------------------------------------------------------------------------------------------

    def check(self) -> None:
        """Everything that must hold at every moment of rest."""
        for cell in self.cells:
            waiting = len(cell.mailbox) + stash_of(cell) + sum(turn.envelope.accepted for turn in cell.turns or ())
            settled = cell.handled + cell.failed + cell.dead
            assert cell.accepted == settled + waiting, (
                f"{cell.name} ({cell.state}): accepted {cell.accepted}, handled {cell.handled}, failed {cell.failed}, "
                f"dead {cell.dead}, waiting {waiting}"
            )
        for ref, ledger in self.ledgers.items():
            at_once = ledger.most_at_once
            assert at_once <= 1 + cell_of(ref).abandoned_turns, f"{ref}: {at_once} handlers at once"
            told = Counter(terminated.ref for terminated in ledger.ended)
            for ended, times in told.items():
                assert times <= self.watches[ref, ended], f"{ref} was told {times} times of the end of {ended}"

    def check_order(self) -> None:
        """Messages of one sender were begun in the order in which they were sent, unless some were stashed."""
        if self.stashes:
            return
        for ref, ledger in self.ledgers.items():
            last: dict[int, int] = {}
            for sender, number in ledger.seen:
                if sender == NOBODY:
                    continue
                assert number > last.get(sender, 0), f"{ref}: message {number} of sender {sender} came too late"
                last[sender] = number

    async def end(self) -> None:
        """After the last deadline every ask is settled; after the end every actor is."""
        await self.clock.advance(100)
        assert all(ask.done() for ask in self.asks)
        self.check()
        await close(self.system, self.clock)
        self.check()
        assert all(cell.state is ActorState.STOPPED for cell in self.cells)
        assert all(cell.accepted == cell.handled + cell.failed + cell.dead for cell in self.cells)
        assert self.clock.pending == 0, "a timer outlived the system"
