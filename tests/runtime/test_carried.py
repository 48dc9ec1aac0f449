"""Context variables that cross a mailbox: those that `carry` was told, and no others between actors of users."""

import asyncio
from collections.abc import Iterator
from contextvars import Context, ContextVar
from typing import Any

import pytest

from actors import carry
from actors.runtime.actor import AsyncioActor
from actors.runtime.system import ActorSystem
from protocols import context as engine

tenant: ContextVar[str] = ContextVar("tenant", default="none")
other: ContextVar[str] = ContextVar("other", default="none")


@pytest.fixture(autouse=True)
def forget() -> Iterator[None]:
    yield
    engine._registered.clear()  # pyright: ignore[reportPrivateUsage]
    engine.kinds.clear()


class Reader(AsyncioActor):
    """Answers with what it sees."""

    def on_receive(self, message: Any) -> tuple[str, str]:
        """Read the variables."""
        return tenant.get(), other.get()


class Relay(AsyncioActor):
    """Asks another actor."""

    async def on_receive(self, message: Any) -> Any:
        """Pass the message on."""
        return await message.ask("read")


async def test_a_variable_is_carried_between_actors_once_it_is_registered(actor_system: ActorSystem) -> None:
    reader = actor_system.start(Reader)
    tenant.set("north")
    assert await reader.ask("read") == ("none", "none")

    assert carry(tenant) is tenant

    other.set("left behind")
    assert await reader.ask("read") == ("north", "none")
    assert await actor_system.start(Relay).ask(reader) == ("north", "none")
    assert await asyncio.to_thread(reader.ask, "read", block=True) == ("north", "none")


async def test_a_variable_that_was_alone_before_it_was_registered_is_carried(actor_system: ActorSystem) -> None:
    reader = actor_system.start(Reader)

    async def alone() -> Any:
        tenant.set("alone")
        return await reader.ask("read"), carry(tenant), await reader.ask("read")

    before, _, after = await asyncio.create_task(alone(), context=Context())
    assert (before, after) == (("none", "none"), ("alone", "none"))


async def test_a_handler_sees_nothing_of_the_message_before_it(actor_system: ActorSystem) -> None:
    carry(tenant)
    reader = actor_system.start(Reader)

    token = tenant.set("a")
    first = reader.ask("read")
    tenant.reset(token)
    second = reader.ask("read")

    assert (await first, await second) == (("a", "none"), ("none", "none"))


def test_what_is_no_variable_is_refused() -> None:
    name: Any = "tenant"
    with pytest.raises(TypeError, match="takes a ContextVar, got 'tenant'"):
        carry(name)


def test_variables_without_end_are_refused() -> None:
    for _ in range(1000):
        carry(ContextVar("of a call"))
    with pytest.raises(ValueError, match=r"1000 variables already; make 'tenant' once, in a module"):
        carry(tenant)
    assert len(engine._registered) == 1000  # pyright: ignore[reportPrivateUsage]
