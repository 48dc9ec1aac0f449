"""The lines in docs/troubleshooting.md are what the software says."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from actors import Agent, AgentPool, Team
from actors.config.load import load_manifest, parse_manifest
from actors.testing.models import echo_model, slow_model
from actors.web import health_routes
from protocols.budget import Budget
from protocols.errors import ManifestError
from tests.docs.test_snippets import DOCS

if TYPE_CHECKING:
    from pathlib import Path

PAGE = (DOCS / "troubleshooting.md").read_text(encoding="utf-8")


def is_told(text: object) -> bool:
    """True if the page has this line."""
    return str(text) in PAGE.splitlines()


def closed(_text: str) -> str:
    raise ConnectionError("the shop is closed")


@pytest.mark.parametrize(
    "manifest",
    [
        "agents:\n  writer:\n    modle: offline\n",
        'agents:\n  writer: {system_prompt: "${TONE}"}\n',
        "agents:\n  clerk: {tools: [shop.tools:find]}\n",
    ],
)
def test_what_is_wrong_with_a_manifest(manifest: str, tmp_path: Path) -> None:
    (tmp_path / "agents.yml").write_text(manifest, encoding="utf-8")

    with pytest.raises(ManifestError) as caught:
        load_manifest(tmp_path / "agents.yml", env={})

    assert is_told("agents.yml" + str(caught.value).partition("agents.yml")[2])


@pytest.mark.parametrize("model", ["opnai:gpt-4.1-mini", "openai:gpt-4.1-mini"])
async def test_models_that_cannot_be_made(model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    async with AgentPool[None]() as pool:
        await pool.add_agent("writer", model=model)
        with pytest.raises(Exception, match="writer") as caught:
            await pool["writer"].run("Hello")

    assert is_told(caught.value)


async def test_a_run_that_is_late() -> None:
    async def write(_text: str) -> str:
        await asyncio.Event().wait()
        return ""

    inner = Team([Agent.from_callback(write, name="writer")], name="inner")
    outer = Team([inner, Agent.from_callback(str.upper, name="upper")], name="outer", policy="all")
    async with outer:
        with pytest.raises(TimeoutError) as caught:
            await outer.run("Hello", timeout=0.3)

    assert is_told(caught.value)


async def test_a_full_mailbox() -> None:
    manifest = parse_manifest("agents: {clerk: {session: false, max_concurrency: 1, mailbox: {capacity: 2}}}")
    release = asyncio.Event()
    async with AgentPool[None](manifest, model=slow_model(release)) as pool:
        runs = [asyncio.ensure_future(pool["clerk"].run("Hello")) for _ in range(4)]
        ended, _ = await asyncio.wait(runs, timeout=20, return_when=asyncio.FIRST_COMPLETED)
        release.set()
        await asyncio.wait(runs)

    assert is_told(next(iter(ended)).exception())


async def test_actors_that_wait_for_themselves() -> None:
    async with AgentPool[None]() as pool:

        async def again(text: str) -> str:
            return (await pool["me"].run(text)).text

        def block(text: str) -> str:
            return pool["me"].run_sync(text).text

        await pool.add_node(Agent.from_callback(again, name="me", max_concurrency=1))
        await pool.add_node(Agent.from_callback(block, name="other"))
        for node in ("me", "other"):
            with pytest.raises(Exception, match=r"ask cycle|run_sync") as caught:
                await pool[node].run("Hello")
            assert is_told(caught.value)


@pytest.mark.parametrize(("prompt", "options"), [("Hello", {"deps": 3}), ("x" * 3_000_000, {})])
async def test_runs_that_cannot_be_kept(prompt: str, options: dict[str, Any], tmp_path: Path) -> None:
    async with AgentPool[Any](journal=tmp_path / "orders.journal") as pool:
        await pool.add_node(Agent.from_callback(str.upper, name="clerk", durable=True))
        with pytest.raises(TypeError) as caught:
            await pool["clerk"].run(prompt, **options)

    assert is_told(caught.value)


async def test_a_member_that_fails() -> None:
    async with Team([Agent.from_callback(closed, name="critic")], name="review") as team:
        with pytest.raises(RuntimeError) as caught:
            await team.run("Hello")

    assert is_told(caught.value)


async def test_a_budget_that_is_used_up() -> None:
    async with Agent("poor", model=echo_model(), budget=Budget(requests=1)) as agent:
        await agent.run("Hello")
        with pytest.raises(Exception, match="budget") as caught:
            await agent.run("Hello")

    assert is_told(caught.value)


async def test_a_reload_that_is_refused() -> None:
    async with AgentPool[None](parse_manifest("agents: {a: {model: offline}}")) as pool:
        with pytest.raises(ManifestError) as caught:
            await pool.reload(parse_manifest("storage: {type: memory}\nagents: {a: {model: offline}}"))

    assert is_told(caught.value)


def test_a_host_name_that_is_not_answered() -> None:
    client = TestClient(Starlette(routes=[*health_routes(AgentPool[None]())]), base_url="http://agents.example.org")

    assert is_told(client.get("/health/ready").text)
