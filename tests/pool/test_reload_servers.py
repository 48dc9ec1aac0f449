"""Servers of tools when a manifest is applied to a running pool."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import pytest

from actors.config.load import parse_manifest
from actors.pool.pool import AgentPool
from actors.testing.models import scripted_model
from protocols.errors import NodeStartError
from tests.mcp.servers import SCRIPT, children
from tests.runs.tool_answer import call

if TYPE_CHECKING:
    from actors.config.manifest import Manifest

pytestmark = pytest.mark.usefixtures("no_leaked_actors")

TEXT = """
agents:
  one: {{description: {version}, mcp_servers: [{{command: "{python}", args: ["{script}"]}}]}}
  two: {{mcp_servers: [{{command: "{python}", args: ["{script}"]}}]}}
"""


def manifest(version: str = "First", script: object = SCRIPT) -> Manifest:
    return parse_manifest(
        TEXT.format(version=version, python=sys.executable, script=SCRIPT).replace(str(SCRIPT), str(script), 1)
    )


async def process_of(pool: AgentPool[Any], name: str) -> int:
    answer = await pool[name].run("x", model=scripted_model([call("process"), "done"]))
    result = answer.tool_calls[0].result
    assert isinstance(result, int)
    return result


async def test_a_changed_agent_gets_its_server_anew_and_the_others_keep_theirs() -> None:
    async with AgentPool[None](manifest()) as pool:
        before = await process_of(pool, "two")

        assert (await pool.reload(manifest("Second"))).changed == ("one",)

        assert await process_of(pool, "two") == before
        assert await process_of(pool, "one") in children()
        assert (await pool.reload(parse_manifest("agents: {one: {}}"))).removed == ("two",)
        assert children() == []


async def test_a_server_that_cannot_be_started_leaves_everything_as_it_was() -> None:
    async with AgentPool[None](manifest()) as pool:
        before = await process_of(pool, "one"), children()

        with pytest.raises(NodeStartError, match="'one'"):
            await pool.reload(manifest("Second", SCRIPT.with_name("missing.py")))

        assert (await process_of(pool, "one"), children()) == before
        assert pool["one"].description == "First"
