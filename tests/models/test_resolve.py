import asyncio
import sys
from typing import Any

import pydantic_ai
import pytest
from pydantic_ai.models import Model
from pydantic_ai.models.openai import OpenAIResponsesModel
from pydantic_ai.models.test import TestModel

from actors.models.endpoint import Model as OwnModel
from actors.models.offline.model import OfflineModel
from actors.models.resolve import (
    MODEL_VARIABLE,
    _keepers,  # pyright: ignore[reportPrivateUsage]
    _shared,  # pyright: ignore[reportPrivateUsage]
    close_models,
    default_model_name,
    resolve_model,
)
from protocols.errors import MissingExtraError, MissingKeyError, UnknownModelError


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (MODEL_VARIABLE, "OPENAI_API_KEY", "OPENAI_BASE_URL", "DEEPSEEK_API_KEY", "OLLAMA_BASE_URL"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret-canary")


def test_banner_of_the_model_library_is_off() -> None:
    assert pydantic_ai.BANNER_ENABLED is False


def test_default_is_offline_until_the_environment_names_another(monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(resolve_model(), OfflineModel)
    monkeypatch.setenv(MODEL_VARIABLE, "test")
    assert isinstance(resolve_model(), TestModel)
    assert isinstance(resolve_model("offline"), OfflineModel)
    monkeypatch.setenv(MODEL_VARIABLE, " ")
    assert default_model_name() == "offline"


def test_model_object_is_returned_as_it_is() -> None:
    model = TestModel()
    assert resolve_model(model) is model


@pytest.mark.usefixtures("key")
@pytest.mark.parametrize("name", ["gpt-4", "gpt-4o", "o3-mini", "openai:gpt-4o"])
async def test_name_without_provider_is_that_of_the_default_provider(name: str) -> None:
    model = resolve_model(name)
    assert isinstance(model, OpenAIResponsesModel)
    assert model.model_name == name.removeprefix("openai:")
    await close_models()


@pytest.mark.usefixtures("key")
async def test_models_of_one_provider_share_a_client_per_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    def client(model: Model) -> Any:
        return getattr(model, "client", None)

    first, second, chat = (resolve_model(name) for name in ("openai:gpt-4o", "gpt-5", "openai-chat:gpt-4o"))
    assert client(first) is not None
    assert client(first) is client(second) is client(chat)
    other = await asyncio.to_thread(resolve_model, "openai:gpt-4o")
    assert client(other) is not client(first)
    monkeypatch.setenv("OPENAI_API_KEY", "another")
    assert client(resolve_model("openai:gpt-4o")) is not client(first)
    await close_models()


@pytest.mark.usefixtures("key")
async def test_closing_models_closes_their_shared_clients_and_can_be_repeated() -> None:
    model: Any = resolve_model("openai:gpt-4o")
    await close_models()
    assert model.client.is_closed()
    await close_models()


@pytest.mark.parametrize(
    ("name", "variable"),
    [
        ("gpt-4o", "OPENAI_API_KEY"),
        ("openai-chat:gpt-4o", "OPENAI_API_KEY"),
        ("deepseek:deepseek-chat", "DEEPSEEK_API_KEY"),
        ("ollama:llama3", "OLLAMA_BASE_URL"),
    ],
)
def test_missing_key_is_named(name: str, variable: str) -> None:
    with pytest.raises(MissingKeyError, match=f"set the environment variable {variable}") as caught:
        resolve_model(name, node="writer")
    assert str(caught.value).startswith("node 'writer': model ")
    assert caught.value.node == "writer"


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("ofline", "did you mean 'offline'"),
        ("foo:bar", "known are|did you mean"),
        ("opnai:gpt-4o", "did you mean 'openai:gpt-4o'"),
        ("openai:", "did you mean 'openai:"),
        ("", "known are"),
    ],
)
def test_unknown_model_is_refused_with_the_nearest_names(name: str, hint: str) -> None:
    with pytest.raises(UnknownModelError, match=f"model '{name}' is unknown; .*({hint})"):
        resolve_model(name)


def test_missing_library_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in [one for one in sys.modules if one.startswith("pydantic_ai.providers.groq")]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "groq", None)
    with pytest.raises(MissingExtraError, match=r'pip install "understage\[groq\]"'):
        resolve_model("groq:llama-3.3-70b-versatile")


@pytest.mark.usefixtures("key")
def test_no_error_shows_a_key() -> None:
    with pytest.raises(UnknownModelError) as caught:
        resolve_model("opnai:gpt-4o")
    assert "canary" not in str(caught.value)


@pytest.mark.usefixtures("key")
def test_the_end_of_the_loop_closes_clients_that_nothing_else_has_closed() -> None:
    async def make() -> list[Any]:
        first: Any = resolve_model("openai:gpt-4o")
        own: Any = OwnModel("openai-chat:m", base_url="http://127.0.0.1:9/v1").wrapped
        return [first.client, own.client]

    clients = asyncio.run(make())
    assert [client.is_closed() for client in clients] == [True, True]
    assert not _shared


@pytest.mark.usefixtures("key")
async def test_clients_of_closed_loops_are_forgotten() -> None:
    async def make() -> None:
        resolve_model("openai:gpt-4o")

    def on_another_loop() -> None:
        loop = asyncio.new_event_loop()
        loop.run_until_complete(make())
        loop.close()  # ends no generators, as `asyncio.run` does

    await asyncio.to_thread(on_another_loop)
    resolve_model("openai:gpt-4o")
    assert [loop.is_closed() for loop in (*_shared, *_keepers)] == [False, False]
    await close_models()
    assert not _shared
