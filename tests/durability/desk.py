"""A play of plain actors: one asks another and tells a third."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import msgspec

from actors import ActorJournal, ActorSystem, AsyncioActor, Durable, delivery
from tests.durability.order import PATIENCE
from tests.durability.plays import Shop

if TYPE_CHECKING:
    from protocols.journal import MailboxJournal
    from tests.durability.order import Log


class Message(msgspec.Struct, frozen=True):
    """What plain actors are sent."""

    text: str


class Clerk(AsyncioActor):
    """Has an effect, then asks one actor and tells another one, if it has them."""

    durable = Durable(Message)

    def __init__(self, name: str, log: Log, bank: Any = None, book: Any = None) -> None:
        super().__init__()
        self.name = name
        self.log = log
        self.bank = bank
        self.book = book

    async def on_receive(self, message: Message) -> str:
        """Handle a message."""
        here = delivery()
        self.log("effect", self.name, message.text, here.attempt, here.key)
        await asyncio.sleep(0)
        if self.bank is not None:
            answer = await self.bank.ask(message, timeout=PATIENCE)
            if answer != message.text:
                self.log("wrong", self.name, message.text, answer)
            self.book.tell(message)
        return message.text


class Desk(Shop):
    """Two senders, of which each third message is an ask."""

    async def live(self, journal: MailboxJournal) -> None:
        """Live once."""
        keeper = ActorJournal(journal, deliveries=self.order.deliveries)
        async with ActorSystem("shop", journal=keeper) as system:
            bank, book = (system.start(Clerk, (name, self.log), name=name) for name in ("bank", "book"))
            desk = system.start(Clerk, ("desk", self.log, bank, book), name="desk")
            self.log("opened")
            await asyncio.gather(*(self._send(desk, sender) for sender in "ab"))
            while await journal.counts():
                pass

    async def _send(self, desk: Any, sender: str) -> None:
        for number in range(self.order.messages * 3):
            text = f"{sender}:{self.order.life * 100 + number}"
            await (desk.send(Message(text)) if number % 3 else desk.ask(Message(text), timeout=PATIENCE))
            self.log("accepted", "desk", text, True)
