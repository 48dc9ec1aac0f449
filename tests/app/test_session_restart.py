"""A conversation outlives the process that led it, and the crash of its agent."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart
from pydantic_ai.models.function import AgentInfo, FunctionModel

from actors import Agent, AgentPool
from actors.storage import open_store
from protocols.errors import RunCancelledError
from protocols.session import conversation_of
from tests.app.pool_history import kept, remembered
from tests.app.session_program import prompts

ROOT = Path(__file__).parents[2]
TEXT = """
storage: {type: sqlite, path: history.db, batch_delay: 1h}
agents:
  yaml-none: {}
  yaml-true: {session: true}
  yaml-false: {session: false}
  yaml-tokens: {session: 100000}
  yaml-few-tokens: {session: 1}
  yaml-name: {session: support}
  yaml-config: {session: {conversation: configured in yaml, limit: 2}}
  yaml-old: {session: {until: 2000-01-01T00:00:00Z}}
  yaml-unread: {session: {conversation: written only, restore: false}}
"""
GO_ON = {"true", "tokens", "name", "query", "config"}
"""Sessions that give the model the earlier conversation."""
NAMED = {
    "yaml-name": "support",
    "yaml-config": "configured in yaml",
    "yaml-unread": "written only",
    "code-name": "support in code",
    "code-query": "queried",
    "code-config": "configured",
}


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    file = tmp_path / "agents.yml"
    file.write_text(TEXT, encoding="utf-8")
    return file


def talk(manifest: Path, words: str, end: signal.Signals) -> dict[str, Any]:
    """Ask all agents in a process, end it, and return what their models were given."""
    flushed = "flushed" if end is signal.SIGKILL else "as it is"
    command = [sys.executable, "-m", "tests.app.session_program", str(manifest), words, flushed]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        process.send_signal(end)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == (-signal.SIGKILL if end is signal.SIGKILL else 0), errors
    seen: dict[str, Any] = json.loads(line)
    return seen


@pytest.mark.skipif(os.name != "posix", reason="needs signals of POSIX")
@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM])
async def test_the_next_process_goes_on_with_the_messages_and_the_conversation(
    manifest: Path, end: signal.Signals
) -> None:
    first = talk(manifest, "What did the first ask?", end)
    second = talk(manifest, "What did the second ask?", end)

    assert {name: seen["prompts"] for name, seen in first.items()} == {
        name: ["What did the first ask?"] for name in first
    }
    for name, seen in second.items():
        goes_on = name.partition("-")[2] in GO_ON
        earlier = ["What did the first ask?"] if goes_on else []
        assert (name, seen["prompts"]) == (name, [*earlier, "What did the second ask?"])
        assert (name, seen["answers"]) == (name, int(goes_on))

    async with open_store(manifest.parent / "history.db") as store:
        found = {name: [one.conversation_id for one in await store.conversations(name)] for name in first}
    for name, conversations in found.items():
        kind = name.partition("-")[2]
        if kind == "false":
            assert conversations == []
        elif name in NAMED:
            assert conversations == [NAMED[name]]
        else:  # one for both processes unless it begins anew
            assert (name, len(conversations)) == (name, 2 if kind == "none" else 1)


class BrokenError(RuntimeError):
    """Breaks the actor that it is raised in."""


@pytest.fixture
def crashing() -> Agent[object, str]:
    """An agent whose actor crashes when it is told to, and is restarted."""

    def answer(messages: list[ModelMessage], _: AgentInfo) -> ModelResponse:
        asked = prompts(messages)
        if asked[-1] == "Break.":
            text = "the connection is gone"
            raise BrokenError(text)
        return ModelResponse(parts=[TextPart("; ".join(asked))])

    return Agent("fragile", model=FunctionModel(answer), crash_on=(BrokenError,))


async def test_an_agent_goes_on_with_its_conversation_after_a_crash_and_a_restart(
    manifest: Path, crashing: Agent[object, str]
) -> None:
    async with AgentPool[None](manifest) as pool:
        await pool.add_node(crashing)
        await crashing.run("One.")
        with pytest.raises((BrokenError, RunCancelledError)):
            await crashing.run("Break.")
        answer = await crashing.run("Two.")
        store = await kept(pool)
        conversations = {one.conversation_id for one in await store.conversations("fragile")}
        assert remembered(pool, "fragile") == 4

    assert answer.text == "One.; Two."
    assert len(conversations) == 1


async def test_what_belongs_to_a_session_is_no_part_of_the_conversation_of_the_agent(manifest: Path) -> None:
    async with AgentPool[None](manifest) as pool:
        agent = pool.get_agent("yaml-true")
        await agent.run("own")
        await agent.run("of Alice", session="alice")
        await agent.run("of nobody", fresh=True)
        await agent.run("of a caller", message_history=None)

    async with AgentPool[None](manifest) as pool:
        agent = pool.get_agent("yaml-true")
        assert prompts(list(agent.history)) == ["own"]

    async with open_store(manifest.parent / "history.db") as store:
        found = [one.conversation_id for one in await store.conversations("yaml-true")]
    assert len(found) == 4
    assert conversation_of("yaml-true", "alice") in found
