"""No key of the manifest is read and forgotten: code acts upon each, and a test of what it does names it.

A key that is new in the schema fails here until both are there. What has no effect does not belong into the schema:
it is refused, with `retired` or in `mismatches`.
"""

import ast
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.config.section_sites import all_keys, sections

ROOT = Path(__file__).parent.parent.parent


class Effect(NamedTuple):
    """Where a section is acted upon, and where that is tested; files, or folders for all their files."""

    code: tuple[str, ...]
    tests: tuple[str, ...]


_AGENT = Effect(
    (
        "agents/manifest/agent.py",
        "agents/manifest/values.py",
        "agents/manifest/mcp.py",
        "config/agent.py",
        "config/inherit.py",
        "config/manifest.py",
        "pool/manifest/pool.py",
        "pool/manifest/connection.py",
        "app/trigger_service.py",
    ),
    (
        "pool",
        "app",
        "agents/manifest/test_mcp.py",
        "agents/test_budget.py",
        "config/test_inherit.py",
        "config/test_cluster.py",
    ),
)
_TEAM = Effect(
    (
        "agents/manifest/values.py",
        "pool/manifest/pool.py",
        "pool/manifest/connection.py",
        "config/team.py",
        "config/manifest.py",
        "app/trigger_service.py",
    ),
    ("pool", "app", "config/test_team.py", "agents/test_budget.py", "config/test_cluster.py"),
)
_TRIGGER = Effect(("triggers", "app", "config/trigger.py"), ("triggers", "app", "config/test_trigger.py"))
_CONNECTION = Effect(
    ("pool/manifest/connection.py", "pool/manifest/file_writer.py", "config/connection.py"),
    ("pool/manifest/test_connection.py", "pool/manifest/test_file_writer.py", "pool/test_connection_key.py"),
)
_CONDITION = Effect(("pool/manifest/condition.py", "config/condition.py"), _CONNECTION.tests)
_SUPERVISION = Effect(
    ("pool/manifest/pool.py",), ("pool/manifest/test_pool.py", "pool/test_build_teams.py", "pool/test_build_key.py")
)
_STORAGE = Effect(("app", "config/storage.py"), ("app", "storage"))
_MODEL = Effect(("agents/manifest/values.py",), ("pool/manifest/test_pool.py", "pool/test_build_key.py"))
_TOOL = Effect(
    ("agents/manifest/values.py", "agents/manifest/agent.py"),
    ("pool/manifest/test_pool.py", "pool/test_build_tools.py"),
)
_RESPONSE = Effect(
    ("config/response_model.py", "agents/manifest/values.py", "agents/manifest/agent.py"),
    ("config/test_response_model.py", "pool/test_build_tools.py"),
)
_KNOWLEDGE = Effect(
    ("agents/manifest/knowledge.py",), ("agents/manifest/test_knowledge.py", "pool/manifest/test_pool.py")
)

EFFECTS: Mapping[str, Effect] = {
    "Manifest": Effect(
        ("config/manifest.py", "config/graph.py", "pool", "agents/manifest/agent.py", "agents/manifest/mcp.py", "app"),
        ("pool", "app", "agents", "nodes", "telemetry", "config/test_graph.py", "config/test_cluster.py"),
    ),
    "DefaultsSpec": Effect(("config/defaults.py",), ("config/test_agent.py", "pool", "app/test_sessions_stored.py")),
    "AgentSpec": _AGENT,
    "ProviderSpec": Effect(("config/agent.py",), ("config/test_agent.py",)),
    "TeamSpec": _TEAM,
    "QuorumSpec": Effect(("pool/manifest/pool.py",), ("pool/manifest/test_pool.py",)),
    **dict.fromkeys(("FileTrigger", "WebhookTrigger", "ScheduleTrigger", "IntervalTrigger", "EmailTrigger"), _TRIGGER),
    "ConnectionTrigger": _TRIGGER,
    **dict.fromkeys(("QueueSpec", "MailboxSpec"), Effect(("pool", "triggers"), ("pool", "triggers"))),
    **dict.fromkeys(("NodeConnection", "FileConnection", "CallableConnection"), _CONNECTION),
    **dict.fromkeys(("WordMatch", "MessageCount", "Elapsed", "TokenThreshold", "CostLimit"), _CONDITION),
    **dict.fromkeys(("CallableCondition", "ExpressionCondition"), _CONDITION),
    **dict.fromkeys(("AndCondition", "OrCondition", "NotCondition"), _CONDITION),
    "McpServerSpec": Effect(("mcp", "agents/manifest", "config/mcp_server.py"), ("mcp", "agents", "pool")),
    "BudgetSpec": Effect(_MODEL.code, ("agents/test_budget.py", "models/test_budget.py")),
    "UsageLimitsSpec": _MODEL,
    "ModelSpec": Effect((*_MODEL.code, "agents/manifest/agent.py"), (*_MODEL.tests, "models/test_endpoint.py")),
    **dict.fromkeys(
        ("PolicySpec", "RateLimitsSpec"), Effect(("agents/manifest/values.py",), ("models/test_policy.py",))
    ),
    "RetrySpec": Effect(("agents/manifest/imports.py",), ("pool/manifest/test_retry.py",)),
    "DurableSpec": Effect(("agents/manifest/values.py",), ("pool/manifest/test_durable.py",)),
    "TracingSpec": Effect(("app", "telemetry"), ("config/test_tracing.py", "telemetry")),
    "JournalSpec": Effect(("app", "config/journal.py"), ("app", "config/test_journal.py", "durable")),
    "ClusterSpec": Effect(("cluster", "app", "config/cluster.py"), ("config/test_cluster.py", "cluster")),
    "ModelSettingsSpec": _MODEL,
    "PromptSpec": _KNOWLEDGE,
    "KnowledgeSpec": _KNOWLEDGE,
    "ToolSpec": _TOOL,
    "WorkerSpec": Effect(("pool/manifest/pool.py",), _TOOL.tests),
    "SessionSpec": Effect(("config/session.py",), ("config/test_agent.py", "app", "storage/test_session.py")),
    "SessionsSpec": Effect(("config/session.py", "agents/manifest/agent.py"), ("agents/test_agent_keys.py", "app")),
    **dict.fromkeys(("NodeSupervision", "Supervision", "IntensitySpec", "BackoffSpec"), _SUPERVISION),
    "ResponseSpec": _RESPONSE,
    "FieldSpec": _RESPONSE,
    "JobSpec": Effect(
        ("pool/manifest/pool.py", "config/check.py"), ("pool/manifest/test_pool.py", "pool/test_build_key.py")
    ),
    **dict.fromkeys(("StorageSpec", "StoreSpec", "RetentionSpec"), _STORAGE),
}
"""By the name of the section's class."""

BY_KIND = frozenset({"type", "mode"})
"""Keys that choose the class, which is what code looks at."""
WHOLE = frozenset(
    {
        "ModelSettingsSpec",
        "BudgetSpec",
        "PolicySpec",
        "RateLimitsSpec",
        "BackoffSpec",
        "IntensitySpec",
        "RetentionSpec",
        "DurableSpec",
    }
)
"""Sections that are handed on as a whole."""


@cache
def files(room: str, place: str) -> tuple[str, ...]:
    """Return the texts of a file, or of all files of a folder."""
    path = ROOT / room / place
    assert path.exists(), path
    return tuple(
        file.read_text(encoding="utf-8") for file in ([path] if path.is_file() else sorted(path.rglob("*.py")))
    )


@cache
def attributes(place: str) -> frozenset[str]:
    """Return the names of all attributes that code reads, and of those that it names in a text, as for `getattr`."""
    nodes = [node for text in files("actors", place) for node in ast.walk(ast.parse(text))]
    named = {node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    return frozenset(named | {node.attr for node in nodes if isinstance(node, ast.Attribute)})


def spellings(section: str, key: str) -> set[str]:
    """Return a key and what else it may be called."""
    return {key, *(other for other, name in sections()[section].spellings.items() if name == key)}


def test_the_effects_are_those_of_the_sections() -> None:
    assert EFFECTS.keys() == sections().keys()


@pytest.mark.parametrize(("section", "key"), all_keys())
def test_code_acts_upon_the_key(section: str, key: str) -> None:
    if key not in BY_KIND and section not in WHOLE:
        assert any(key in attributes(place) for place in EFFECTS[section].code)


@pytest.mark.parametrize(("section", "key"), all_keys())
def test_a_test_of_what_it_does_names_the_key(section: str, key: str) -> None:
    names = "|".join(sorted(spellings(section, key)))
    texts = [text for place in EFFECTS[section].tests for text in files("tests", place)]

    assert any(re.search(rf"\b({names})['\"]?\s*[:=,]", text) for text in texts)
