"""Keys of a manifest that are about teams: limits, and how their members are supervised."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from pydantic_ai.exceptions import UsageLimitExceeded

from actors.config.load import parse_manifest
from actors.config.yaml.problem import InvalidManifestError
from actors.pool.manifest.pool import build
from actors.pool.pool import AgentPool
from actors.testing.models import scripted_model

GATE: list[asyncio.Event] = []
RUNNING: list[int] = []


async def gated(text: str) -> str:
    """Note how many are here at once, and wait until the gate opens."""
    RUNNING.append(RUNNING[-1] + 1 if RUNNING else 1)
    if RUNNING[-1] == 2:
        GATE[1].set()
    await GATE[0].wait()
    RUNNING.append(RUNNING[-1] - 1)
    return text


@pytest.mark.parametrize("mode", ["parallel", "sequential"])
async def test_a_team_works_on_as_many_runs_at_once_as_the_manifest_says(mode: str, no_leaked_actors: None) -> None:
    RUNNING.clear()
    GATE[:] = [asyncio.Event(), asyncio.Event()]
    text = f"""
allow_imports: [tests.pool]
agents: {{a: {{type: callback, callback: "tests.pool.test_build_teams:gated"}}}}
teams: {{t: {{mode: {mode}, members: [a], max_concurrency: 2}}}}
"""
    async with AgentPool[None](parse_manifest(text)) as pool:
        runs = [asyncio.ensure_future(pool["t"].run(str(number))) for number in range(5)]
        await GATE[1].wait()
        GATE[0].set()
        answers = await asyncio.gather(*runs)

    assert len(answers) == 5
    assert max(RUNNING) == 2


@pytest.mark.parametrize("mode", ["parallel", "sequential"])
async def test_the_members_of_a_team_have_one_limit_together(mode: str, no_leaked_actors: None) -> None:
    text = f"""
agents: {{a: {{session: false}}, b: {{session: false}}, c: {{session: false}}}}
teams: {{t: {{mode: {mode}, members: [a, b, c], limits: {{requests: LIMIT}}{", policy: all" * (mode == "parallel")}}}}}
"""
    for limit in (3, 2):
        model = scripted_model(["one", "two", "three", "one", "two", "three"])
        async with AgentPool[None](parse_manifest(text.replace("LIMIT", str(limit))), model=model) as pool:
            if limit == 3:
                await pool["t"].run("go")  # each run has a limit of its own
                await pool["t"].run("go")
            else:
                with pytest.raises(Exception, match="request_limit") as caught:
                    await pool["t"].run("go")
                causes = (caught.value, caught.value.__cause__)
                assert any(isinstance(cause, UsageLimitExceeded) for cause in causes)


async def test_members_that_a_team_supervises_keep_what_they_say_of_themselves(no_leaked_actors: None) -> None:
    text = """
agents:
  a: {supervision: {restart: permanent, shutdown: 3s}, mailbox: {capacity: 7, overflow: drop_oldest}}
  b: {}
teams: {t: {mode: parallel, members: [a, b], supervision: {restart: temporary, shutdown: 2s}}}
"""
    async with AgentPool[None](parse_manifest(text)) as pool:
        team: Any = pool["t"]
        specs = team.settings.member_specs
        children = {child.name: child for child in await team.ref().proxy().children()}

    assert (specs["a"]["restart"], specs["a"]["shutdown"], specs["b"]["restart"], specs["b"]["shutdown"]) == (
        "permanent",
        3.0,
        "temporary",
        2.0,
    )
    assert {name: child.restart for name, child in children.items()} == {"a": "permanent", "b": "temporary"}
    assert (specs["a"]["mailbox"].capacity, specs["b"]["mailbox"]) == (7, None)


def test_what_a_team_says_of_its_members_is_not_about_itself() -> None:
    text = """
supervision: {restart: transient}
agents: {a: {}}
teams: {t: {mode: parallel, members: [a], supervision: {restart: permanent, shutdown: 1s}}}
"""
    policy = build(parse_manifest(text)).policy

    assert (policy.children["t"]["restart"], policy.children["t"].get("shutdown")) == ("transient", None)


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("mcp_servers: [x]", "has no effect on a team"),
        ("input_provider: console", "tools belong to agents"),
        ("avatar: x", "nothing here shows pictures"),
    ],
)
def test_a_team_takes_no_keys_that_are_about_tools(key: str, text: str) -> None:
    with pytest.raises(InvalidManifestError, match=text):
        parse_manifest(f"agents: {{a: {{}}}}\nteams: {{t: {{mode: parallel, members: [a], {key}}}}}")
