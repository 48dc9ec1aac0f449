"""The stats actor listens to the events of its system and answers with numbers."""

from typing import Any

import pytest

from actors.runtime.mailbox import MailboxConfig
from actors.runtime.system import ActorSystem
from actors.stats.projection import Projection, StatsSnapshot
from actors.stats.stats_actor import ReadStats, StatsActor
from actors.testing.settle import settle
from protocols.events import MessageSent, RunStarted


class Small(StatsActor):
    """Has room for three events only."""

    mailbox = MailboxConfig(capacity=3)


async def read(ref: Any) -> StatsSnapshot:
    snapshot: StatsSnapshot = await ref.ask(ReadStats())
    return snapshot


async def test_an_answer_holds_every_event_before_it(actor_system: ActorSystem) -> None:
    stats = await actor_system.start(StatsActor, name="stats").ready()
    for number in range(50):
        actor_system.events.publish(MessageSent, actor="a", run_id=str(number), input_tokens=2)

    snapshot = await read(stats)

    assert (snapshot.total.messages, snapshot.total.input_tokens, snapshot.dropped_events) == (50, 100, 0)


async def test_a_full_mailbox_loses_events_and_says_so_without_harming_the_publisher(actor_system: ActorSystem) -> None:
    stats = await actor_system.start(Small, name="stats").ready()
    for _ in range(10):
        actor_system.events.publish(RunStarted, actor="a", run_id="1")
    await settle()

    snapshot = await read(stats)

    assert snapshot.total.runs + snapshot.dropped_events == 10
    assert snapshot.dropped_events > 0


async def test_a_dead_stats_actor_is_no_subscriber_any_more(actor_system: ActorSystem) -> None:
    stats = await actor_system.start(StatsActor, name="stats").ready()
    assert actor_system.events.wants(RunStarted)
    await stats.stop(block=False)

    actor_system.events.publish(RunStarted, actor="a", run_id="1")

    assert not actor_system.events.wants(RunStarted)


async def test_a_book_from_outside_outlives_the_actor(actor_system: ActorSystem) -> None:
    projection = Projection()
    first = await actor_system.start(StatsActor, (projection,)).ready()
    actor_system.events.publish(RunStarted, actor="a", run_id="1")
    await read(first)
    await first.stop(block=False)
    second = await actor_system.start(StatsActor, (projection,)).ready()
    actor_system.events.publish(RunStarted, actor="a", run_id="2")

    assert (await read(second)).total.runs == 2


@pytest.mark.parametrize("message", ["numbers, please", 5, None])
async def test_other_messages_are_refused_and_do_no_harm(actor_system: ActorSystem, message: object) -> None:
    stats = await actor_system.start(StatsActor, name="stats").ready()

    with pytest.raises(Exception, match="has no handler for"):
        await stats.ask(message)

    assert (await read(stats)).total.runs == 0
