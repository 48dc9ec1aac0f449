"""Actors as users write them: what they take and reply is known to those who have a ref."""

from typing import Any, assert_type

import pykka
from pykka.typing import ActorMemberMixin, proxy_field, proxy_method

from actors.runtime.actor import AsyncioActor
from actors.runtime.future import AsyncioFuture
from actors.runtime.ref import ActorRef
from actors.runtime.system import ActorSystem
from protocols.handle import Receives


class Order:
    pass


class Bill:
    pass


class Shop(AsyncioActor):
    async def on_receive(self, message: Order) -> Bill:
        return Bill()


class Counter(AsyncioActor):
    n: int = 0

    def add(self, by: int) -> int:
        self.n += by
        return self.n

    def __init__(self, first: int = 0) -> None:
        super().__init__()
        self.n = first

    def on_receive(self, message: int | str) -> int:
        return self.n


class CounterProxy(ActorMemberMixin, pykka.ActorProxy[Any]):
    n = proxy_field(Counter.n)
    add = proxy_method(Counter.add)


class Later(AsyncioActor):
    def on_receive(self, message: Order) -> None:
        self.take_reply()  # answers later


class Anything(AsyncioActor):
    def on_receive(self, message: Any) -> Any:
        return message


async def a_reply_has_the_type_that_the_handler_returns() -> None:
    shop, counter = Shop.start(), Counter.start(5)

    assert_type(shop, ActorRef[Shop])
    assert_type(shop.ask(Order()), AsyncioFuture[Bill])
    assert_type(await shop.ask(Order(), timeout=3), Bill)
    assert_type(shop.ask(Order(), block=True), Bill)
    assert_type(shop.ask(Order(), block=False), AsyncioFuture[Bill])
    assert_type(await counter.ask("n"), int)
    assert_type(counter.ask(1, block=True), int)
    assert_type(await Anything.start().ask(5), Any)
    assert_type(await Later.start().ask(Order()), Any)


async def only_messages_that_the_handler_takes_are_sent() -> None:
    shop, counter = Shop.start(), Counter.start()

    shop.tell(Order())
    await shop.send(Order())
    counter.tell("n")
    shop.tell("n")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportAttributeAccessIssue]
    await shop.send(5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportAttributeAccessIssue]
    counter.ask(Order())  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
    shop.stop(mode="later")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]


async def a_ref_may_name_the_messages_and_not_the_class(system: ActorSystem) -> None:
    async def buy(seller: ActorRef[Receives[Order, object]]) -> None:
        seller.tell(Order())
        seller.tell("n")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportAttributeAccessIssue]

    counts: ActorRef[Receives[int, int]] = system.start(Counter)
    assert_type(await counts.ask(1), int)
    base: ActorRef[AsyncioActor] = Shop.start()
    await buy(system.start(Shop))
    await buy(Anything.start())
    await buy(base)
    await buy(Counter.start())  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


async def a_stop_is_awaited_or_blocks() -> None:
    shop = Shop.start()

    assert_type(await shop.stop(mode="now"), bool)
    assert_type(shop.stop(block=True), bool)
    assert_type(await shop.ready(), ActorRef[Shop])


async def a_proxy_is_declared_as_with_pykka() -> None:
    proxy: CounterProxy = Counter.start().proxy()

    assert_type(await proxy.add(1), int)
    assert_type(await proxy.n, int)
    proxy.add("n")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
