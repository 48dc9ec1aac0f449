"""Task 13: a test of an agent, without a model. It needs `asyncio_mode = auto` and the fixtures of `actors.testing`."""

from actors import Agent
from actors.testing.models import scripted_model, tool_call


def weather(city: str) -> str:
    """Tell the weather of a city."""
    return f"rain in {city}"


async def test_the_guide_looks_up_the_weather(no_leaked_actors: None) -> None:
    """The tool is called, and its result reaches the model."""
    model = scripted_model([tool_call("weather", city="Ulm"), "Take an umbrella."])
    async with Agent("guide", model=model, tools=[weather]) as guide:
        answer = await guide.run("What do I need in Ulm?")

    assert answer.content == "Take an umbrella."
    assert "rain in Ulm" in str(model.requests[1].messages)
