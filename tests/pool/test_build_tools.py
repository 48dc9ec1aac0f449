"""Keys of a manifest that are about tools, workers and the form of an answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import pytest
from pydantic_ai.messages import UserPromptPart

from actors.config.load import load_manifest, parse_manifest
from actors.config.yaml.problem import InvalidManifestError
from actors.pool.manifest.pool import build
from actors.testing.models import scripted_model
from protocols.errors import ConfigError, EmptyPromptError
from tests.pool.manifest_functions import ASKED
from tests.runs.tool_answer import call

if TYPE_CHECKING:
    from pathlib import Path

    from actors.agents.agent import Agent
    from actors.testing.models import RecordingModel

HERE = "tests.pool.manifest_functions"


def nodes_of(text: str, model: object = None) -> dict[str, Any]:
    return dict(build(parse_manifest(f"allow_imports: [tests.pool]\n{text}"), model=model).nodes)


def agent_of(keys: str, model: object = None) -> Agent[Any, Any]:
    return cast("Agent[Any, Any]", nodes_of(f"agents: {{a: {{{keys}}}}}", model)["a"])


@pytest.fixture(autouse=True)
def forget() -> None:
    """Begin without questions."""
    ASKED.clear()


# -- confirmation -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("keys", "asked"),
    [
        (f"tools: [{{import: '{HERE}:shout', requires_confirmation: true}}]", ["shout"]),
        (f"tools: ['{HERE}:shout']", []),
        (f"tools: ['{HERE}:shout'], requires_tool_confirmation: always", ["shout"]),
        (
            f"tools: [{{import: '{HERE}:shout', requires_confirmation: true}}], requires_tool_confirmation: never",
            [],
        ),
        (f"toolsets: [{{import: '{HERE}:loud_toolset', requires_confirmation: true}}]", ["shout"]),
    ],
)
async def test_a_person_is_asked_before_a_call_where_the_manifest_says_so(keys: str, asked: list[str]) -> None:
    model = scripted_model([call("shout", text="hi"), "done"])
    answer = await agent_of(f"{keys}, input_provider: '{HERE}:allow'", model).run("go")

    assert [one.result for one in answer.tool_calls] == ["HI"]
    assert asked == ASKED


async def test_a_call_that_the_person_refuses_is_not_made() -> None:
    model = scripted_model([call("shout", text="hi"), "done"])
    keys = f"tools: ['{HERE}:shout'], requires_tool_confirmation: always, input_provider: '{HERE}:refuse'"
    await agent_of(keys, model).run("go")

    assert "The call of shout was not allowed." in str(model.requests[1].messages)
    assert ASKED == ["shout"]


@pytest.mark.parametrize(
    ("keys", "path", "text"),
    [
        ("approval_timeout: 8h, input_provider: console", "approval_timeout", "has no effect: 'input_provider' is"),
        ("approval_timeout: 31d", "approval_timeout", "must be at most 2592000"),
        ("input_provider: 'os:system'", "input_provider", "is not allowed"),
        (f"toolsets: [{{import: '{HERE}:loud_toolset', timeout: 5}}]", "toolsets", "'timeout' has no effect"),
    ],
)
def test_what_would_have_no_effect_is_refused(keys: str, path: str, text: str) -> None:
    with pytest.raises(InvalidManifestError, match=text) as caught:
        agent_of(keys)
    assert [problem.path for problem in caught.value.problems] == [f"agents.a.{path}"]


@pytest.mark.parametrize(
    ("keys", "text"),
    [
        (f"tools: [{{import: '{HERE}:loud_tool', retries: 3}}]", "is a Tool already; set retries where it is made"),
        (f"toolsets: ['{HERE}:NUMBER']", "is no toolset of pydantic_ai but int"),
        (f"input_provider: '{HERE}:NUMBER'", "is no function but int"),
    ],
)
def test_what_cannot_be_used_is_an_error_that_names_the_agent(keys: str, text: str) -> None:
    with pytest.raises(ConfigError, match=f"'a': .*{text}"):
        agent_of(keys)


def test_the_settings_of_a_tool_are_those_of_the_manifest() -> None:
    made = agent_of(f"tools: [{{import: '{HERE}:shout', retries: 3, timeout: 2s}}]")
    tool = cast("Any", made).execution.tools.tools["shout"]

    assert (tool.max_retries, tool.timeout) == (3, 2.0)


# -- workers ----------------------------------------------------------------------------------------------------------


async def seen_by_worker(keys: str) -> list[list[object]]:
    """Let a boss ask its worker twice; return the prompts that the worker's model saw each time."""
    nodes = nodes_of(f"agents: {{boss: {{workers: [{{node: helper{keys}}}]}}, helper: {{}}}}")
    boss, helper = nodes["boss"], nodes["helper"]
    worked = scripted_model(["one", "two"])
    for node, model in (
        (boss, scripted_model([call("ask_helper", prompt="q1"), call("ask_helper", prompt="q2"), "done"])),
        (helper, worked),
    ):
        node.set_model(model)
    await boss.run("go")
    return [
        [part.content for message in request.messages for part in message.parts if isinstance(part, UserPromptPart)]
        for request in worked.requests
    ]


@pytest.mark.parametrize(
    ("keys", "seen"),
    [
        ("", [["q1"], ["q2"]]),
        (", reset_history_on_run: false", [["q1"], ["q1", "q2"]]),
        (", pass_message_history: true", [["go", "q1"], ["go", "q2"]]),
        (", pass_message_history: true, reset_history_on_run: false", [["go", "q1"], ["go", "q2"]]),
    ],
)
async def test_a_worker_remembers_what_the_manifest_says(keys: str, seen: list[list[object]]) -> None:
    assert await seen_by_worker(keys) == seen


# -- form of the answer -----------------------------------------------------------------------------------------------

RESPONSE = (
    "responses: {R: {result_tool_name: verdict, result_tool_description: Judge., output_retries: 4, fields: {t: str}}}"
)


def output_tool(model: RecordingModel) -> tuple[str, str | None]:
    (tool,) = model.requests[0].info.output_tools
    return tool.name, tool.description


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ("output_type: R", ("verdict", "Judge.")),
        ("output_type: R, result_tool_name: own, result_tool_description: Mine.", ("own", "Mine.")),
        ("output_type: {result_tool_name: inline, fields: {t: str}}", ("inline", None)),
    ],
)
async def test_the_tool_of_an_answer_has_the_name_that_agent_or_response_gives_it(
    keys: str, expected: tuple[str, str | None]
) -> None:
    model = scripted_model([{"t": "x"}])
    await nodes_of(f"{RESPONSE}\nagents: {{a: {{{keys}}}}}", model)["a"].run("go")

    assert output_tool(model)[0] == expected[0]
    assert expected[1] is None or output_tool(model)[1] == expected[1]


@pytest.mark.parametrize(
    ("keys", "expected"),
    [("output_type: R", 4), ("output_type: R, output_retries: 2", 2), ("output_type: str", 7), ("", 7)],
)
def test_the_retries_of_an_answer_are_those_of_the_agent_then_the_response_then_all(keys: str, expected: int) -> None:
    nodes = nodes_of(f"{RESPONSE}\ndefaults: {{output_retries: 7}}\nagents: {{a: {{{keys}}}}}")

    assert nodes["a"].settings.output_retries == expected


@pytest.mark.parametrize(
    "key", ["system_prompt: x", "session: false", "retries: 2", "knowledge: [x.md]", "limits: {requests: 1}"]
)
def test_a_function_takes_no_keys_that_are_about_models(key: str) -> None:
    with pytest.raises(InvalidManifestError, match="has no effect: this agent is a function"):
        agent_of(f"type: callback, callback: '{HERE}:shout', {key}")


# -- prompts ----------------------------------------------------------------------------------------------------------


async def test_a_run_without_a_prompt_is_asked_what_the_manifest_says(tmp_path: Path) -> None:
    (tmp_path / "ask.txt").write_text("from a file", encoding="utf-8")
    file = tmp_path / "agents.yml"
    prompts = f"[plain, {{file: ask.txt}}, {{callable: '{HERE}:fact'}}]"
    file.write_text(f"allow_imports: [tests.pool]\nagents: {{a: {{user_prompts: {prompts}}}, b: {{}}}}")
    model = scripted_model(["one", "two"])
    nodes = build(load_manifest(file), model=model).nodes
    await nodes["a"].run()
    await nodes["a"].run("something else")

    assert [request.prompt for request in model.requests] == [
        "plain\n\nfrom a file\n\nThe tower is 300 metres high.",
        "something else",
    ]
    for blank, node in (("", "a"), (None, "b")):
        with pytest.raises(EmptyPromptError):
            await nodes[node].run(*([] if blank is None else [blank]))


def test_a_prompt_function_that_is_asynchronous_is_refused() -> None:
    with pytest.raises(ConfigError, match="'later_fact' must not be asynchronous"):
        agent_of(f"user_prompts: {{callable: '{HERE}:later_fact'}}")
