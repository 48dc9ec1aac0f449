"""Connection triggers of a real pool: all five events fire, and conditions of the manifest decide."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from actors import AgentPool
from actors.app import TriggerService
from actors.config.load import parse_manifest
from actors.runtime.system import ActorSystem
from actors.testing.settle import settle
from protocols.control import DeadLetterReason
from protocols.errors import ConditionError, ConfigError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from actors.triggers.trigger import TriggerStatistics

MANIFEST = """
allow_imports: [tests.app]
agents:
  a:
    type: callback
    callback: tests.app.manifest_functions:echo
    connections: [{{type: node, name: b, label: k, {options}}}]
  b: {{type: callback, callback: tests.app.manifest_functions:echo}}
  c: {{type: callback, callback: tests.app.manifest_functions:echo}}
  listener:
    type: callback
    callback: tests.app.manifest_functions:echo
    triggers:
      - {{type: connection, name: t, event: {event}, source: a, target: b, include_timestamp: false,
         include_metadata: false, {keys}}}
"""


class Scene:
    """A pool with one connection `k` from `a` to `b`, and what the node `listener` was asked."""

    def __init__(self, pool: AgentPool[Any]) -> None:
        self.pool = pool
        self.asked: list[str] = []
        pool["listener"].message_received.connect(lambda message: self.asked.append(message.text))

    async def say(self, *texts: str) -> None:
        for text in texts:
            await self.pool["a"].run(text, wait_for_connections=True)
        await settle()

    async def release(self) -> None:
        await self.pool["a"].connections.trigger_all()
        await settle()

    @property
    def numbers(self) -> TriggerStatistics:
        triggers = self.pool.service(TriggerService)
        assert triggers is not None
        return triggers.statistics()[0]

    @property
    def texts(self) -> list[str]:
        return [prompt.partition("\n\n")[2] for prompt in self.asked]


@asynccontextmanager
async def scene(event: str, options: str = "connection_type: run", keys: str = "") -> AsyncGenerator[Scene]:
    async with AgentPool[None](parse_manifest(MANIFEST.format(event=event, options=options, keys=keys))) as pool:
        yield Scene(pool)


QUEUED = "queued: true, queue_strategy: {}"
YES = "{type: word_match, words: [yes]}"
NO_X = "filter_condition: {type: not, condition: {type: word_match, words: [x]}}"


@pytest.mark.parametrize(
    ("event", "texts"),
    [("message_received", ["1", "x"]), ("message_processed", ["1", "x"]), ("message_forwarded", ["1"])],
)
@pytest.mark.parametrize("kind", ["run", "context", "forward"])
async def test_a_message_that_is_passed_on_or_filtered_away_is_told(
    event: str, texts: list[str], kind: str, no_leaked_actors: None
) -> None:
    async with scene(event, f"connection_type: {kind}, {NO_X}") as played:
        await played.say("1", "x")

    assert played.texts == texts
    assert played.asked[0].startswith(f"Connection 'k': {event} from 'a' to 'b', message ")


@pytest.mark.parametrize("event", ["queue_filled", "queue_triggered"])
async def test_a_connection_without_a_queue_fills_and_triggers_none(event: str) -> None:
    async with scene(event) as played:
        await played.say("1")

    assert played.texts == []


@pytest.mark.parametrize(("strategy", "released"), [("latest", ["2"]), ("buffer", ["1", "2"]), ("concat", ["1\n\n2"])])
@pytest.mark.parametrize("event", ["message_received", "queue_filled", "queue_triggered", "message_processed"])
async def test_a_queue_that_fills_and_is_triggered_is_told(
    strategy: str, released: list[str], event: str, no_leaked_actors: None
) -> None:
    async with scene(event, QUEUED.format(strategy)) as played:
        await played.say("1", "2")
        waiting = played.texts
        await played.release()

    if event in {"message_received", "queue_filled"}:
        assert (waiting, played.texts) == (["1", "2"], ["1", "2"])
    else:
        assert (waiting, played.texts) == ([], released)


async def test_connections_of_other_nodes_and_of_other_pools_start_nothing(no_leaked_actors: None) -> None:
    async with scene("message_forwarded") as played, scene("message_forwarded") as other:
        played.pool["a"].connect_to(played.pool["c"])
        played.pool["b"].connect_to(played.pool["c"])
        await played.say("1")

    assert (played.texts, other.texts) == (["1"], [])


async def test_a_connection_that_is_made_later_counts_too(no_leaked_actors: None) -> None:
    async with scene("message_forwarded") as played:
        played.pool.connection_registry["k"].disconnect()
        await played.say("1")
        played.pool["a"].connect_to(played.pool["b"])
        await played.say("2")

    assert played.texts == ["2"]


@pytest.mark.parametrize(
    ("condition", "texts"),
    [
        (YES, ["yes 1", "yes 2"]),
        ("\"'yes' in message.content and stats.message_count >= 2\"", ["yes 2"]),
        ("{type: message_count, max_messages: 2}", ["yes 2"]),
        (f"{{type: and, conditions: [{YES}, {{type: message_count, max_messages: 1}}]}}", ["yes 2"]),
        (f"{{type: or, conditions: [{YES}, {{type: message_count, max_messages: 1}}]}}", ["yes 1", "no", "yes 2"]),
        (f"{{type: not, condition: {YES}}}", ["no"]),
        ("{type: callable, predicate: 'tests.app.manifest_functions:is_second'}", ["no"]),
        ("\"source.name == 'a' and target.name == 'c'\"", []),
    ],
)
async def test_a_condition_of_the_manifest_decides(condition: str, texts: list[str], no_leaked_actors: None) -> None:
    async with scene("message_forwarded", keys=f"condition: {condition}") as played:
        await played.say("yes 1", "no", "yes 2")

    assert played.texts == texts


async def test_a_condition_sees_the_numbers_as_they_were_before_the_message_however_late_it_is_asked() -> None:
    async with scene("queue_triggered", QUEUED.format("buffer"), "condition: stats.message_count == 1") as played:
        await played.say("1", "2", "3")
        await played.release()

    assert played.texts == ["2"]


@pytest.mark.parametrize(
    "condition", ["{type: callable, predicate: 'tests.app.manifest_functions:broken'}", "\"message.cost < 'x'\""]
)
async def test_a_condition_that_fails_is_a_dead_letter_and_neither_trigger_nor_connection_notices(
    condition: str, no_leaked_actors: None
) -> None:
    async with scene("message_forwarded", keys=f"condition: {condition}") as played:
        await played.say("1", "2")
        numbers, connection = played.numbers, played.pool.connection_registry["k"]
        system = ActorSystem.of(asyncio.get_running_loop())
        letters = [letter for letter in system.dead_letters if letter.reason is DeadLetterReason.FAILED]

    assert (numbers.accepted, numbers.dead_lettered, numbers.restarts) == (2, 2, 0)
    assert (connection.stats.message_count, connection.stats.error_count) == (2, 0)
    assert [letter.message.text for letter in letters] == ["1", "2"]
    assert all(isinstance(letter.cause, ConditionError) for letter in letters)
    assert "trigger 'listener/t': the condition raised" in str(letters[0].cause)


async def test_a_condition_whose_function_may_not_be_imported_is_refused_before_anything_starts() -> None:
    text = MANIFEST.format(
        event="message_forwarded", options="connection_type: run",
        keys="condition: {type: callable, predicate: 'tests.app.manifest_functions:missing'}",
    )  # fmt: skip
    pool = AgentPool[None](parse_manifest(text))
    with pytest.raises(ConfigError, match=r"'listener'.*missing"):
        await pool.__aenter__()

    assert not pool.is_running
