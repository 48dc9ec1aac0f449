"""Keys of connections: when they deliver, how, and when they end everything."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from actors.agents.agent import Agent
from actors.config.load import parse_manifest
from actors.pool.pool import AgentPool
from actors.runtime.system import ActorSystem
from actors.testing.clock import ManualClock
from actors.testing.models import scripted_model
from actors.testing.settle import settle
from tests.pool.manifest_functions import SEEN

HERE = "tests.pool.manifest_functions"


@pytest.fixture(autouse=True)
def forget() -> None:
    """Begin without notes."""
    SEEN.clear()


def pool_of(connections: str, more: str = "", **options: Any) -> AgentPool[None]:
    """Make a pool in which `a` shouts and `b` takes notes."""
    text = f"""
allow_imports: [tests.pool]
agents:
  a: {{type: callback, callback: "{HERE}:shout", connections: {connections}}}
  b: {{type: callback, callback: "{HERE}:note"}}
{more}
"""
    return AgentPool[None](parse_manifest(text), **options)


@pytest.mark.parametrize("target", ["type: node, name: b", f"type: callable, callable: '{HERE}:note'"])
@pytest.mark.parametrize(
    ("strategy", "expected"), [("latest", ["C"]), ("concat", ["B\n\nC"]), ("buffer", ["B", "C"]), (None, ["C"])]
)
async def test_a_queued_connection_keeps_as_many_messages_as_it_may_and_hands_them_over_by_its_strategy(
    target: str, strategy: str | None, expected: list[str], no_leaked_actors: None
) -> None:
    how = "" if strategy is None else f"queue_strategy: {strategy}, "
    queue = f"queued: true, {how}queue: {{capacity: 2, overflow: drop_oldest}}"
    async with pool_of(f"[{{{target}, {queue}}}]") as pool:
        for prompt in "abc":
            await pool["a"].run(prompt)
        assert SEEN == []
        (talk,) = pool.connection_registry.values()
        await talk.trigger()

    assert expected == SEEN


async def test_a_delay_is_waited_for() -> None:
    clock = ManualClock()
    late = "{type: node, name: b, delay: 5s, wait_for_completion: false}"
    async with ActorSystem(clock=clock) as system, pool_of(f"[{late}]", system=system) as pool:
        await pool["a"].run("hi")
        await settle()
        assert SEEN == []
        await clock.advance(5.0)
        await settle()

    assert SEEN == ["HI"]


async def test_connections_with_a_lower_priority_come_first(no_leaked_actors: None) -> None:
    calls = [f"{{type: callable, callable: '{HERE}:note', kw_args: {{mark: {mark}}}" for mark in ("x", "y", "z")]
    connections = f"[{calls[0]}, priority: 5}}, {calls[1]}, priority: -1}}, {calls[2]}}}]"
    async with pool_of(connections) as pool:
        talks: Any = pool["a"].talks
        order = [talk.target.name for talk in talks]

    assert order == ["a-note-2", "a-note-3", "a-note"]


@pytest.mark.parametrize("wait", ["true", "false", None])
async def test_a_run_waits_for_a_connection_only_where_the_manifest_says_so(
    wait: str | None, no_leaked_actors: None
) -> None:
    gate: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def hold(text: str) -> str:
        await gate
        return text

    more = "  c: {}\n"
    said = f", wait_for_completion: {wait}" if wait else ""
    async with pool_of(f"[{{type: node, name: c{said}}}]", more) as pool:
        await pool.replace_node("c", Agent.from_callback(hold, name="c"))
        run = asyncio.ensure_future(pool["a"].run("hi"))
        await settle()
        is_done = run.done()
        gate.set_result(None)
        await run

    assert is_done is (wait != "true")


async def test_an_exit_condition_asks_the_system_to_end() -> None:
    connection = "{type: node, name: b, exit_condition: {type: word_match, words: [bye]}}"
    system = ActorSystem()
    async with pool_of(f"[{connection}]", system=system) as pool:
        await pool["a"].run("hello", wait_for_connections=True)
        before = system.exit_reason
        await pool["a"].run("bye")
        await system.close()

    assert before is None
    assert "the exit condition of talk" in str(system.exit_reason)
    assert SEEN == ["HELLO"]


async def test_a_connection_gives_context_or_passes_on_instead_of_running(no_leaked_actors: None) -> None:
    more = "  c: {connections: [{type: node, name: b}]}\n  d: {}\n"
    connections = "[{type: node, name: c, connection_type: forward}, {type: node, name: d, connection_type: context}]"
    model = scripted_model(["answer of d"])
    async with pool_of(connections, more, model=model) as pool:
        await pool["a"].run("hi", wait_for_connections=True)
        assert SEEN == ["HI"]  # passed on through c, which did not run
        assert model.requests == []
        await pool.agent("d").run("and?")

    assert "HI" in str(model.requests[0].messages)


@pytest.mark.parametrize(("each", "expected"), [("true", 2), ("false", 1)])
async def test_a_team_sends_one_message_or_one_per_member(each: str, expected: int, no_leaked_actors: None) -> None:
    shout = f"type: callback, callback: '{HERE}:shout'"
    more = f"""  x: {{{shout}}}
teams:
  t: {{mode: parallel, members: [a, x], connections: [{{type: node, name: b, per_member: {each}}}]}}
"""
    async with pool_of("[]", more) as pool:
        await pool["t"].run("hi", wait_for_connections=True)

    assert len(SEEN) == expected


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("{type: token_threshold, max_tokens: 10, count_type: total}", 1),
        ("{type: token_threshold, max_tokens: 1000000, count_type: total}", 0),
        ("{type: token_threshold, max_tokens: 10, count_type: prompt}", 1),
        ("{type: token_threshold, max_tokens: 10, count_type: completion}", 0),
    ],
)
async def test_tokens_are_counted_as_the_manifest_says(condition: str, expected: int, no_leaked_actors: None) -> None:
    text = f"""
allow_imports: [tests.pool]
agents:
  a: {{connections: [{{type: node, name: b, filter_condition: {condition}}}]}}
  b: {{type: callback, callback: "{HERE}:note"}}
"""
    async with AgentPool[None](parse_manifest(text), model=scripted_model(["ok"])) as pool:
        answer = await pool["a"].run("word " * 50, wait_for_connections=True)

    assert answer.usage.output_tokens < 10 < answer.usage.input_tokens
    assert len(SEEN) == expected
