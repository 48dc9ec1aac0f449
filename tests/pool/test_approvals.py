"""Tool calls of any agent of a pool wait for a person, and the pool is told what is decided."""

from __future__ import annotations

import asyncio

import pytest

from actors.config.load import parse_manifest
from actors.pool.pool import AgentPool
from actors.testing.models import scripted_model
from actors.testing.settle import settle
from protocols.errors import ApprovalError
from tests.runs.tool_answer import call

KEYS = "tools: [{import: 'tests.pool.manifest_functions:shout', requires_confirmation: true}], approval_timeout: 8h"
MANIFEST = f"""
allow_imports: [tests.pool]
agents:
  a: {{{KEYS}}}
  b: {{{KEYS}}}
teams:
  both: {{mode: parallel, members: [a, b]}}
"""


async def test_calls_of_all_agents_are_decided_by_the_pool(no_leaked_actors: None) -> None:
    async with AgentPool[object](parse_manifest(MANIFEST)) as pool:
        for agent in pool.agents.values():
            agent.set_model(scripted_model([call("shout", text=agent.name), "done"]))
        run = asyncio.ensure_future(pool["both"].run("go"))
        await settle()
        first, second = pool.pending()
        assert [(one.actor, one.timeout) for one in (first, second)] == [("a", 28_800.0), ("b", 28_800.0)]
        pool.approve(first.run_id, arguments={"text": "other"})
        pool.deny(second.run_id, second.tool_call_id, "no")
        answer = await run
        with pytest.raises(ApprovalError, match="run 'r1' waits for no approval: no agent of the pool knows it"):
            pool.approve("r1")
        with pytest.raises(ApprovalError, match="of agent 'b' waits for no approval: it is decided or finished"):
            pool.deny(second.run_id)

    results = [one.result or one.error for part in answer.associated_messages for one in part.tool_calls]
    assert results == ["OTHER", "The call of shout was not allowed: no"]
