"""Durable plain actors of the tests, and their messages."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec

from actors import ActorSystem, AsyncioActor, Durable, Reject, delivery

if TYPE_CHECKING:
    from collections.abc import Sequence


class Charge(msgspec.Struct, frozen=True):
    amount: int


class Refund(msgspec.Struct, frozen=True):
    amount: int


class Ledger(AsyncioActor):
    """Notes what it handles, and then waits for a gate."""

    durable: ClassVar[Durable | None] = Durable(Charge, Refund)

    def __init__(self, seen: list[Any], gate: asyncio.Event | None = None) -> None:
        super().__init__()
        self.seen = seen
        self.gate = gate

    async def on_receive(self, message: Any) -> Any:
        kept = isinstance(message, Charge | Refund)
        self.seen.append((message, delivery().attempt) if kept else message)
        if self.gate is not None:
            await self.gate.wait()
        return message.amount if kept else message


class Billing(AsyncioActor):
    """Tells another actor what it handles, and fails after that if the amount is negative."""

    durable: ClassVar[Durable | None] = Durable(Charge)

    def __init__(self, target: Any) -> None:
        super().__init__()
        self.target = target

    def on_receive(self, message: Charge) -> Any:
        self.target.tell(Charge(message.amount))
        self.target.tell(Refund(message.amount))
        if message.amount < 0:
            raise Reject("nothing is charged")
        return delivery().key


class Asker(AsyncioActor):
    """Asks other actors, one after the other, and then waits for a gate."""

    durable: ClassVar[Durable | None] = Durable(Charge, retries=1, backoff=0.001)

    def __init__(self, told: list[Any], targets: Sequence[Any], gate: asyncio.Event | None = None) -> None:
        super().__init__()
        self.told = told
        self.targets = targets
        self.gate = gate

    async def on_receive(self, message: Charge) -> Any:
        for target in self.targets:
            self.told.append(await target.ask(message))
        if self.gate is not None:
            await self.gate.wait()


def amounts(seen: list[Any]) -> list[int]:
    return [message.amount for message, _ in seen]


async def stop_at_once(system: ActorSystem) -> None:
    """End the actors as a death does: nothing that they handle is finished."""
    await asyncio.gather(*(ref.kill(block=False) for ref in system.actors()))
