"""From a manifest to agents, teams and jobs."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, cast

import pytest
from pydantic_ai.usage import UsageLimits

from actors.agents.agent import Agent
from actors.config.load import load_manifest, parse_manifest
from actors.nodes.base_team import BaseTeam
from actors.nodes.team import Team
from actors.nodes.team_run import TeamRun
from actors.pool.manifest.pool import Built, build
from actors.pool.pool import AgentPool
from actors.supervision.backoff import Backoff
from protocols.errors import ConfigError
from tests.pool.manifest_functions import Verdict

if TYPE_CHECKING:
    from pathlib import Path

ALLOW = "allow_imports: [tests.pool]\n"
HERE = "tests.pool.manifest_functions"


def built(text: str, **options: Any) -> Built:
    return build(parse_manifest(ALLOW + text), **options)


def agent(text: str, **options: Any) -> Agent[Any, Any]:
    made = built(f"agents: {{a: {text}}}", **options).nodes["a"]
    assert isinstance(made, Agent)
    return made


# -- agents -----------------------------------------------------------------------------------------------------------


def test_names_and_descriptions_are_those_of_the_manifest() -> None:
    made = agent("{description: Looks closely, display_name: The Analyst}")

    assert (made.name, made.description, made.display_name) == ("a", "Looks closely", "The Analyst")


def test_times_and_limits_are_taken_over() -> None:
    made = agent(
        "{timeout: 1m30s, max_concurrency: 3, limits: {requests: 5, cost: 0.25}, retries: 4, end_strategy: exhaustive}"
    )
    usage = made.settings.usage_limits

    assert (made.timeout, made.max_concurrency, made.settings.retries) == (90.0, 3, 4)
    assert isinstance(usage, UsageLimits)
    assert (usage.request_limit, str(usage.cost_limit), usage.total_tokens_limit) == (5, "0.25", None)
    assert made.settings.end_strategy == "exhaustive"


def test_a_timeout_of_for_ever_is_none() -> None:
    assert agent("{timeout: forever}").timeout is None


def test_defaults_hold_where_an_agent_says_nothing() -> None:
    text = "defaults: {timeout: 5s, session: false}\nagents: {a: {}, b: {timeout: 7s, session: true}}"
    nodes = built(text).nodes

    assert (nodes["a"].timeout, nodes["b"].timeout) == (5.0, 7.0)
    assert not cast("Agent[Any, Any]", nodes["a"]).settings.query.is_enabled


def test_settings_of_a_model_are_handed_to_it() -> None:
    made = agent("{model: {name: test, settings: {temperature: 0, extra: {openai_user: me}}}}")

    assert made.model == "test"
    assert made.settings.model_settings == {"temperature": 0.0, "openai_user": "me"}


async def test_a_model_that_fails_gives_way_to_the_next() -> None:
    made = agent("{model: {name: test, fallbacks: [offline]}}")

    assert (await made.run("hi")).model_name == "test"


@pytest.mark.parametrize(
    ("output", "kind"),
    [("str", str), ("int", int), ("builtins:str", str), (f"{HERE}:Verdict", Verdict)],
)
def test_an_output_type_is_found_by_name(output: str, kind: type) -> None:
    job = built(f"jobs: {{j: {{prompt: Go, required_return_type: '{output}'}}}}").jobs["j"]

    assert job.required_return_type is kind


async def test_an_answer_is_validated_by_the_response_of_the_manifest() -> None:
    fields = "{title: str, points: {type: int, max: 3, default: 1}}"
    made = built(f"agents: {{a: {{output_type: Note}}}}\nresponses: {{Note: {{fields: {fields}}}}}").nodes["a"]
    content: Any = (await made.run("Cats sleep for many hours of every day.")).content

    assert type(content).__name__ == "Note"
    assert isinstance(content.title, str)
    assert content.points <= 3


async def test_a_response_can_be_written_in_place() -> None:
    content: Any = (await agent("{output_type: {fields: {title: str}}}").run("Cats sleep.")).content

    assert isinstance(content.title, str)


async def test_a_tool_has_the_name_of_the_manifest() -> None:
    made = agent(f"{{model: test, tools: [{{import_path: '{HERE}:shout', name: yell, description: Yell it}}]}}")
    answer = await made.run("hi")

    assert [call.tool_name for call in answer.tool_calls] == ["yell"]


async def test_a_worker_is_a_tool_that_asks_another_node() -> None:
    helper = f"helper: {{type: callback, callback: '{HERE}:shout'}}"
    nodes = built(f"agents: {{boss: {{model: test, workers: [helper]}}, {helper}}}").nodes
    answer = await nodes["boss"].run("hi")

    assert [call.tool_name for call in answer.tool_calls] == ["ask_helper"]


async def test_a_function_of_the_manifest_is_an_agent() -> None:
    assert (await agent(f"{{type: callback, callback: '{HERE}:shout'}}").run("hi")).content == "HI"


def test_exceptions_that_break_an_agent_are_imported() -> None:
    assert agent("{crash_on: ['builtins:ConnectionError']}").crash_on == (ConnectionError,)


async def test_a_prompt_can_come_from_a_file_or_a_function(tmp_path: Path) -> None:
    (tmp_path / "role.txt").write_text("One sentence.", encoding="utf-8")
    file = tmp_path / "agents.yml"
    file.write_text(
        f"{ALLOW}agents: {{a: {{system_prompt: [{{file: role.txt}}], instructions: [{{callable: '{HERE}:fact'}}]}}}}",
        encoding="utf-8",
    )
    answer = (
        await build(load_manifest(file)).nodes["a"].run("Cats sleep all day long on the mat. Dogs bark at night too.")
    )

    assert answer.content.count(".") == 1


# -- knowledge --------------------------------------------------------------------------------------------------------


@pytest.mark.seed("S87")
async def test_knowledge_is_in_the_context_after_entering(tmp_path: Path, no_leaked_actors: None) -> None:
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "one.md").write_text("The river is 800 kilometres long.", encoding="utf-8")
    (tmp_path / "plain.txt").write_text("The lake is 30 metres deep.", encoding="utf-8")
    knowledge = (
        f"{{paths: ['notes/**/*.md', plain.txt], prompts: [The hill is 90 metres high.], "
        f"callables: ['{HERE}:fact', '{HERE}:later_fact']}}"
    )
    file = tmp_path / "agents.yml"
    file.write_text(f"{ALLOW}agents: {{a: {{model: offline, knowledge: {knowledge}}}}}", encoding="utf-8")
    async with AgentPool[None](file) as pool:
        answer = await pool["a"].run("How long and how high are they? Give 9 sentences per document.")

    for fact in ("river is 800", "lake is 30", "tower is 300", "bridge is 20"):
        assert fact in answer.content


@pytest.mark.parametrize(
    ("knowledge", "text"),
    [
        ("[no-such-file.md]", "no-such-file.md"),
        ("{urls: ['ftp://example.org/x']}", "must begin with http:// or https://"),
        (f"{{callables: ['{HERE}:NUMBER']}}", "is no function but int"),
        (f"{{callables: ['{HERE}:missing']}}", "has no attribute 'missing'"),
    ],
)
def test_knowledge_that_leads_nowhere_is_refused(knowledge: str, text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        agent(f"{{knowledge: {knowledge}}}")


# -- what is wrong ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        (f"{{type: callback, callback: '{HERE}:missing'}}", "node 'a': .*: module .* has no attribute 'missing'"),
        (f"{{type: callback, callback: '{HERE}:NUMBER'}}", "node 'a': .* is no function but int"),
        (f"{{tools: ['{HERE}:NUMBER']}}", "node 'a': tool .* is no function but int"),
        ("{tools: ['tests.pool.nowhere:x']}", "node 'a': .*cannot be imported"),
        (f"{{crash_on: ['{HERE}:shout']}}", "node 'a': .* in crash_on is no exception type"),
        ("{model: {name: nope, fallbacks: [test]}}", "node 'a': model 'nope' is unknown"),
    ],
)
def test_what_a_manifest_names_and_is_not_there_is_an_error_that_names_the_node(spec: str, text: str) -> None:
    with pytest.raises(Exception, match=text):
        agent(spec)


# -- teams ------------------------------------------------------------------------------------------------------------

TEAMS = """
agents: {a: {}, b: {}, c: {}}
teams:
  chain: {mode: sequential, members: [pair, c], validator: b, result_mode: concat, timeout: 9s, description: All}
  pair: {mode: parallel, members: [a, b], shared_prompt: Be brief., policy: {quorum: 2}}
  chosen: {mode: parallel, members: [a, b], picker: c, num_picks: 1, pick_prompt: Which?, policy: first}
"""


def test_teams_have_their_members_and_settings() -> None:
    nodes = built(TEAMS).nodes
    chain, pair, chosen = nodes["chain"], nodes["pair"], nodes["chosen"]
    assert isinstance(chain, TeamRun)
    assert isinstance(pair, Team)
    assert isinstance(chosen, Team)

    assert (chain.nodes, chain.validator) == ((pair, nodes["c"]), nodes["b"])
    assert (chain.result_mode, chain.timeout, chain.description) == ("concat", 9.0, "All")
    assert (pair.shared_prompt, pair.policy.quorum) == ("Be brief.", 2)
    assert (chosen.settings.picker, chosen.settings.num_picks, chosen.policy.word) == (nodes["c"], 1, "first")


def test_a_team_supervises_its_members_as_the_manifest_says() -> None:
    text = """
supervision: {strategy: rest_for_one, intensity: {limit: 9, period: 1m}, backoff: {min: 1s, max: 2s}}
agents: {a: {supervision: {restart: permanent, shutdown: 3s}}, b: {mailbox: {capacity: 7, overflow: drop_oldest}}}
teams: {t: {mode: parallel, members: [b], supervision: {strategy: one_for_all, intensity: {limit: 1}}}}
"""
    made = built(text)
    team, policy = made.nodes["t"], made.policy
    assert isinstance(team, BaseTeam)

    assert (team.settings.strategy, team.settings.intensity.limit) == ("one_for_all", 1)
    assert (policy.strategy, policy.intensity.limit, policy.intensity.period) == ("rest_for_one", 9, 60.0)
    assert policy.backoff == Backoff(min=1.0, max=2.0)
    assert (policy.children["a"]["restart"], policy.children["a"]["shutdown"]) == ("permanent", 3.0)
    assert policy.children["b"]["mailbox"] is not None
    assert policy.children["b"]["mailbox"].capacity == 7
    assert policy.team_supervised == {"b"}


async def test_a_member_that_a_team_supervises_is_its_child_and_runs(no_leaked_actors: None) -> None:
    text = "agents: {a: {}, b: {}}\nteams: {t: {mode: parallel, members: [a], supervision: {strategy: one_for_all}}}"
    async with AgentPool[None](parse_manifest(text)) as pool:
        child = (await pool["t"].ref().proxy().children())[0]

        assert child.ref == pool["a"].ref()
        assert (await pool["t"].run("Cats sleep.")).content == ["Cats sleep."]
        assert (await pool["a"].run("Cats sleep.")).content == "Cats sleep."


# -- jobs -------------------------------------------------------------------------------------------------------------


async def test_a_job_of_the_manifest_can_be_done(no_leaked_actors: None) -> None:
    text = (
        f"{ALLOW}agents: {{a: {{model: test}}}}\n"
        f"jobs: {{digest: {{prompt: Sum it up, description: Sums up, tools: ['{HERE}:shout']}}}}"
    )
    async with AgentPool[None](parse_manifest(text)) as pool:
        job = pool.get_job("digest")
        answer = await pool.get_agent("a").run_job(job)

    assert (job.name, job.description) == ("digest", "Sums up")
    assert [call.tool_name for call in answer.tool_calls] == ["shout"]


@pytest.mark.parametrize(
    "job",
    [
        f"{{prompt: x, required_return_type: '{HERE}:missing'}}",
        f"{{prompt: x, required_dependency: '{HERE}:NUMBER'}}",
        f"{{prompt: {{callable: '{HERE}:NUMBER'}}}}",
        f"{{prompt: x, tools: ['{HERE}:NUMBER']}}",
        "{prompt: x, knowledge: [nowhere.txt]}",
    ],
)
def test_a_job_that_names_what_is_not_there_is_refused(job: str) -> None:
    with pytest.raises(ConfigError, match=r"jobs\.j\b.*: job 'j': "):
        built(f"jobs: {{j: {job}}}")


def test_no_number_of_the_manifest_is_infinite_by_accident() -> None:
    timeout = agent("{}").timeout

    assert timeout is not None
    assert not math.isinf(timeout)
