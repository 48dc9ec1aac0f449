import asyncio

import pytest
from pydantic import BaseModel
from pydantic_ai import Agent
from pydantic_ai.messages import BinaryContent

from actors.testing.models import echo_model, failing_model, scripted_model, slow_model, tool_call


class City(BaseModel):
    name: str


async def test_scripted_model_gives_its_answers_one_by_one_and_records_the_requests() -> None:
    model = scripted_model(["one", "two"])
    agent = Agent(model, instructions="Be terse.")
    assert [(await agent.run("a")).output, (await agent.run("b")).output] == ["one", "two"]
    assert model.prompts == ["a", "b"]
    assert [call.instructions for call in model.requests] == ["Be terse."] * 2
    assert not model.requests[0].streamed


async def test_scripted_model_raises_the_exceptions_of_its_script() -> None:
    agent = Agent(scripted_model([KeyError("x"), "fine"]))
    with pytest.raises(KeyError):
        await agent.run("a")
    assert (await agent.run("a")).output == "fine"


async def test_scripted_model_says_when_its_script_is_over() -> None:
    agent = Agent(scripted_model([], name="short"))
    with pytest.raises(AssertionError, match=r"'short' has 0 answer\(s\) and was asked again: 'q'"):
        await agent.run("q")


async def test_scripted_model_fills_structured_output() -> None:
    agent = Agent(scripted_model([City(name="Rom"), {"name": "Ulm"}]), output_type=City)
    assert (await agent.run("a")).output == City(name="Rom")
    assert (await agent.run("a")).output == City(name="Ulm")


async def test_scripted_model_calls_tools() -> None:
    agent = Agent(scripted_model([tool_call("add", a=1, b=2), "done"]))
    seen: list[int] = []

    @agent.tool_plain
    def add(a: int, b: int) -> int:  # pyright: ignore[reportUnusedFunction]
        seen.append(a + b)
        return a + b

    assert (await agent.run("x")).output == "done"
    assert seen == [3]


async def test_scripted_model_streams_in_words_that_add_up_to_the_text() -> None:
    model = scripted_model(["a  bb a\nc", tool_call("final_result", name="Rom")])
    async with Agent(model).run_stream("x") as stream:
        chunks = [chunk async for chunk in stream.stream_text(delta=True, debounce_by=None)]
    assert len(chunks) > 1
    assert "".join(chunks) == "a  bb a\nc"
    async with Agent(model, output_type=City).run_stream("x") as structured:
        assert await structured.get_output() == City(name="Rom")
    assert all(call.streamed for call in model.requests)


async def test_failing_model_recovers_after_the_given_number_of_failures() -> None:
    agent = Agent(failing_model(ConnectionError("down"), times=2))
    for _ in range(2):
        with pytest.raises(ConnectionError, match="down"):
            await agent.run("x")
    assert (await agent.run("x")).output == "recovered"


async def test_failing_model_fails_for_ever_and_when_streamed() -> None:
    agent = Agent(failing_model(ConnectionError("down")))
    with pytest.raises(ConnectionError):
        async with agent.run_stream("x"):
            pass
    with pytest.raises(ConnectionError):
        await agent.run("x")


async def test_slow_model_answers_when_it_is_released() -> None:
    release = asyncio.Event()
    model = slow_model(release)
    run = asyncio.create_task(Agent(model).run("question"))
    await model.started.wait()
    assert (model.waiting, run.done()) == (1, False)
    release.set()
    assert (await run).output == "question"
    assert model.waiting == 0


async def test_slow_model_counts_cancelled_requests() -> None:
    model = slow_model(asyncio.Event(), "never")
    run = asyncio.create_task(Agent(model).run("x"))
    await model.started.wait()
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    assert (model.cancelled, model.waiting) == (1, 0)


async def test_echo_model_repeats_the_prompt_and_names_media() -> None:
    picture = BinaryContent(b"x", media_type="image/png", identifier="a.png")
    assert (await Agent(echo_model()).run(["look", picture])).output == "look\n\n[image/png: a.png]"
    agent = Agent(echo_model("a({prompt})"))
    assert (await agent.run("q")).output == "a(q)"
