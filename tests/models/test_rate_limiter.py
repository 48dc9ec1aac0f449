"""The limits of an endpoint: shared by all its agents, fair, and never exceeded."""

import asyncio
import gc
import itertools
import math
import random
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic_ai.exceptions import ModelHTTPError
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart
from pydantic_ai.models.function import AgentInfo, DeltaToolCalls
from pydantic_ai.usage import RequestUsage

from actors import Agent, ModelPolicy, RateLimits
from actors.models import model_call
from actors.models.endpoint_state import state_of
from actors.models.rate_limiter import Place, RateLimiter
from actors.runtime.system import ActorSystem
from actors.testing.clock import ManualClock
from actors.testing.models import Answer, ModelCall, RecordingModel
from actors.testing.settle import settle
from protocols import model_errors as errors
from protocols.model_events import ModelThrottled
from tests.support.policy import BUSY, Start, ended, limited

_numbers = itertools.count()


class Served(RecordingModel):
    """A model of an endpoint: notes when each prompt arrives, and answers when it is released."""

    def __init__(self, clock: ManualClock, *, tokens: int = 10, at_once: bool = True, failures: Any = ()) -> None:
        self.url = f"http://{next(_numbers)}.test/v1"
        self.arrivals: list[tuple[float, str]] = []
        self.release, self.rest = asyncio.Event(), asyncio.Event()
        if at_once:
            self.release.set()
        self._clock, self._tokens, self._failures = clock, tokens, iter(failures)
        super().__init__(self._give)

    @property
    def base_url(self) -> str:
        return self.url

    async def _give(self, call: ModelCall) -> Answer:
        self.arrivals.append((self._clock.now(), call.prompt))
        await self.release.wait()
        failure = next(self._failures, None)
        return failure or ModelResponse([TextPart("yes")], usage=RequestUsage(input_tokens=self._tokens))

    async def _stream(self, messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[str | DeltaToolCalls]:
        async for piece in super()._stream(messages, info):
            yield piece
            yield " and"
            await self.rest.wait()

    def times(self) -> list[float]:
        return [time for time, _ in self.arrivals]


def policy(**limits: int) -> ModelPolicy:
    return ModelPolicy(limits=RateLimits(**limits))


def most_in(times: list[float], window: float) -> int:
    """Return the largest number of arrivals in any window of so many seconds."""
    return max(sum(begin <= other < begin + window for other in times) for begin in times)


# -- rates ----------------------------------------------------------------------------------------------------------


@given(st.integers(1, 5_000), st.lists(st.floats(0, 30), min_size=1, max_size=60))
def test_no_minute_has_more_requests_than_its_limit(per_minute: int, pauses: list[float]) -> None:
    clock, limiter, admitted = ManualClock(), RateLimiter(), list[float]()
    limiter.name_limits(limiter, RateLimits(requests_per_minute=per_minute))

    async def move(seconds: float) -> None:
        end = clock.now() + seconds
        while clock.next_due is not None and clock.next_due <= end:
            clock.tick(clock.next_due - clock.now())
            await asyncio.sleep(0)
        clock.tick(max(0.0, min(end, 1e6) - clock.now()))

    async def ask() -> None:
        for pause in pauses:
            for _ in range(5):
                place = Place(("a", ""), 1, None)
                place.admitted.add_done_callback(lambda _: admitted.append(clock.now()))
                limiter.enter(place, clock)
                await asyncio.sleep(0)
            await move(pause)
        await move(math.inf)

    asyncio.run(ask())

    assert len(admitted) == 5 * len(pauses)
    assert most_in(admitted, 60 - 1e-3) <= per_minute
    assert most_in(admitted, 1 - 1e-3) <= per_minute * 1.1 / 60 + 1


async def test_agents_of_one_endpoint_share_its_limits(start: Start, manual_clock: ManualClock) -> None:
    model = Served(manual_clock)
    named, other = start(model, policy=policy(requests_per_minute=60)), start(model)

    for agent in (named, other, named, other):  # an agent whose policy names no limits keeps them as well
        await ended(agent.run("x"), manual_clock)

    assert [round(time) for time in model.times()] == [0, 1, 2, 3]


async def test_tokens_are_reserved_by_estimate_and_settled_by_usage(start: Start, manual_clock: ManualClock) -> None:
    model = Served(manual_clock, tokens=100)
    agent = start(model, policy=policy(tokens_per_minute=6_000), model_settings={"max_tokens": 1_000})

    for _ in range(3):
        await ended(agent.run("x"), manual_clock)
    assert manual_clock.now() <= 3  # 100 tokens a second, 100 each: what was estimated beyond was given back

    model.release.clear()
    runs = [asyncio.create_task(agent.run("x")) for _ in range(2)]
    await manual_clock.advance(9)
    before = len(model.arrivals)
    await manual_clock.advance(3)

    assert (before, len(model.arrivals)) == (4, 5)  # 1,000 tokens are held meanwhile: some 10 s of the rate
    model.release.set()
    await asyncio.gather(*runs)


async def test_a_request_larger_than_the_rate_is_made_all_the_same(start: Start, manual_clock: ManualClock) -> None:
    model = Served(manual_clock, tokens=5_000)
    agent = start(model, policy=policy(tokens_per_minute=1_000))

    await ended(agent.run("x"), manual_clock)
    assert manual_clock.now() == 0
    await ended(agent.run("x"), manual_clock)

    assert 290 < manual_clock.now() < 310


async def test_a_refused_request_gives_its_tokens_back(start: Start, manual_clock: ManualClock) -> None:
    model = Served(manual_clock, failures=[ModelHTTPError(400, "m")] * 3)
    agent = start(model, policy=policy(tokens_per_minute=1_000))
    for _ in range(3):
        with pytest.raises(errors.BadRequestError):
            await agent.run("x")

    assert manual_clock.now() == 0


# -- requests at once -----------------------------------------------------------------------------------------------


async def test_so_many_are_open_at_once(start: Start, manual_clock: ManualClock) -> None:
    model = Served(manual_clock, at_once=False)
    agent = start(model, policy=policy(concurrent=2))
    runs = [asyncio.create_task(agent.run("x")) for _ in range(5)]
    await settle()
    assert len(model.arrivals) == 2

    runs[0].cancel()  # an open one that is cancelled frees its place
    runs[3].cancel()  # so does one that waits
    await settle()
    assert len(model.arrivals) == 3
    model.release.set()

    assert [(await run).content for run in (runs[1], runs[2], runs[4])] == ["yes"] * 3
    assert len(model.arrivals) == 4


@pytest.mark.parametrize("is_read", [True, False])
async def test_a_stream_is_open_until_its_end(start: Start, manual_clock: ManualClock, *, is_read: bool) -> None:
    model = Served(manual_clock)
    agent, other = start(model, policy=policy(concurrent=1)), start(model)
    async with agent.run_stream("x") as stream:
        pieces = stream.stream()
        assert await anext(pieces)
        second = asyncio.create_task(other.run("y"))
        await settle()
        assert len(model.arrivals) == 1
        if is_read:
            model.rest.set()
            assert (await second).content == "yes"

    assert (await second).content == "yes"


async def test_those_who_fail_free_their_place(start: Start, manual_clock: ManualClock) -> None:
    model = Served(manual_clock, failures=[BUSY, ValueError("a bug"), limited(1), BUSY])
    agent = start(model, policy=policy(concurrent=1))
    with pytest.raises(ValueError, match="a bug"):
        await ended(agent.run("x"), manual_clock)

    assert (await ended(agent.run("x"), manual_clock)).content == "yes"


# -- waiting --------------------------------------------------------------------------------------------------------


async def test_waiting_counts_toward_the_deadline(
    start: Start, manual_clock: ManualClock, actor_system: ActorSystem
) -> None:
    throttled: list[ModelThrottled] = []
    actor_system.events.subscribe(throttled.append, (ModelThrottled,))
    model = Served(manual_clock, at_once=False)
    first = start(model, policy=policy(concurrent=1))
    hasty = start(model, policy=ModelPolicy(deadline=5))
    run, second = asyncio.create_task(first.run("x")), asyncio.create_task(hasty.run("x"))
    await manual_clock.advance(5)

    with pytest.raises(errors.RateLimitedError, match=r"its turn at its endpoint did not come in 5\.0 s"):
        await second
    assert (len(model.arrivals), [one.delay for one in throttled]) == (1, [0])
    model.release.set()
    await run
    assert (await hasty.run("x")).content == "yes"


async def test_one_that_waits_is_told_of_a_pause_beyond_its_deadline(start: Start, manual_clock: ManualClock) -> None:
    model = Served(manual_clock, at_once=False, failures=[limited(60)])
    first = start(model, policy=ModelPolicy(attempts=1, limits=RateLimits(concurrent=1)))
    hasty = start(model, policy=ModelPolicy(deadline=5))
    run, second = asyncio.create_task(first.run("x")), asyncio.create_task(hasty.run("x"))
    await settle()
    model.release.set()

    with pytest.raises(errors.RateLimitedError, match=r"a pause of 60\.0 s, beyond the deadline"):
        await second
    with pytest.raises(errors.RateLimitedError):
        await run
    assert manual_clock.now() == 0


async def test_too_many_cannot_wait(start: Start, manual_clock: ManualClock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_call, "MOST_WAITING", 2)
    model = Served(manual_clock, at_once=False)
    agent = start(model, policy=policy(concurrent=1))
    runs = [asyncio.create_task(agent.run("x")) for _ in range(3)]
    await settle()

    with pytest.raises(errors.OverloadedError, match="too many requests wait for their turn at its endpoint"):
        await agent.run("x")
    model.release.set()
    await asyncio.gather(*runs)


async def test_all_wait_while_the_provider_wants_a_pause(start: Start, manual_clock: ManualClock) -> None:
    model = Served(manual_clock, failures=[limited(7)])
    agent = start(model, policy=policy(requests_per_minute=600))

    for answer in await asyncio.gather(*(ended(agent.run("x"), manual_clock) for _ in range(30))):
        assert answer.content == "yes"

    after = [time for time in model.times() if time > 1]
    assert min(after) >= 7
    assert most_in(model.times(), 1 - 1e-3) <= 11


# -- who is next ----------------------------------------------------------------------------------------------------


def turns(limiter: RateLimiter, clock: ManualClock, asked: list[tuple[str, str]]) -> Iterator[Place]:
    for who in asked:
        place = Place(who, 1, None)
        limiter.enter(place, clock)
        yield place


async def test_agents_take_turns_and_so_do_their_sessions() -> None:
    clock, limiter = ManualClock(), RateLimiter()
    limiter.name_limits(limiter, RateLimits(concurrent=1))
    asked = [("a", "1"), ("a", "1"), ("a", "1"), ("a", "2"), ("b", ""), ("b", ""), ("c", "")]
    places = list(turns(limiter, clock, [("x", ""), *asked]))
    order: list[tuple[str, str]] = []
    while open_ones := [one for one in places if one.is_admitted]:
        order.extend(one.who for one in open_ones)
        limiter.leave(open_ones[0], None)
        await asyncio.sleep(0)

    assert order[1:] == [("a", "1"), ("b", ""), ("c", ""), ("a", "2"), ("b", ""), ("a", "1"), ("a", "1")]


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("123"), st.integers(0, 2)), max_size=60))
def test_no_place_is_lost_whoever_leaves(steps: list[tuple[str, str, int]]) -> None:
    async def ask() -> None:
        clock, limiter = ManualClock(), RateLimiter()
        limiter.name_limits(limiter, RateLimits(concurrent=2))
        places: list[Place] = []
        for agent, session, act in steps:
            if act or not places:
                places.extend(turns(limiter, clock, [(agent, session)]))
            else:
                limiter.leave(places.pop(ord(session) % len(places)), None)
                await asyncio.sleep(0)
            assert sum(one.is_admitted for one in places) == min(2, len(places))
        for place in places:
            limiter.leave(place, None)
        await asyncio.sleep(0)
        assert limiter.waiting == 0
        (last,) = turns(limiter, clock, [("z", "")])
        assert last.is_admitted

    asyncio.run(ask())


async def test_the_strictest_limits_hold_of_those_that_live(start: Start, manual_clock: ManualClock) -> None:
    model = Served(manual_clock)

    async def named(**limits: int) -> Agent[Any, Any]:
        agent = start(model, policy=policy(**limits))
        await ended(agent.run("x"), manual_clock)
        return agent

    wide = await named(requests_per_minute=600, concurrent=9)
    strict = await named(requests_per_minute=60, tokens_per_minute=10**6)
    limiter = state_of(model).limiter
    assert limiter.limits == RateLimits(requests_per_minute=60, tokens_per_minute=10**6, concurrent=9)

    with suppress(Exception):
        await strict.stop()
    del strict
    gc.collect()
    other = await named(concurrent=8)

    assert limiter.limits == RateLimits(requests_per_minute=600, concurrent=8)
    assert wide is not other


async def test_what_has_no_limits_does_not_enter_the_queue(
    start: Start, manual_clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(RateLimiter, "enter", None)

    assert (await start(Served(manual_clock)).run("x")).content == "yes"


# -- the figure of F27 ----------------------------------------------------------------------------------------------


async def test_f27_fifty_agents_at_a_limit_of_ten_a_second_with_refusals(
    actor_system: ActorSystem, manual_clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    draws, waits = random.Random(12), defaultdict[str, list[float]](list)
    kinds = [None] * 70 + [limited("soon")] * 27 + [limited(1)] * 3
    model = Served(manual_clock, failures=(draws.choice(kinds) for _ in itertools.count()))
    rule = ModelPolicy(attempts=20, max_wait=4, limits=RateLimits(requests_per_minute=600))
    all_work = True

    def enter(limiter: RateLimiter, place: Place, clock: ManualClock, enter: Any = RateLimiter.enter) -> None:
        def admitted(_: object) -> None:
            if all_work:
                waits[place.who[0]].append(clock.now() - started)

        started = clock.now()
        place.admitted.add_done_callback(admitted)
        enter(limiter, place, clock)

    async def work(number: int) -> None:
        nonlocal all_work
        agent = Agent(f"a{number}", model=model, session=False, timeout=None, policy=rule)
        actor_system.start(agent.factory())
        for _ in range(4):
            assert (await agent.run("x")).content == "yes"
        all_work = False

    monkeypatch.setattr(RateLimiter, "enter", enter)
    monkeypatch.setattr(random, "random", random.Random(7).random)
    await ended(asyncio.gather(*map(work, range(50))), manual_clock)

    times = model.times()
    assert len(times) > 50 * 4 * 1.3
    assert most_in(times, 1 - 1e-9) <= 11
    assert most_in(times, 60) <= 600
    assert len(times) / manual_clock.now() > 7  # the pauses aside, the limit is used
    means = [sum(found) / len(found) for found in waits.values()]
    assert len(means) == 50
    assert max(means) <= 2 * min(means)
