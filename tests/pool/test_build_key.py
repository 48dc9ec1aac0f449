"""Keys of a manifest that are handed on as they are: settings of models, limits, supervision, jobs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import pytest

from actors.config.load import parse_manifest
from actors.pool.manifest.pool import Built, build
from actors.supervision.backoff import Backoff
from protocols.errors import JobError

if TYPE_CHECKING:
    from actors.agents.agent import Agent


def built(text: str) -> Built:
    return build(parse_manifest(text))


def agent(keys: str) -> Agent[Any, Any]:
    return cast("Agent[Any, Any]", built(f"agents: {{a: {{{keys}}}}}").nodes["a"])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("temperature: 0.5", {"temperature": 0.5}),
        ("top_p: 0.9", {"top_p": 0.9}),
        ("max_tokens: 100", {"max_tokens": 100}),
        ("timeout: 1m", {"timeout": 60.0}),
        ("parallel_tool_calls: false", {"parallel_tool_calls": False}),
        ("seed: -3", {"seed": -3}),
        ("presence_penalty: -0.5", {"presence_penalty": -0.5}),
        ("frequency_penalty: 0.5", {"frequency_penalty": 0.5}),
        ("stop_sequences: END", {"stop_sequences": ("END",)}),
        ("extra: {openai_user: me, seed: 4}", {"openai_user": "me", "seed": 4}),
    ],
)
def test_settings_of_a_model_reach_its_requests(text: str, expected: dict[str, object]) -> None:
    assert agent(f"model: {{name: test, settings: {{{text}}}}}").settings.model_settings == expected


@pytest.mark.parametrize(
    ("text", "name", "expected"),
    [
        ("requests: 3", "request_limit", 3),
        ("tool_calls: 4", "tool_calls_limit", 4),
        ("input_tokens: 5", "input_tokens_limit", 5),
        ("output_tokens: 6", "output_tokens_limit", 6),
        ("total_tokens: 7", "total_tokens_limit", 7),
        ("cost: 0.5", "cost_limit", 0.5),
    ],
)
def test_limits_of_a_run_are_those_of_the_manifest(text: str, name: str, expected: float) -> None:
    limits: Any = agent(f"limits: {{{text}}}").settings.usage_limits

    assert getattr(limits, name) == expected
    assert [limits.request_limit, limits.total_tokens_limit].count(None) >= 1


def test_delays_of_restarts_are_those_of_the_manifest() -> None:
    text = "{min: 1s, max: 9s, factor: 3, jitter: 0.5, reset_after: 1m, max_consecutive: 4}"

    assert built(f"supervision: {{backoff: {text}}}").policy.backoff == Backoff(
        min=1.0, max=9.0, factor=3.0, jitter=0.5, reset_after=60.0, max_consecutive=4
    )


@pytest.mark.parametrize("parallel", ["true", "false"])
def test_an_agent_opens_what_it_needs_as_the_manifest_says(parallel: str) -> None:
    assert agent(f"parallel_init: {parallel}").is_opened_in_parallel is (parallel == "true")


async def test_a_job_is_refused_by_an_agent_whose_model_cannot_do_it(no_leaked_actors: None) -> None:
    text = "jobs: {j: {prompt: Look, requires_vision: true, min_context_tokens: 100}}"
    made = built(f"agents: {{a: {{model: offline}}}}\n{text}")

    assert made.jobs["j"].min_context_tokens == 100
    with pytest.raises(JobError, match="does not fit"):
        await made.nodes["a"].run_job(made.jobs["j"])


def test_a_job_has_the_name_and_the_purpose_of_the_manifest() -> None:
    job = built("jobs: {j: {name: j, prompt: Look, description: Looks around}}").jobs["j"]

    assert (job.name, job.description) == ("j", "Looks around")
