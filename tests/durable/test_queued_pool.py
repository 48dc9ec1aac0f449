"""What a pool does with what waits in the queued connections of its manifest: it survives restarts and reloads."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from actors.agents.agent import Agent
from actors.app.journal_service import JournalService
from actors.config.load import parse_manifest
from actors.testing.settle import settle
from protocols.errors import ManifestError
from tests.durable.test_journal_service import pool_on

if TYPE_CHECKING:
    from actors.storage.journal_memory import MemoryJournal

pytestmark = pytest.mark.usefixtures("no_leaked_actors")

MANIFEST = """
allow_imports: [tests]
journal: true
agents:
  writer:
    type: callback
    callback: tests.durable.test_queued_pool:write
    connections: [{type: node, name: clerk, queued: true, queue_strategy: buffer, queue: {capacity: 3}}]
  clerk: {type: callback, callback: "tests.durable.test_queued_pool:write", durable: true}
"""
NAME = "writer->['clerk']"


def write(prompt: str) -> str:
    """Answer."""
    return prompt.upper()


async def test_a_pool_keeps_what_the_queued_connections_of_its_manifest_hold_back(
    journal: MemoryJournal, caplog: pytest.LogCaptureFixture
) -> None:
    manifest = parse_manifest(MANIFEST)
    async with pool_on(journal, manifest) as pool:
        for text in ("one", "two", "three", "four"):
            await pool["writer"].run(text)
        await settle()
        service = pool.service(JournalService)
        assert service is not None
        assert service.kept == {"clerk": 3}
        with pytest.raises(ManifestError, match="'clerk': `durable` cannot be taken away while 3 messages are kept"):
            await pool.reload(parse_manifest(MANIFEST.replace(", durable: true", "")))
    async with pool_on(journal, manifest) as pool:
        service = pool.service(JournalService)
        assert service is not None
        assert service.kept == {"clerk": 3}
        answers = await pool.connection_registry[NAME].trigger()
        await pool["writer"].run("five")
        await settle()
    assert [answer.content for answer in answers] == ["ONE", "TWO", "THREE"]
    assert "messages wait for" not in caplog.text
    start, end = MANIFEST.index("    connections"), MANIFEST.index("  clerk")
    async with pool_on(journal, parse_manifest(MANIFEST[:start] + MANIFEST[end:])):
        pass
    name = f"pool/clerk#{NAME}"
    assert f"1 messages wait for {name!r}, which is no durable node or queued connection" in caplog.text
    assert await journal.counts() == {name: 1}


async def test_what_waits_is_counted_when_a_node_leaves_and_comes_again(journal: MemoryJournal) -> None:
    async with pool_on(journal, parse_manifest(MANIFEST)) as pool:
        talk = pool.connection_registry[NAME]
        for round in range(2):
            for text in ("one", "two", "three", "four"):
                await pool["writer"].run(text)
            await settle()
            assert (await journal.counts(), talk.stats.dropped) == ({f"pool/clerk#{NAME}": 3}, 1 + 4 * round)
            again = Agent.from_callback(write, name="clerk", durable=True)
            await pool.replace_node("clerk", again)
        assert [answer.content for answer in await talk.trigger()] == ["ONE", "TWO", "THREE"]
