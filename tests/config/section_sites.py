"""A sound manifest for every kind of section, with the keys that lead to it: what tests of all keys start from."""

from collections.abc import Iterator, Mapping
from copy import deepcopy
from typing import Any, NamedTuple, get_args

from pydantic import BaseModel

from actors.config.manifest import Manifest
from actors.config.section import Section
from actors.config.yaml.tree import Key

_FUNCTION = "tests.pool.manifest_functions:shout"
_TWO: dict[str, Any] = {"a": {}, "b": {}}
_TRIGGER = ("agents", "a", "triggers", 0)
_CONNECTION = ("agents", "a", "connections", 0)
_CONDITION = (*_CONNECTION, "filter_condition")


class Site(NamedTuple):
    """Where a section stands in a manifest."""

    manifest: dict[str, Any]
    path: tuple[Key, ...]

    def section(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return a copy of the manifest, and the section in it."""
        copy = deepcopy(self.manifest)
        found: Any = copy
        for key in self.path:
            found = found[key]
        return copy, found


def _agent(path: tuple[Key, ...] = ("agents", "a"), **keys: Any) -> Site:
    return Site({"allow_imports": ["tests.pool"], "agents": {"a": keys, "b": {}}}, path)


def _inside(key: str, value: Any) -> Site:
    return _agent(("agents", "a", key, 0) if isinstance(value, list) else ("agents", "a", key), **{key: value})


def _trigger(kind: str, **keys: Any) -> Site:
    return _agent(_TRIGGER, triggers=[{"type": kind, "name": "t", **keys}])


def _connection(kind: str, **keys: Any) -> Site:
    return _agent(_CONNECTION, connections=[{"type": kind, **keys}])


def _condition(kind: str, **keys: Any) -> Site:
    condition = {"type": kind, **keys}
    return _agent(_CONDITION, connections=[{"type": "node", "name": "b", "filter_condition": condition}])


def _team(path: tuple[Key, ...] = (), **keys: Any) -> Site:
    return Site({"agents": _TWO, "teams": {"t": {"members": ["a", "b"], **keys}}}, ("teams", "t", *path))


SITES: Mapping[str, Site] = {
    "Manifest": Site({"agents": _TWO}, ()),
    "AgentSpec": _agent(),
    "TeamSpec": _team(mode="sequential"),
    "QuorumSpec": _team(("policy",), mode="parallel", policy={"quorum": 1}),
    "FileTrigger": _trigger("file", paths=["*.md"]),
    "WebhookTrigger": _trigger("webhook", port=8000, path="/in", secret="s"),
    "ScheduleTrigger": _trigger("time", schedule="@daily", prompt="p"),
    "IntervalTrigger": _trigger("interval", every=5, prompt="p"),
    "EmailTrigger": _trigger("email", host="h", username="u", password="p"),
    "ConnectionTrigger": _trigger("connection", event="message_received"),
    "MailboxSpec": _inside("mailbox", {}),
    "QueueSpec": _agent(
        (*_CONNECTION, "queue"), connections=[{"type": "node", "name": "b", "queued": True, "queue": {}}]
    ),
    "NodeConnection": _connection("node", name="b"),
    "FileConnection": _connection("file", path="x.log"),
    "CallableConnection": _connection("callable", callable=_FUNCTION),
    "WordMatch": _condition("word_match", words=["x"]),
    "MessageCount": _condition("message_count", max_messages=5),
    "Elapsed": _condition("time", duration=5),
    "TokenThreshold": _condition("token_threshold", max_tokens=5),
    "CostLimit": _condition("cost_limit", max_cost=5),
    "CallableCondition": _condition("callable", predicate=_FUNCTION),
    "ExpressionCondition": _condition("expression", expression="1 < 2"),
    "AndCondition": _condition("and", conditions=["1 < 2"]),
    "OrCondition": _condition("or", conditions=["1 < 2"]),
    "NotCondition": _condition("not", condition="1 < 2"),
    "McpServerSpec": _inside("mcp_servers", [{"command": "x"}]),
    "UsageLimitsSpec": _inside("limits", {}),
    "BudgetSpec": _inside("budget", {"tokens": 5}),
    "PolicySpec": _inside("policy", {}),
    "RateLimitsSpec": _agent(("agents", "a", "policy", "limits"), policy={"limits": {"concurrent": 5}}),
    "DurableSpec": _inside("durable", {}),
    "RetrySpec": _inside("retry", {}),
    "ProviderSpec": _inside("provider", {"type": "callback", "callback": _FUNCTION}),
    "ModelSpec": _inside("model", {"name": "test"}),
    "ModelSettingsSpec": _agent(("agents", "a", "model", "settings"), model={"name": "test", "settings": {}}),
    "PromptSpec": _inside("system_prompt", [{"text": "x"}]),
    "ToolSpec": _inside("tools", [{"import_path": _FUNCTION}]),
    "WorkerSpec": _inside("workers", [{"node": "b"}]),
    "KnowledgeSpec": _inside("knowledge", {}),
    "SessionSpec": _inside("session", {}),
    "SessionsSpec": _inside("sessions", {}),
    "NodeSupervision": _inside("supervision", {}),
    "Supervision": Site({"supervision": {}}, ("supervision",)),
    "IntensitySpec": Site({"supervision": {"intensity": {}}}, ("supervision", "intensity")),
    "BackoffSpec": Site({"supervision": {"backoff": {}}}, ("supervision", "backoff")),
    "ResponseSpec": Site({"responses": {"R": {"fields": {"t": {}}}}}, ("responses", "R")),
    "FieldSpec": Site({"responses": {"R": {"fields": {"t": {}}}}}, ("responses", "R", "fields", "t")),
    "JobSpec": Site({"jobs": {"j": {"prompt": "p"}}}, ("jobs", "j")),
    "StorageSpec": Site({"storage": {}}, ("storage",)),
    "StoreSpec": Site({"storage": {"providers": [{"type": "sqlite"}]}}, ("storage", "providers", 0)),
    "RetentionSpec": Site({"storage": {"retention": {}}}, ("storage", "retention")),
    "JournalSpec": Site({"journal": {}}, ("journal",)),
    "ClusterSpec": Site({"cluster": {"url": "postgresql://h/d"}}, ("cluster",)),
    "TracingSpec": Site({"tracing": {}}, ("tracing",)),
    "DefaultsSpec": Site({"defaults": {}}, ("defaults",)),
}
"""By the name of the section's class."""


def sections() -> dict[str, type[Section]]:
    """Return every class of section that a manifest can hold, found by walking the fields."""
    found: dict[str, type[Section]] = {}
    waiting: list[type[Section]] = [Manifest]
    while waiting:
        section = waiting.pop()
        if section.__name__ not in found:
            section.model_rebuild()
            found[section.__name__] = section
            waiting += [one for info in section.model_fields.values() for one in _in(info.annotation)]
    return found


def all_keys() -> list[tuple[str, str]]:
    """Return every key that a manifest can hold, with the class of its section."""
    return [(name, key) for name, section in sections().items() for key in section.model_fields]


def _in(annotation: Any) -> Iterator[type[Section]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        assert issubclass(annotation, Section)
        yield annotation
    for part in get_args(annotation):
        yield from _in(part)
