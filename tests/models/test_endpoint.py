"""Models of servers of one's own: their address, headers and key."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from pydantic_ai.models import override_allow_model_requests

from actors import Agent, Model
from actors.app import check_models
from actors.config.load import parse_manifest
from actors.models.resolve import close_models
from actors.testing.hostile_server import HostileServer
from actors.testing.openai_answer import Answer
from protocols.errors import ConfigError, ManifestError, MissingKeyError, ModelError


@asynccontextmanager
async def served() -> AsyncGenerator[HostileServer]:
    async with HostileServer(Answer("Hello.")) as server:
        with override_allow_model_requests(True):
            yield server
        await close_models()


async def test_a_model_asks_its_server_with_its_headers_and_no_key_of_the_provider(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-the-provider")
    async with served() as server:
        model = Model("openai-chat:llama3.2", base_url=server.url, headers={"x-team": "stage"})
        async with Agent("local", model=model) as agent:
            said = await agent.run("Hi")

    assert said.content == "Hello."
    asked = server.requests[0]
    assert (asked.model, asked.headers["x-team"], asked.headers["authorization"]) == (
        "llama3.2",
        "stage",
        "Bearer none",
    )


async def test_the_key_is_that_of_the_named_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STAGE_KEY", "sk-own")
    async with served() as server:
        agent = Agent("local", model=Model("openai-chat:m", base_url=server.url, key_variable="STAGE_KEY"))
        async with agent:
            await agent.run("Hi")
            await agent.run("Hi again")

    assert [one.headers["authorization"] for one in server.requests] == ["Bearer sk-own"] * 2


async def test_a_missing_key_is_named_without_the_keys_of_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("STAGE_KEY", raising=False)
    model = Model("openai-chat:m", base_url="http://127.0.0.1:9/v1", key_variable="STAGE_KEY")
    async with Agent("local", model=model) as agent:
        with pytest.raises(MissingKeyError, match="set the environment variable STAGE_KEY"):
            await agent.run("Hi")


async def test_a_provider_without_addresses_is_refused() -> None:
    async with Agent("local", model=Model("openrouter:m/m", base_url="http://127.0.0.1:9")) as agent:
        with pytest.raises(ModelError, match="provider 'openrouter' takes no address; use 'openai-chat:m/m'"):
            await agent.run("Hi")


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"name": "llama", "base_url": "http://h/v1"}, "model 'llama' needs a provider, as in 'openai-chat:llama'"),
        ({"name": "openai-chat:m", "base_url": "localhost:11434"}, "base_url must be an address"),
        ({"name": "openai-chat:m", "base_url": "http://u:secret@h/v1"}, "without a password"),
        ({"name": "openai-chat:m", "base_url": "http://h/v1", "headers": {"x": 1}}, "printable texts"),
        ({"name": "openai-chat:m", "base_url": "http://h/v1", "headers": {"x": "1\r\ny: 2"}}, "printable texts"),
        ({"name": "openai-chat:m", "base_url": "http://h/v1", "headers": "x: 1"}, "must be a mapping"),
    ],
)
def test_an_impossible_model_is_refused(given: dict[str, Any], text: str) -> None:
    with pytest.raises(ConfigError, match=text) as caught:
        Model(**given)
    assert "secret" not in str(caught.value).replace("a password", "")


def test_a_model_shows_no_header() -> None:
    model = Model("openai-chat:m", base_url="http://h/v1/", headers={"x-key": "secret"})
    assert repr(model) == "Model('openai-chat:m', base_url='http://h/v1')"


async def test_a_manifest_names_address_headers_and_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STAGE_KEY", "sk-own")
    async with served() as server:
        file = tmp_path / "pool.yml"
        file.write_text(
            "agents:\n  local:\n    model:\n      name: openai-chat:m\n"
            f"      base_url: {server.url}\n      headers: {{x-team: stage}}\n      key_variable: STAGE_KEY\n"
        )
        async with Agent.from_config(file) as agent:
            await agent.run("Hi")

    headers = server.requests[0].headers
    assert (headers["x-team"], headers["authorization"]) == ("stage", "Bearer sk-own")


def test_a_missing_key_is_found_before_a_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("STAGE_KEY", raising=False)
    model = "{name: 'openai-chat:m', base_url: 'http://h/v1', key_variable: STAGE_KEY}"
    with pytest.raises(ManifestError, match=r"<text>:1: agents.local.model: .*set the environment variable STAGE_KEY"):
        check_models(parse_manifest(f"agents: {{local: {{model: {model}}}}}"), "local")


@pytest.mark.parametrize(
    ("lines", "text"),
    [
        ("base_url: localhost:1\n", "base_url"),
        ("key_variable: STAGE_KEY\n", "key_variable: goes with base_url"),
        ("headers: {x: y}\n", "headers: goes with base_url"),
    ],
)
def test_a_manifest_with_an_impossible_model_names_the_key(tmp_path: Path, lines: str, text: str) -> None:
    file = tmp_path / "pool.yml"
    file.write_text(f"agents:\n  local:\n    model:\n      name: openai-chat:m\n      {lines}")
    with pytest.raises(ManifestError, match=text):
        Agent.from_config(file)
