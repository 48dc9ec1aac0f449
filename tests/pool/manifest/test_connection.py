"""Connections of a manifest: to nodes, files and functions, with conditions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from actors.config.load import load_manifest, parse_manifest
from actors.pool.pool import AgentPool
from protocols.errors import ConfigError
from tests.pool.manifest_functions import SEEN

if TYPE_CHECKING:
    from pathlib import Path

HERE = "tests.pool.manifest_functions"
AGENTS = f"""
allow_imports: [tests.pool]
agents:
  a:
    type: callback
    callback: "{HERE}:shout"
    connections: CONNECTIONS
  b: {{type: callback, callback: "{HERE}:note"}}
teams:
  t: {{mode: parallel, members: [b]}}
"""


@pytest.fixture(autouse=True)
def forget() -> None:
    """Begin without notes."""
    SEEN.clear()


YES, NO, THANK = (f"{{type: word_match, words: ['{word}']}}" for word in ("yes", "no", "thank"))


async def passed(connections: str, *prompts: str) -> list[str]:
    """Run `a` with each prompt and return what `b`, or a function, was given."""
    async with AgentPool[None](parse_manifest(AGENTS.replace("CONNECTIONS", connections))) as pool:
        for prompt in prompts:
            await pool["a"].run(prompt, wait_for_connections=True)
    return list(SEEN)


async def test_an_answer_goes_to_the_node_that_the_manifest_names(no_leaked_actors: None) -> None:
    assert await passed("[{type: node, name: b}]", "hi", "ho") == ["HI", "HO"]


async def test_an_answer_goes_to_a_team(no_leaked_actors: None) -> None:
    assert await passed("[{type: node, name: t}]", "hi") == ["HI"]


async def test_a_transform_changes_the_message(no_leaked_actors: None) -> None:
    assert await passed(f"[{{type: node, name: b, transform: '{HERE}:bracket'}}]", "hi") == ["[HI]"]


async def test_a_function_gets_the_message_and_its_keywords(no_leaked_actors: None) -> None:
    assert await passed(f"[{{type: callable, callable: '{HERE}:note', kw_args: {{mark: '! '}}}}]", "hi") == ["! HI"]


async def test_several_connections_of_one_agent_do_not_get_in_each_others_way(no_leaked_actors: None) -> None:
    twice = f"[{{type: node, name: b}}, {{type: callable, callable: '{HERE}:note'}}, {{type: node, name: b}}]"

    assert await passed(twice, "hi") == ["HI", "HI", "HI"]


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("{type: word_match, words: [yes]}", ["YES PLEASE"]),
        ("{type: word_match, words: [yes], case_sensitive: true}", []),
        ("{type: word_match, words: [yes, please], mode: all}", ["YES PLEASE"]),
        (f"{{type: callable, predicate: '{HERE}:is_long'}}", ["NO, THANK YOU"]),
        ("\"'PLEASE' in message.content\"", ["YES PLEASE"]),
        ("{type: not, condition: {type: word_match, words: [yes]}}", ["NO, THANK YOU", "NO"]),
        (f"{{type: and, conditions: [{NO}, {THANK}]}}", ["NO, THANK YOU"]),
        (f"{{type: or, conditions: [{YES}, {THANK}]}}", ["YES PLEASE", "NO, THANK YOU"]),
        ("{type: token_threshold, max_tokens: 1}", []),
        ("{type: cost_limit, max_cost: 0}", ["YES PLEASE", "NO, THANK YOU", "NO"]),
        ("{type: time, duration: 1d}", []),
    ],
)
async def test_a_filter_lets_only_those_pass_for_which_it_is_true(condition: str, expected: list[str]) -> None:
    filtered = f"[{{type: node, name: b, filter_condition: {condition}}}]"

    assert await passed(filtered, "yes please", "no, thank you", "no") == expected


@pytest.mark.parametrize("mode", ["total", "per_agent"])
async def test_a_count_stops_a_connection(mode: str) -> None:
    stop = f"{{type: message_count, max_messages: 2, count_mode: {mode}}}"

    assert await passed(f"[{{type: node, name: b, stop_condition: {stop}}}]", "a", "b", "c", "d") == ["A", "B"]


async def test_messages_are_appended_to_a_file_beside_the_manifest(tmp_path: Path, no_leaked_actors: None) -> None:
    connection = "[{type: file, path: 'out/{agent}.txt', template: \"{agent}: {content} {{}}\\n\"}]"
    file = tmp_path / "agents.yml"
    file.write_text(AGENTS.replace("CONNECTIONS", connection), encoding="utf-8")
    async with AgentPool[None](load_manifest(file)) as pool:
        await pool["a"].run("grüße", wait_for_connections=True)
        await pool["a"].run("again", wait_for_connections=True)

    assert (tmp_path / "out" / "a.txt").read_text(encoding="utf-8") == "a: GRÜSSE {}\na: AGAIN {}\n"


async def test_a_pool_may_leave_the_connections_out(no_leaked_actors: None) -> None:
    manifest = parse_manifest(AGENTS.replace("CONNECTIONS", "[{type: node, name: b}]"))
    async with AgentPool[None](manifest, connect_nodes=False) as pool:
        await pool["a"].run("hi", wait_for_connections=True)

        assert len(pool.connection_registry) == 0
    assert SEEN == []


async def test_the_registry_knows_every_connection_by_name(no_leaked_actors: None) -> None:
    connections = "[{type: node, name: b, label: main}, {type: node, name: t}]"
    async with AgentPool[None](parse_manifest(AGENTS.replace("CONNECTIONS", connections))) as pool:
        assert len(pool.connection_registry) == 2
        assert pool.connection_registry["main"].targets == (pool["b"],)
    assert len(pool.connection_registry) == 0


@pytest.mark.parametrize(
    ("connection", "text"),
    [
        (f"{{type: callable, callable: '{HERE}:missing'}}", "node 'a': .*has no attribute 'missing'"),
        (f"{{type: node, name: b, transform: '{HERE}:NUMBER'}}", "node 'a': .* is no function but int"),
        ("{type: node, name: b, label: x}, {type: node, name: t, label: x}", "node 'a': its connection cannot be made"),
    ],
)
def test_a_connection_that_cannot_be_made_is_an_error_that_names_its_source(connection: str, text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        AgentPool[None](parse_manifest(AGENTS.replace("CONNECTIONS", f"[{connection}]")))


@pytest.mark.parametrize(
    "condition",
    [
        "{type: expression, name: odd, expression: message.name > 1}",
        f"{{type: callable, name: odd, predicate: '{HERE}:fail_later'}}",
        "{type: not, condition: {type: expression, name: odd, expression: message.name > 1}}",
    ],
)
async def test_a_condition_that_fails_says_its_name(condition: str, no_leaked_actors: None) -> None:
    connections = f"[{{type: node, name: b, filter_condition: {condition}}}]"
    async with AgentPool[None](parse_manifest(AGENTS.replace("CONNECTIONS", connections))) as pool:
        await pool["a"].run("hi", wait_for_connections=True)
        (talk,) = pool.connection_registry.values()

        assert "condition 'odd': " in talk.stats.errors[0][1]
    assert SEEN == []
