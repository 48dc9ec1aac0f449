"""Every key of an agent in a manifest does something, or is refused."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import pytest

from actors.agents.agent import Agent
from actors.agents.callback import Callback
from actors.agents.model_run import ModelRun
from actors.config.agent import AgentSpec
from actors.config.load import parse_manifest
from actors.config.tool import ToolSpec, WorkerSpec
from actors.config.yaml.problem import InvalidManifestError
from actors.mcp.toolset import McpTools
from actors.pool.manifest.pool import build
from actors.prompts.knowledge import sources_in
from actors.testing.models import scripted_model

if TYPE_CHECKING:
    from actors.config.section import Section

M: Final = "tests.pool.manifest_functions"
TOOL: Final = f"tools: [{M}:shout]"
OUTPUT: Final = f"output_type: '{M}:Verdict'"

SAMPLES: Final = {
    # key: an agent without it, and what is added, or for a key of a tool or worker what is there instead
    "display_name": ("", "display_name: Ann"),
    "description": ("", "description: Knows a lot."),
    "connections": ("", "connections: [{type: node, name: other}]"),
    "mcp_servers": ("", "mcp_servers: [uvx x]"),
    "mailbox": ("", "mailbox: {capacity: 5}"),
    "max_concurrency": ("", "max_concurrency: 3"),
    "replicas": ("", "replicas: 3"),
    "routing": ("replicas: 3", "routing: round_robin"),
    "timeout": ("", "timeout: 7s"),
    "limits": ("", "limits: {requests: 3}"),
    "budget": ("", "budget: {requests: 3}"),
    "crash_on": ("", "crash_on: ['protocols.errors:RunError']"),
    "redeliver": ("", "redeliver: true"),
    "durable": ("", "durable: {retries: 2}"),
    "retry": ("", "retry: {attempts: 2}"),
    "model": ("", "model: test"),
    "policy": ("", "policy: {attempts: 2}"),
    "system_prompt": ("", "system_prompt: Be brief."),
    "instructions": ("", "instructions: Be brief."),
    "user_prompts": ("", "user_prompts: [Hello]"),
    "output_type": ("", OUTPUT),
    "result_tool_name": (OUTPUT, "result_tool_name: judge"),
    "result_tool_description": (OUTPUT, "result_tool_description: Judges."),
    "retries": ("", "retries: 4"),
    "output_retries": ("", "output_retries: 4"),
    "end_strategy": ("", "end_strategy: exhaustive"),
    "tools": ("", TOOL),
    "toolsets": ("", f"toolsets: [{M}:loud_toolset]"),
    "workers": ("", "workers: [other]"),
    "requires_tool_confirmation": (f"{TOOL}, input_provider: console", "requires_tool_confirmation: always"),
    "input_provider": (TOOL, "input_provider: console"),
    "approval_timeout": (TOOL, "approval_timeout: 8h"),
    "knowledge": ("", f"knowledge: {{callables: [{M}:fact]}}"),
    "session": ("", "session: false"),
    "sessions": ("", "sessions: {most: 3, ttl: 30d, max_turns: 4, max_messages: 5, max_tokens: 6, max_bytes: 7}"),
    "parallel_init": ("", "parallel_init: false"),
    "supervision": ("", "supervision: {restart: permanent}"),
    "type": ("", f"type: callback, callback: {M}:shout"),
    "provider": ("", f"provider: {{type: callback, callback: '{M}:shout'}}"),
    "inherits": ("", "inherits: other"),
    "tool import_path": (TOOL, f"tools: [{M}:note]"),
    "tool name": (TOOL, f"tools: [{{import: {M}:shout, name: loud}}]"),
    "tool description": (TOOL, f"tools: [{{import: {M}:shout, description: Loud.}}]"),
    "tool requires_confirmation": (
        f"input_provider: console, {TOOL}",
        f"input_provider: console, tools: [{{import: {M}:shout, requires_confirmation: true}}]",
    ),
    "tool retries": (TOOL, f"tools: [{{import: {M}:shout, retries: 5}}]"),
    "tool timeout": (TOOL, f"tools: [{{import: {M}:shout, timeout: 5}}]"),
    "worker node": ("workers: [other]", "workers: [third]"),
    "worker name": ("workers: [other]", "workers: [{node: other, name: helper}]"),
    "worker description": ("workers: [other]", "workers: [{node: other, description: Helps.}]"),
    "worker reset_history_on_run": ("workers: [other]", "workers: [{node: other, reset_history_on_run: false}]"),
    "worker pass_message_history": ("workers: [other]", "workers: [{node: other, pass_message_history: true}]"),
}
ELSEWHERE: Final = {
    "name": "the key of the agent itself",
    "callback": "with `type`",
    "triggers": "started by the pool: tests/app/test_trigger_service.py",
    "placement": "of a pool in several processes: tests/config/test_cluster.py",
    "debug": "a subscription of the pool: tests/pool/test_debug_log.py",
}
OF_FUNCTIONS: Final = frozenset(
    [
        "display_name",
        "description",
        "connections",
        "mailbox",
        "max_concurrency",
        "timeout",
        "crash_on",
        "redeliver",
        "durable",
        "retry",
        "type",
        "provider",
        "inherits",
        "supervision",
        "parallel_init",
        "replicas",
        "routing",
    ]
)


def test_every_key_has_a_sample() -> None:
    def keys(prefix: str, section: type[Section]) -> set[str]:
        return {f"{prefix}{name}" for name in section.model_fields}

    all_keys = keys("", AgentSpec) | keys("tool ", ToolSpec) | keys("worker ", WorkerSpec)
    assert all_keys == {*SAMPLES, *ELSEWHERE}


async def made_of(keys: str) -> str:
    """Return everything that can be told of an agent with these keys, and of the first request that it makes."""
    beside = "other: {model: offline, retries: 2, description: Others.}, third: {model: offline}"
    manifest = parse_manifest(f"allow_imports: [tests.pool, protocols]\nagents: {{a: {{{keys}}}, {beside}}}")
    built = build(manifest)
    agent = built.nodes["a"]
    assert isinstance(agent, Agent)
    told: list[object] = [
        agent.settings,
        agent.timeout,
        agent.crash_on,
        built.policy.children,
        agent.talks,
        agent.history,
    ]
    execution = agent.execution
    if isinstance(execution, Callback):
        return "a function"
    assert isinstance(execution, ModelRun)
    assert execution.tools is not None
    servers = [one.servers for one in execution.toolsets if isinstance(one, McpTools)]
    told += [agent.model, servers, execution.sessions is None]
    for name, tool in execution.tools.tools.items():
        closure = [cell.cell_contents for cell in getattr(tool.function, "__closure__", None) or ()]
        told.append((name, tool.description, tool.max_retries, tool.timeout, tool.requires_approval, closure))
    if not servers:
        model = scripted_model([{"text": "fine"} if "output_type" in keys else "fine"])
        for source in sources_in(agent.settings.knowledge):
            await source.load()
        await agent.run("x", model=model)
        told += [(one.info, [part for message in one.messages for part in message.parts]) for one in model.requests]
    return re.sub(r"0x[0-9a-f]+|timestamp=datetime\S*\(.*?\)|'[0-9a-f]{32}'", "_", repr(told))


@pytest.mark.parametrize("key", SAMPLES)
async def test_the_key_has_an_effect(key: str) -> None:
    before, sample = SAMPLES[key]
    after = sample if " " in key else joined(before, sample)

    assert await made_of(before) != await made_of(after)


def joined(*keys: str) -> str:
    return ", ".join(key for key in keys if key)


@pytest.mark.parametrize("keys", sorted({before for before, _ in SAMPLES.values()} | {"debug: true"}))
async def test_agents_of_the_same_keys_are_told_alike(keys: str) -> None:
    assert await made_of(keys) == await made_of(keys)


@pytest.mark.parametrize("key", [key for key in SAMPLES if " " not in key and key not in OF_FUNCTIONS])
def test_a_key_that_means_nothing_to_a_function_is_refused_there(key: str) -> None:
    keys = joined(f"type: callback, callback: '{M}:shout'", *SAMPLES[key])

    with pytest.raises(InvalidManifestError, match="has no effect: this agent is a function"):
        parse_manifest(f"allow_imports: [tests.pool]\nagents: {{other: {{model: offline}}, a: {{{keys}}}}}")
