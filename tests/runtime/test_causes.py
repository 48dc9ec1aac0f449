"""Whoever cannot be answered because an actor has ended is told why it has ended."""

import asyncio
import re
from collections.abc import Iterator
from typing import Any

import pytest
from pykka import ActorDeadError

from actors import AsyncioActor, Backoff, ChildSpec, RestartIntensity, Supervisor
from actors.runtime.errors import ActorStartError, ActorStoppingError, RestartIntensityExceededError
from actors.runtime.system import ActorSystem

pytestmark = pytest.mark.usefixtures("no_leaked_actors")


class Closed(AsyncioActor):
    """Cannot start."""

    async def on_start(self) -> None:
        raise LookupError("no database")


class Once(AsyncioActor):
    """Starts once; a message of text ends the life."""

    lives = 0

    async def on_start(self) -> None:
        type(self).lives += 1
        if self.lives > 1:
            raise LookupError("no database")

    def on_receive(self, message: object) -> object:
        if message == "crash":
            raise KeyError("state")
        return message


def causes(error: BaseException | None) -> Iterator[type[BaseException]]:
    while error is not None:
        yield type(error)
        error = error.__cause__


async def test_asks_before_and_after_a_failed_start_have_its_cause() -> None:
    ref = Closed.start()
    first = ref.ask("early")
    for ask in (first, None):
        with pytest.raises(ActorStoppingError, match=r"could not start: LookupError: no database$") as caught:
            await (ref.ask("late") if ask is None else ask)
        assert list(causes(caught.value)) == [ActorStoppingError, ActorStartError, LookupError]
    with pytest.raises(ActorStoppingError, match="no database"):
        ref.tell("late")
    with pytest.raises(ActorStoppingError, match="no database"):
        await asyncio.to_thread(ref.tell, "late")
    with pytest.raises(ActorDeadError) as caught_by_proxy:
        ref.proxy()
    assert LookupError in causes(caught_by_proxy.value)


async def test_what_waits_for_a_restart_that_never_comes_has_the_cause() -> None:
    Once.lives = 0
    supervisor = Supervisor.start(
        [ChildSpec(Once, name="once"), ChildSpec(AsyncioActor, name="other")],
        intensity=RestartIntensity(limit=1, period=5.0),
        backoff=Backoff.none(),
    )
    await supervisor.ready()
    once, other = [child.ref for child in await supervisor.proxy().children()]
    assert once is not None
    assert other is not None
    crash, queued = once.ask("crash"), once.ask("queued")
    with pytest.raises(KeyError):
        await crash
    with pytest.raises(ActorStoppingError, match="no database"):
        await queued
    with pytest.raises(ActorStoppingError, match=r"supervisor 'Supervisor' gave up on 'once'.*no database") as caught:
        await other.ask("bystander")

    kinds = list(causes(caught.value))
    assert kinds == [ActorStoppingError, RestartIntensityExceededError, ActorStartError, LookupError]


async def test_an_actor_that_was_stopped_names_no_earlier_failure() -> None:
    supervisor = Supervisor.start([ChildSpec(AsyncioActor, name="a")], backoff=Backoff.none())
    await supervisor.ready()
    (child,) = await supervisor.proxy().children()
    assert child.ref is not None
    with pytest.raises(Exception, match="no handler"):
        await child.ref.ask("unknown")
    await supervisor.stop()
    with pytest.raises(ActorStoppingError, match=r"not found$") as caught:
        await child.ref.ask("late")

    assert caught.value.__cause__ is None


class Asker(AsyncioActor):
    """Asks the next actor of a row; the last one breaks."""

    def __init__(self, others: list[Any]) -> None:
        super().__init__()
        self.others = others

    async def on_receive(self, message: Any) -> Any:
        if not self.others:
            raise LookupError("no database")
        return await self.others[0].ask(message)


async def test_the_text_of_an_end_names_the_first_failure_only_and_no_actor_as_running(
    actor_system: ActorSystem,
) -> None:
    row: list[Any] = []
    for place in range(4):
        row.insert(0, actor_system.start(Asker, (row[:1],), name=f"a{place}"))
    for ref in reversed(row):
        with pytest.raises((LookupError, ActorStoppingError)):
            await ref.ask("go")

    with pytest.raises(ActorStoppingError) as caught:
        row[0].tell("late")

    assert re.fullmatch(
        r"a3 \(urn:uuid:[-0-9a-f]+, (stopping|stopped)\) not found: LookupError: no database", str(caught.value)
    )
    assert list(causes(caught.value)) == [*[ActorStoppingError] * 4, LookupError]
