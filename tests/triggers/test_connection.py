from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from actors.config.trigger import ConnectionTrigger
from actors.testing.settle import settle
from actors.triggers import TriggerRequest, plan_triggers
from actors.triggers.connection import TalkFilter
from protocols.events import TalkProcessed
from protocols.triggers import ConnectionEvent, TriggerConfigError
from tests.triggers.stage import RecordingNode, perform, raise_curtain

if TYPE_CHECKING:
    from actors.runtime.system import ActorSystem
    from protocols.triggers import TalkEventName


def talk(event: TalkEventName, **keys: Any) -> ConnectionTrigger:
    return ConnectionTrigger(type="connection", name="c", event=event, **keys)


def publish(system: ActorSystem, message_id: str, **fields: Any) -> None:
    fields = {"talk": "k", "source": "a", "targets": ("b",), **fields}
    system.events.publish(TalkProcessed, message_id=message_id, **fields)


def play_all(system: ActorSystem) -> None:
    publish(system, "passed")
    publish(system, "forwarded", connection_type="forward")
    publish(system, "filtered", targets=())
    publish(system, "held", queued=True)
    publish(system, "held")


@pytest.mark.parametrize(
    ("event", "messages"),
    [
        ("message_received", ["passed", "forwarded", "filtered", "held"]),
        ("message_processed", ["passed", "forwarded", "held"]),
        ("message_forwarded", ["forwarded"]),
        ("queue_filled", ["held"]),
        ("queue_triggered", ["held"]),
    ],
)
async def test_each_kind_of_event_starts_its_runs(
    actor_system: ActorSystem, event: TalkEventName, messages: list[str]
) -> None:
    node = RecordingNode()
    await raise_curtain(actor_system, [talk(event)], node)

    play_all(actor_system)
    await settle()

    events: list[Any] = node.events
    assert [each.message_id for each in events] == messages
    first: ConnectionEvent = events[0]
    assert (first.connection, first.sender, first.event) == ("k", "a", event)


@pytest.mark.parametrize(
    ("keys", "count"),
    [({"source": "a"}, 2), ({"source": "x"}, 0), ({"target": "b"}, 1), ({"source": "a", "target": "c"}, 1)],
)
async def test_only_the_connections_of_the_named_nodes_count(
    actor_system: ActorSystem, keys: dict[str, str], count: int
) -> None:
    node = RecordingNode()
    await raise_curtain(actor_system, [talk("message_processed", **keys)], node)

    publish(actor_system, "1")
    publish(actor_system, "2", targets=("c",))
    await settle()

    assert len(node.events) == count


async def test_a_condition_decides_and_a_broken_one_starts_nothing(actor_system: ActorSystem) -> None:
    node = RecordingNode()
    config = talk("message_processed", condition="message.tokens > 1")

    def predicate(event: TalkProcessed) -> bool:
        if event.message_id == "broken":
            raise ValueError
        return event.message_id == "yes"

    plan = plan_triggers([TriggerRequest("n", config, node, predicate)])
    stage = await perform(actor_system, plan)

    for message_id in ("yes", "no", "broken"):
        publish(actor_system, message_id)
    await settle()

    assert len(node.events) == 1
    assert stage.refs["n/c"].incarnation == 1


def test_a_condition_needs_something_that_evaluates_it() -> None:
    config = talk("message_processed", condition="message.tokens > 1")

    with pytest.raises(TriggerConfigError, match="'n/c' has a condition"):
        plan_triggers([TriggerRequest("n", config, RecordingNode())])


async def test_a_stopped_trigger_listens_no_more(actor_system: ActorSystem) -> None:
    node = RecordingNode()
    stage = await raise_curtain(actor_system, [talk("message_processed")], node)
    listened = actor_system.events.wants(TalkProcessed)

    await stage.supervisor.stop(block=False)

    assert listened
    assert not actor_system.events.wants(TalkProcessed)


async def test_what_waits_in_queues_is_remembered_within_a_bound(
    actor_system: ActorSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("actors.triggers.connection.MOST_QUEUED", 2)
    node = RecordingNode()
    await raise_curtain(actor_system, [talk("queue_triggered")], node)

    for message_id in "123":
        publish(actor_system, message_id, queued=True)
    for message_id in "123":
        publish(actor_system, message_id)
    await settle()

    assert [event.message_id for event in node.events] == ["2", "3"]  # type: ignore[attr-defined]


def test_a_filter_alone_can_be_asked() -> None:
    wanted = TalkFilter("message_forwarded", target="b")

    assert wanted.fits(TalkProcessed(targets=("b",), connection_type="forward"), was_queued=False)
    assert not wanted.fits(TalkProcessed(targets=("b",)), was_queued=False)
