"""Many calls of a provider that draws a fault for each request: what holds whatever it does."""

import asyncio
from collections import Counter
from typing import Any, Literal

import pytest

from actors.agents.agent import Agent
from actors.models.policy import ModelPolicy
from actors.testing.clock import ManualClock
from actors.testing.faults import chaos, cut, pings, refusal, silence, slow
from actors.testing.hostile_server import HostileServer, Reply
from actors.testing.models import served_model
from actors.testing.openai_answer import Answer
from protocols.model_errors import ModelCallError
from tests.support.policy import Start

POLICY = ModelPolicy(attempts=3, min_wait=0, max_wait=0)
SAID = "hello from the server"


async def call(agent: Agent[Any, Any], prompt: str, *, streamed: bool) -> str:
    if not streamed:
        return str((await agent.run(prompt)).content)
    async with agent.run_stream(prompt) as stream:
        return "".join([text async for text in stream.stream()])


@pytest.mark.usefixtures("no_leaked_actors")
@pytest.mark.parametrize("api", ["chat", "responses"])
@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("calls", [75, pytest.param(2_500, marks=pytest.mark.soak)])
async def test_each_call_is_an_answer_or_an_error_that_tells_its_attempts(
    api: Literal["chat", "responses"], calls: int, *, streamed: bool
) -> None:
    outcomes: dict[str, str | ModelCallError] = {}
    prompts = [f"call {number}" for number in range(calls)]
    left = iter(prompts)

    async def client(agent: Agent[Any, Any]) -> None:
        for prompt in left:
            try:
                outcomes[prompt] = await call(agent, prompt, streamed=streamed)
            except ModelCallError as error:
                outcomes[prompt] = error

    async with (
        HostileServer(chaos(7)) as server,
        served_model(server, api=api) as model,
        Agent("a", model=model, policy=POLICY, session=False, retries=0) as agent,
    ):
        await asyncio.gather(*(client(agent) for _ in range(10)))

    asked = Counter(request.prompt for request in server.requests)
    answers = {prompt: text for prompt, text in outcomes.items() if isinstance(text, str)}
    failures = {prompt: error for prompt, error in outcomes.items() if isinstance(error, ModelCallError)}
    assert list(outcomes.keys() ^ prompts) == []
    assert set(answers.values()) == {SAID}
    assert all(SAID.startswith(error.partial or "") for error in failures.values())
    assert {prompt: error.attempts for prompt, error in failures.items()} == {one: asked[one] for one in failures}
    assert all(1 <= asked[prompt] <= POLICY.attempts for prompt in answers)
    assert len(failures) > len(prompts) // 20


@pytest.mark.parametrize("streamed", [False, True])
async def test_each_call_is_settled_by_its_deadline(start: Start, manual_clock: ManualClock, *, streamed: bool) -> None:
    policy = ModelPolicy(attempts=3, deadline=2, first_byte=0.5, idle=0.5, max_wait=0.5)
    hung: list[Reply] = [silence(), pings(0.1), cut(Answer(SAID), 3, end="hang"), slow(Answer(SAID), 0.1)]
    quick: list[Reply] = [refusal(503), Answer(SAID)]
    script = chaos(7, replies=[*hung, *3 * quick])
    async with HostileServer(script, clock=manual_clock) as server, served_model(server) as model:
        agent = start(model, policy=policy, retries=0)
        for _ in range(5):
            due = manual_clock.now() + 2.5
            calls = [asyncio.create_task(call(agent, "hi", streamed=streamed)) for _ in range(20)]
            while not all(task.done() for task in calls):
                assert manual_clock.now() < due
                await manual_clock.advance(0.05)
            outcomes = await asyncio.gather(*calls, return_exceptions=True)
            assert all(one == SAID or isinstance(one, ModelCallError) for one in outcomes)
