"""Conversations from the storage: listed, searched, read, and without secrets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from actors.app.pool import AgentPool
from actors.config.load import load_manifest
from actors.testing.models import scripted_model, tool_call
from protocols.redaction import redact
from tests.dashboard.client import Site, site

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("no_leaked_actors")

SECRET = "canary-0123456789"


@pytest.fixture
async def shown(tmp_path: Path) -> AsyncGenerator[Site]:
    file = tmp_path / "agents.yml"
    file.write_text("name: said\nstorage: {type: sqlite, path: history.db}\n", encoding="utf-8")
    model = scripted_model([tool_call("look_up", word="tides"), "The moon. <b>", "Yes.", "x" * 50_000])
    async with AgentPool[None](load_manifest(file)) as pool:
        agent = await pool.add_agent("clerk", model=model)

        @agent.tools.tool_plain
        def look_up(word: str) -> str:
            return f"{word} {SECRET}"

        await agent.run("What makes tides?")
        await agent.run("Sure?", session="bob")
        await agent.run("More!", session="eve")
        redact.learn([SECRET])
        async with site(pool) as opened:
            yield opened
    redact.begin({})


async def get(shown: Site, path: str, **query: Any) -> tuple[int, Any]:
    answer = await shown.http.get(f"/api/conversations{path}", params=query)
    return answer.status_code, answer.json()


async def test_conversations_are_listed_in_pages_and_searched(shown: Site) -> None:
    _, everything = await get(shown, "")
    _, first = await get(shown, "", limit=2)
    _, rest = await get(shown, "", limit=2, before=first["conversations"][-1]["at"])
    _, found = await get(shown, "", query="MAKES tides")
    _, nothing = await get(shown, "", query="%")

    titles = [row["title"] for row in everything["conversations"]]
    assert titles == ["More!", "Sure?", "What makes tides?"]
    assert (first["more"], rest["more"]) == (True, False)
    assert first["conversations"] + rest["conversations"] == everything["conversations"]
    assert [row["title"] for row in found["conversations"]] == ["What makes tides?"]
    assert (found["conversations"][0]["messages"], found["conversations"][0]["node"]) == (2, "clerk")
    assert nothing["conversations"] == []


async def test_a_transcript_shows_the_calls_of_tools_without_secrets_and_cut(shown: Site) -> None:
    _, listed = await get(shown, "")
    said = [(await get(shown, f"/{row['id']}"))[1]["messages"] for row in listed["conversations"]]
    asked, answered = said[-1]

    assert (asked["role"], asked["text"], asked["tool_calls"]) == ("user", "What makes tides?", [])
    assert (answered["role"], answered["text"]) == ("assistant", "The moon. <b>")
    (call,) = answered["tool_calls"]
    assert (call["name"], call["arguments"], call["result"], call["error"]) == (
        "look_up",
        '{"word":"tides"}',
        "tides ***",
        "",
    )
    assert len(said[0][1]["text"]) == 20_000


async def test_bad_questions_are_refused(shown: Site) -> None:
    for query in (
        {"limit": "x"},
        {"limit": 0},
        {"limit": -1},
        {"before": "x"},
        {"before": "nan"},
        {"query": "x" * 2_000},
    ):
        status, answer = await get(shown, "", **query)
        assert (status, bool(answer["error"])) == (400, True), query


async def test_an_unknown_conversation_is_named(shown: Site) -> None:
    status, answer = await get(shown, "/a/b")

    assert (status, answer["error"]) == (404, "conversation 'a/b' is not in the storage of the pool")


async def test_a_pool_without_storage_has_no_conversations() -> None:
    async with AgentPool[None](model="offline") as pool, site(pool) as opened:
        assert await get(opened, "") == (200, {"conversations": [], "more": False})
