import re
from typing import Any

import pytest

from actors import Agent, ModelPolicy, RateLimits
from actors.agents.manifest.values import policy_of
from actors.config.load import parse_manifest
from actors.config.yaml.problem import InvalidManifestError
from actors.pool.manifest.pool import build
from actors.testing.models import scripted_model
from protocols.errors import ConfigError

CONTRADICTIONS = [
    ({"deadline": 5, "first_byte": 6}, "first_byte=6 must not be more than deadline=5"),
    ({"deadline": 5, "idle": 6}, "idle=6 must not be more than deadline=5"),
    ({"min_wait": 6, "max_wait": 5}, "min_wait=6 must not be more than max_wait=5"),
    ({"deadline": 0}, "deadline must be a finite number > 0, not 0"),
    ({"deadline": float("inf")}, "deadline must be a finite number > 0"),
    ({"max_wait": None}, "max_wait must be"),
    ({"attempts": 0}, "attempts must be a whole number >= 1"),
    ({"min_wait": -1}, "min_wait must be a finite number >= 0"),
    ({"first_byte": float("nan")}, "first_byte must be a finite number > 0"),
    ({"max_tool_calls": True}, "max_tool_calls must be a whole number"),
    ({"limits": {"concurrent": 5}}, "limits must be RateLimits, not {'concurrent': 5}"),
]


@pytest.mark.parametrize(("values", "problem"), CONTRADICTIONS)
def test_a_policy_that_cannot_be_meant_is_refused_with_its_values(values: dict[str, Any], problem: str) -> None:
    with pytest.raises(ConfigError, match=rf"^model policy: {re.escape(problem)}"):
        ModelPolicy(**values)


@pytest.mark.parametrize("name", ["requests_per_minute", "tokens_per_minute", "concurrent"])
@pytest.mark.parametrize("value", [0, -1, 1.5, float("nan"), True, "10"])
def test_a_rate_that_cannot_be_meant_is_refused_by_name(name: str, value: Any) -> None:
    with pytest.raises(ConfigError, match=rf"^model policy: {name} must be a whole number >= 1, not {value!r}"):
        RateLimits(**{name: value})


def test_limits_that_limit_nothing_are_refused() -> None:
    with pytest.raises(ConfigError, match="limits need one of requests_per_minute, tokens_per_minute, concurrent"):
        RateLimits()


@pytest.mark.parametrize("values", [{"deadline": 1}, {"deadline": 1, "first_byte": 1, "idle": 1}, {"min_wait": 0}])
def test_usual_values_contradict_nothing(values: dict[str, Any]) -> None:
    assert ModelPolicy(**values).attempts == 4


@pytest.mark.parametrize("policy", [5, "off", True, {"attempts": 2}])
def test_an_agent_refuses_what_is_no_policy(policy: Any) -> None:
    with pytest.raises(ConfigError, match="agent 'a': policy must be a ModelPolicy, or False for none"):
        Agent("a", policy=policy)


def test_a_function_has_no_policy(caplog: pytest.LogCaptureFixture) -> None:
    Agent.from_callback(str.upper, name="no-policy", policy=ModelPolicy())

    assert "'no-policy' answers by a function, so these have no effect: policy" in caplog.text


@pytest.mark.parametrize(
    ("written", "policy"),
    [
        ("{deadline: 1m, first_byte: 5s, attempts: 2}", ModelPolicy(deadline=60, first_byte=5, attempts=2)),
        (
            "{enabled: true, idle: 6, min_wait: 1, max_wait: 2, retry_share: 0.5, breaker_after: 7, probe_after: 8,"
            " max_tool_calls: 9, max_response_bytes: 10}",
            ModelPolicy(
                idle=6,
                min_wait=1,
                max_wait=2,
                retry_share=0.5,
                breaker_after=7,
                probe_after=8,
                max_tool_calls=9,
                max_response_bytes=10,
            ),
        ),
        (
            "{limits: {requests_per_minute: 60, tokens_per_minute: 9000, concurrent: 5}}",
            ModelPolicy(limits=RateLimits(requests_per_minute=60, tokens_per_minute=9_000, concurrent=5)),
        ),
        ("{}", ModelPolicy()),
        ("true", ModelPolicy()),
        ("false", False),
        ("{enabled: false}", False),
    ],
)
def test_a_policy_of_the_manifest_reaches_the_agent(written: str, policy: Any) -> None:
    own = build(parse_manifest(f"agents: {{a: {{policy: {written}}}}}", env={}))
    shared = build(parse_manifest(f"defaults: {{policy: {written}}}\nagents: {{a: {{}}}}", env={}))

    assert _policy(own) == _policy(shared) == policy
    assert policy_of(None) is None


@pytest.mark.parametrize(
    ("written", "problem"),
    [
        (
            "{deadline: 5s, first_byte: 6s}",
            r"agents\.a\.policy\.first_byte.*must not be more than 'deadline', which is 5",
        ),
        ("{min_wait: 1h}", r"agents\.a\.policy\.min_wait.*must not be more than 'max_wait', which is 30"),
        ("{attempts: 0}", r"agents\.a\.policy\.attempts"),
        ("{limits: {requests_per_minute: 0}}", r"agents\.a\.policy\.limits\.requests_per_minute.*at least 1"),
        ("{limits: {concurrent: .nan}}", r"agents\.a\.policy\.limits\.concurrent"),
        ("{limits: {}}", r"limits\.requests_per_minute.*is required, unless tokens_per_minute or concurrent"),
        ("{deadlin: 5s}", r"unknown key 'deadlin'.*did you mean 'deadline'"),
    ],
)
def test_a_policy_of_the_manifest_is_refused_with_file_and_key(written: str, problem: str) -> None:
    with pytest.raises(InvalidManifestError, match=problem):
        parse_manifest(f"agents: {{a: {{policy: {written}}}}}", env={})


def _policy(built: Any) -> Any:
    return built.nodes["a"].settings.policy


async def test_an_agent_without_policy_asks_its_model_as_it_is() -> None:
    model = scripted_model(["yes"])
    agent = Agent("a", model=model, policy=False)
    execution: Any = agent.execution

    assert execution.resolve(model, "a") is model
    assert (await agent.run("x")).content == "yes"
