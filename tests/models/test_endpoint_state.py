import asyncio
from typing import Any

import pytest
from pydantic_ai.exceptions import ModelHTTPError

from actors import Agent, ModelPolicy
from actors.models.endpoint_state import state_of
from actors.runtime.system import ActorSystem
from actors.testing.clock import ManualClock
from actors.testing.models import Answer, ModelCall, RecordingModel, echo_model, failing_model, slow_model
from actors.testing.settle import settle
from protocols import model_errors as errors
from protocols.events import StampedEvent
from protocols.model_events import CircuitClosed, CircuitOpened, ModelRetried, ModelThrottled
from tests.support.policy import BUSY, Start, ended, limited

ONCE = ModelPolicy(attempts=1, breaker_after=3, probe_after=30)


class Hosted(RecordingModel):
    """A model of a provider; all of them have one endpoint."""

    url = "http://models.test/v1"

    @property
    def base_url(self) -> str:
        return self.url

    def __init__(self, clock: ManualClock, *answers: Answer) -> None:
        self.times: list[float] = []
        self._clock = clock
        self._script = list(answers)
        super().__init__(self._give)

    async def _give(self, _: ModelCall) -> Answer:
        self.times.append(self._clock.now())
        return self._script.pop(0) if self._script else "yes"


@pytest.fixture
def published(actor_system: ActorSystem) -> list[Any]:
    kinds = (CircuitClosed, CircuitOpened, ModelRetried, ModelThrottled)
    events: list[StampedEvent] = []
    actor_system.events.subscribe(events.append, kinds)
    return events


# -- circuit breaker ------------------------------------------------------------------------------------------------


async def broken(start: Start, model: RecordingModel) -> Agent[Any, Any]:
    """Return an agent whose endpoint failed three times."""
    agent = start(model, policy=ONCE)
    for _ in range(3):
        with pytest.raises(errors.OverloadedError):
            await agent.run("x")
    return agent


async def test_an_endpoint_that_fails_again_and_again_is_left_alone(
    start: Start, manual_clock: ManualClock, published: list[Any]
) -> None:
    model = failing_model(BUSY)
    agent = await broken(start, model)
    await manual_clock.advance(10)

    with pytest.raises(errors.CircuitOpenError, match=r"failed too often; the next probe is in 20\.0 s") as caught:
        await agent.run("x")

    assert (caught.value.next_probe, caught.value.attempts, len(model.requests)) == (20, 0, 3)
    assert [(type(one), one.actor, one.delay) for one in published] == [(CircuitOpened, "a", 30)]


async def test_one_request_finds_out_whether_it_works_again(
    start: Start, manual_clock: ManualClock, published: list[Any]
) -> None:
    release = asyncio.Event()

    async def answer(_: ModelCall) -> Answer:
        if len(model.requests) <= 3:
            return BUSY
        await release.wait()
        return "yes"

    model = RecordingModel(answer)
    agent = await broken(start, model)
    await manual_clock.advance(30)

    probe = asyncio.create_task(agent.run("x"))
    await settle()
    for _ in range(2):
        with pytest.raises(errors.CircuitOpenError):
            await agent.run("x")
    release.set()

    assert ((await probe).content, (await agent.run("x")).content) == ("yes", "yes")
    assert len(model.requests) == 5
    assert [type(one) for one in published] == [CircuitOpened, CircuitClosed]


async def test_a_probe_that_fails_leaves_it_alone_once_more(start: Start, manual_clock: ManualClock) -> None:
    model = failing_model(BUSY)
    agent = await broken(start, model)
    await manual_clock.advance(30)

    for error in (errors.OverloadedError, errors.CircuitOpenError):
        with pytest.raises(error):
            await agent.run("x")

    assert len(model.requests) == 4


async def test_a_probe_that_is_cancelled_makes_room_for_another(start: Start, manual_clock: ManualClock) -> None:
    slow = slow_model(asyncio.Event())
    slow_one = start(slow, policy=ONCE)
    state: Any = slow_one.execution
    state = state.resolve(slow, "a").state
    for _ in range(3):
        state.failed(manual_clock.now(), ONCE)
    await manual_clock.advance(30)
    probe = asyncio.create_task(slow_one.run("x"))
    await slow.started.wait()

    probe.cancel()
    await settle()

    assert state.refuses(manual_clock.now()) is None


async def test_a_refusal_of_a_request_says_that_the_endpoint_works(start: Start) -> None:
    model = failing_model(ModelHTTPError(400, "m"))
    agent = start(model, policy=ONCE)

    for _ in range(5):
        with pytest.raises(errors.BadRequestError):
            await agent.run("x")


async def test_the_attempts_of_one_request_end_when_the_endpoint_is_left_alone(
    start: Start, manual_clock: ManualClock
) -> None:
    model = failing_model(BUSY)
    agent = start(model, policy=ModelPolicy(attempts=9, breaker_after=4))

    with pytest.raises(errors.OverloadedError) as caught:
        await ended(agent.run("x"), manual_clock)

    assert (caught.value.attempts, len(model.requests)) == (4, 4)
    assert "the endpoint is left alone for 30 s" in caught.value.__notes__


# -- pauses that the provider wants ---------------------------------------------------------------------------------


async def test_other_agents_of_the_endpoint_wait_as_well(
    start: Start, manual_clock: ManualClock, published: list[Any]
) -> None:
    first, other = Hosted(manual_clock, limited(2)), Hosted(manual_clock)
    run = asyncio.create_task(start(first).run("x"))
    await settle()
    second = asyncio.create_task(start(other).run("x"))
    await settle()
    assert other.times == []

    answers = [await ended(run, manual_clock), await ended(second, manual_clock)]

    assert [answer.content for answer in answers] == ["yes", "yes"]
    assert first.times[0] == 0
    assert all(2 <= time < 3 for time in (first.times[1], other.times[0]))
    retried, *throttled = published
    assert (type(retried), retried.attempt, retried.delay, retried.endpoint) == (ModelRetried, 1, 2, "models.test")
    assert [(type(one), one.delay) for one in throttled] == [(ModelThrottled, 2), (ModelThrottled, 2)]


async def test_those_that_wait_do_not_come_back_together(start: Start, manual_clock: ManualClock) -> None:
    all_in_flight = asyncio.Event()
    again: list[float] = []

    async def answer(_: ModelCall) -> Answer:
        if len(model.requests) <= 30:
            await all_in_flight.wait()
            return limited(2)
        again.append(manual_clock.now())
        return "yes"

    model = RecordingModel(answer)
    agent = start(model)
    runs = [asyncio.create_task(agent.run("x")) for _ in range(30)]
    await settle()
    all_in_flight.set()

    for run in runs:
        await ended(run, manual_clock)

    assert len(set(again)) == len(again) == 30
    assert min(again) >= 2
    assert max(again) - min(again) > 1


async def test_a_pause_beyond_the_deadline_is_told_at_once(start: Start, manual_clock: ManualClock) -> None:
    model = Hosted(manual_clock, limited(50))
    with pytest.raises(errors.RateLimitedError):
        await start(model, policy=ONCE).run("x")

    with pytest.raises(errors.RateLimitedError, match=r"a pause of 50\.0 s, beyond the deadline") as caught:
        await start(Hosted(manual_clock), timeout=20).run("x")

    assert (caught.value.attempts, caught.value.retry_after, manual_clock.now()) == (0, 50, 0)


async def test_a_pause_of_years_holds_up_the_others_for_minutes(start: Start, manual_clock: ManualClock) -> None:
    model = Hosted(manual_clock, limited(10**9))
    with pytest.raises(errors.RateLimitedError) as caught:
        await start(model, timeout=20).run("x")
    assert caught.value.retry_after == 10**9

    assert (await ended(start(model).run("x"), manual_clock)).content == "yes"
    assert 300 <= manual_clock.now() < 301


# -- budget of retries ----------------------------------------------------------------------------------------------


async def test_retries_are_a_share_of_the_requests(start: Start, manual_clock: ManualClock) -> None:
    model = failing_model(BUSY)
    agent = start(model, policy=ModelPolicy(breaker_after=None))

    for _ in range(19):
        with pytest.raises(errors.OverloadedError):
            await ended(agent.run("x"), manual_clock)
    with pytest.raises(errors.OverloadedError) as caught:
        await agent.run("x")

    assert len(model.requests) == 20 + 10
    assert "no other attempt: retries are 20% of the requests of its endpoint" in caught.value.__notes__


async def test_requests_that_succeed_fill_it_again(start: Start, manual_clock: ManualClock) -> None:
    agent = start(echo_model())
    execution: Any = agent.execution
    state = execution.resolve(agent.model, "a").state
    state.retries = 0.0

    for _ in range(5):
        await agent.run("x")

    assert state.retries == pytest.approx(1.0)


async def test_states_of_endpoints_are_not_kept_for_ever() -> None:
    class Elsewhere(Hosted):
        def __init__(self, place: int) -> None:
            super().__init__(ManualClock())
            self.url = f"http://{place}.test/v1"

    first = state_of(Elsewhere(0))
    assert state_of(Elsewhere(0)) is first
    for place in range(1, 300):
        state_of(Elsewhere(place))

    assert state_of(Elsewhere(0)) is not first
