"""The laws of the engine on random schedules: Hypothesis chooses what happens, a seed the order of the steps."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from actors.runtime.ref import Mode
from actors.runtime.system import ActorSystem
from actors.testing import DeterministicDispatcher, ManualClock, explore, settle
from tests.runtime.conftest import actor_of, cell_of
from tests.runtime.law_model import CONFIG, KINDS, LawModel

if TYPE_CHECKING:
    from actors.runtime.ref import ActorRef

LIMIT = 300.0
"""Real seconds before the guard of this folder takes a test to hang; shrinking a failure takes its time."""


@pytest.fixture(autouse=True)
def quiet(caplog: pytest.LogCaptureFixture) -> None:
    """Keep a hundred thousand dead letters out of the report of a failure."""
    caplog.set_level("CRITICAL", logger="understage")


class Engine(RuleBasedStateMachine):
    """Hypothesis chooses what happens, the seed in which order the actors take their steps."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.world: LawModel

    @initialize(seed=st.integers(0, 1_000_000))
    def begin(self, seed: int) -> None:
        async def go() -> None:
            clock = ManualClock()
            dispatcher = DeterministicDispatcher.seeded(seed)
            system = ActorSystem(f"seed-{seed}", config=CONFIG, clock=clock, dispatcher=dispatcher)
            self.world = LawModel(system, clock)
            self.world.start(supervised=True)

        self.do(go())

    def do(self, coroutine: Any) -> None:
        self.runner.run(coroutine)

    def pick(self, number: int) -> ActorRef[Any]:
        refs = self.world.refs
        return refs[number % len(refs)]

    @rule(supervised=st.booleans(), limit=st.sampled_from([1, 3, 20]))
    def start(self, supervised: bool, limit: int) -> None:
        async def go() -> None:
            self.world.start(supervised, limit)

        if len(self.world.ledgers) < 6:
            self.do(go())

    @rule(who=st.integers(0, 5), to=st.integers(0, 5), sender=st.integers(0, 2), kind=st.sampled_from(KINDS))
    def tell(self, who: int, to: int, sender: int, kind: str) -> None:
        async def go() -> None:
            ref = self.pick(who)
            self.world.tell(ref, self.world.order(ref, sender, kind, self.pick(to)))

        self.do(go())

    @rule(
        who=st.integers(0, 5),
        to=st.integers(0, 5),
        kind=st.sampled_from(KINDS),
        timeout=st.sampled_from([0.5, 1.0, 3.0, 30.0]),
    )
    def ask(self, who: int, to: int, kind: str, timeout: float) -> None:
        async def go() -> None:
            ref = self.pick(who)
            self.world.ask(ref, self.world.order(ref, 3, kind, self.pick(to)), timeout)

        self.do(go())

    @precondition(lambda self: self.world.asks)
    @rule(number=st.integers(0, 100))
    def give_up(self, number: int) -> None:
        async def go() -> None:
            self.world.asks[number % len(self.world.asks)].cancel()

        self.do(go())

    @rule(
        who=st.integers(0, 5),
        mode=st.sampled_from(["drain", "now"]),
        timeout=st.sampled_from([0.0, 1.0, 10.0]),
    )
    def stop(self, who: int, mode: Mode, timeout: float) -> None:
        async def go() -> None:
            self.pick(who).stop(block=False, mode=mode, timeout=timeout)

        self.do(go())

    @rule(who=st.integers(0, 5))
    def kill(self, who: int) -> None:
        async def go() -> None:
            self.pick(who).kill(block=False)

        self.do(go())

    @rule(who=st.integers(0, 5), whom=st.integers(0, 5), link=st.booleans())
    def watch(self, who: int, whom: int, link: bool) -> None:
        async def go() -> None:
            actor = actor_of(cell_of(self.pick(who)))
            if actor is not None and who != whom and link:
                actor.link(self.pick(whom))
            else:
                self.world.watch(self.pick(who), self.pick(whom))

        self.do(go())

    @rule(who=st.integers(0, 5), whom=st.integers(0, 5))
    def unwatch(self, who: int, whom: int) -> None:
        async def go() -> None:
            actor = actor_of(cell_of(self.pick(who)))
            if actor is not None:
                actor.unwatch(self.pick(whom))

        self.do(go())

    @rule(seconds=st.sampled_from([0.0, 0.5, 1.0, 5.0]))
    def tick(self, seconds: float) -> None:
        self.do(self.world.clock.advance(seconds))

    @rule()
    def rest(self) -> None:
        self.do(settle())

    @invariant()
    def the_counts_balance_and_handlers_take_turns(self) -> None:
        self.world.check()
        self.world.check_order()

    def teardown(self) -> None:
        try:
            self.do(self.world.end())
        finally:
            self.runner.close()


def laws(examples: int, steps: int) -> None:
    run_state_machine_as_test(
        Engine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            suppress_health_check=[HealthCheck.too_slow],
        ),
    )


@pytest.mark.conformance("R66", "R73", "R93", "R94")
def test_the_laws_hold_whatever_happens() -> None:
    laws(examples=100, steps=30)


@pytest.mark.soak
def test_the_laws_hold_for_long() -> None:
    laws(examples=5_000, steps=100)


def act(world: LawModel, draw: random.Random, refs: list[ActorRef[Any]]) -> None:
    """Do one thing that only the seed knows."""
    ref, other = draw.choice(refs), draw.choice(refs)
    match draw.choices(("tell", "ask", "stop", "kill", "watch"), (50, 25, 5, 2, 8))[0]:
        case "tell":
            world.tell(ref, world.order(ref, draw.randrange(3), draw.choice(KINDS), other))
        case "ask":
            world.ask(ref, world.order(ref, 3, draw.choice(KINDS), other), draw.choice([0.5, 1, 30]))
        case "stop":
            ref.stop(block=False, mode=draw.choice(["drain", "now"]), timeout=draw.choice([0, 1, 10]))
        case "kill":
            ref.kill(block=False)
        case _:
            world.watch(ref, other)


async def storm(system: ActorSystem, clock: ManualClock) -> None:
    """Start, tell, ask, crash, stop, kill, watch in an order that only the seed knows."""
    draw = system.dispatcher.random if isinstance(system.dispatcher, DeterministicDispatcher) else random.Random()
    world = LawModel(system, clock)
    for number in range(4):
        world.start(supervised=number % 2 == 0)
    for _ in range(draw.randrange(10, 60)):
        act(world, draw, world.refs)
        if draw.random() < 0.1:
            await clock.advance(draw.choice([0, 0.5, 1]))
    await settle()
    world.check()
    world.check_order()
    await world.end()


@pytest.mark.conformance("R66", "R80", "R93", "R94")
def test_the_laws_hold_on_a_thousand_schedules() -> None:
    assert explore(storm, range(1_000), config=CONFIG) == 1_000


async def long_storm(system: ActorSystem, clock: ManualClock) -> None:
    """A storm of 10,000 actions, in which new actors take the place of those that have ended."""
    draw = system.dispatcher.random if isinstance(system.dispatcher, DeterministicDispatcher) else random.Random()
    world = LawModel(system, clock)
    for number in range(10_000):
        alive = [ref for ref in world.refs[-8:] if ref.is_alive()]
        if len(alive) < 4:
            world.start(supervised=number % 2 == 0)
            continue
        act(world, draw, alive)
        if draw.random() < 0.1:
            await clock.advance(draw.choice([0, 0.5, 1]))
        if number % 1_000 == 0:
            await settle()
            world.check()
    await settle()
    await world.end()


@pytest.mark.soak
@pytest.mark.conformance("R66", "R80", "R94")
def test_the_laws_hold_for_a_hundred_seeds_of_ten_thousand_steps() -> None:
    assert explore(long_storm, range(100), config=CONFIG) == 100


@pytest.mark.soak
def test_the_laws_hold_on_a_hundred_thousand_schedules() -> None:
    assert explore(storm, range(100_000), config=CONFIG) == 100_000
