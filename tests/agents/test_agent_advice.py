"""What cannot be meant is refused with advice, and what has no effect is said once."""

import logging
from typing import Any

import pytest
from pydantic import BaseModel

from actors.agents import callback
from actors.agents.agent import Agent
from protocols.errors import ConfigError


class PlaceOfAdvice(BaseModel):
    height: int


@pytest.mark.parametrize("name", ["openai:gpt-4.1", "anthropic:claude-x", "openai-chat:llama"])
def test_a_model_in_the_place_of_the_name_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=f"model='{name}'"):
        Agent(name)
    assert Agent(name, model="test").name == name
    assert Agent("team:reader").name == "team:reader"


@pytest.mark.parametrize(
    ("keywords", "hint"),
    [({"temperature": 1}, "model_settings"), ({"sytem_prompt": ""}, "'system_prompt'"), ({"tool": []}, "'tools'")],
)
async def test_advice_knows_all_parameters_and_the_settings_of_models(keywords: dict[str, Any], hint: str) -> None:
    with pytest.raises(TypeError, match=hint):
        Agent("a", **keywords)
    if hint == "model_settings":
        with pytest.raises(TypeError, match=hint):
            await Agent("a", model="test").run("hi", **keywords)


async def test_a_setting_that_is_nearly_right_is_refused_and_those_of_providers_are_not() -> None:
    misspelt: Any = {"temprature": 1}
    providers: Any = {"openai_logprobs": True}
    short: Any = {"max_token": 1}
    with pytest.raises(ConfigError, match="temprature"):
        Agent("a", model_settings=misspelt)
    agent = Agent("a", model="test", model_settings=providers)
    with pytest.raises(TypeError, match="max_token"):
        await agent.run("hi", model_settings=short)


async def test_each_warning_is_logged_once_by_name(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(callback, "_LONG", -1.0)
    caplog.set_level(logging.WARNING, "understage")
    slow = Agent.from_callback(str.upper, name="advice_slow")
    inventor = Agent("inventor", model="offline", output_type=PlaceOfAdvice, session=False)
    for _ in range(2):
        await Agent.from_callback(str.upper, name="advice_lone", durable=True).run("x")
        Agent.from_callback(str.upper, name="advice_idle", retries=3)
        await slow.run("x")
        await inventor.run("How high is it?")

    warned = [record.getMessage() for record in caplog.records]

    assert sum("'advice_slow'" in text and "blocking=True" in text for text in warned) == 1
    assert sum("'advice_lone'" in text and "AgentPool(journal=True)" in text for text in warned) == 1
    assert sum("'advice_idle'" in text and "retries" in text for text in warned) == 1
    assert sum("invents" in text and "PlaceOfAdvice" in text for text in warned) == 1
