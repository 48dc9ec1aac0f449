"""How many restarts a supervisor bears, how long it waits between them, and what its own end means for its parent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from actors.runtime.actor import AsyncioActor
from actors.runtime.errors import ActorStoppingError, RestartIntensityExceededError
from actors.supervision.backoff import Backoff
from actors.supervision.child import ChildSpec
from actors.supervision.intensity import RestartIntensity
from actors.supervision.supervisor import Supervisor
from actors.testing.settle import settle
from protocols.control import ExitReason, Terminated
from protocols.events import ChildGaveUp
from tests.supervision.children import Boom, Log, Plain, child, crash, lives, member, members, ref_of, states, supervise

if TYPE_CHECKING:
    from actors.runtime.ref import ActorRef
    from actors.runtime.system import ActorSystem
    from actors.testing.clock import ManualClock


class Watcher(AsyncioActor):
    """Keeps the news of ends."""

    def __init__(self, target: ActorRef[Any]) -> None:
        super().__init__()
        self.news: list[Terminated] = []
        self.target = target

    def on_start(self) -> None:
        """Watch."""
        self.watch(self.target)

    def on_terminated(self, terminated: Terminated) -> None:
        """Keep it."""
        self.news.append(terminated)


async def end_of(watcher: ActorRef[Watcher]) -> Terminated:
    """Return the only news of a watcher."""
    (news,) = await watcher.proxy().news
    assert isinstance(news, Terminated)
    return news


@pytest.mark.conformance("R50")
@pytest.mark.parametrize("limit", [0, 1, 3])
async def test_one_restart_too_many_ends_the_supervisor_and_its_children_in_reverse_order(
    actor_system: ActorSystem, manual_clock: ManualClock, limit: int, caplog: pytest.LogCaptureFixture
) -> None:
    log = Log()
    gone: list[Any] = []
    actor_system.events.subscribe(gone.append, [ChildGaveUp])
    sup = await supervise(
        actor_system, members(log, "abc"), intensity=RestartIntensity(limit=limit, period=5.0), name="family"
    )
    watcher = actor_system.start(Watcher, (sup,))
    for _ in range(limit):
        await crash(sup, "b")
        await manual_clock.advance(1.0)
    log.take()

    await crash(sup, "b")

    assert log.take() == ["-c", "-a"]
    end = await end_of(watcher)
    assert end.reason is ExitReason.CRASH
    assert isinstance(end.cause, RestartIntensityExceededError)
    assert caplog.text.count("child restarted: ") == limit
    assert caplog.text.count("child given up: ") == 1
    assert isinstance(end.cause.__cause__, Boom)
    assert "'family'" in str(end.cause)
    assert "'b'" in str(end.cause)
    (event,) = gone
    assert (event.child, event.limit, event.restarts) == ("b", limit, limit + 1)
    assert [ref.name for ref in actor_system.actors()] == ["Watcher"]


@pytest.mark.conformance("R51")
@pytest.mark.parametrize("limit", [1, 2, 5])
async def test_crashes_that_are_far_enough_apart_never_end_the_supervisor(
    actor_system: ActorSystem, manual_clock: ManualClock, limit: int
) -> None:
    period = 10.0
    sup = await supervise(
        actor_system, [ChildSpec(Plain, name="a")], intensity=RestartIntensity(limit=limit, period=period)
    )
    for _ in range(100):
        await crash(sup, "a")
        await manual_clock.advance(period / limit + 0.001)

    assert (await child(sup, "a")).incarnation == 101


@pytest.mark.conformance("R51")
@pytest.mark.parametrize("limit", [1, 2, 5])
async def test_crashes_exactly_at_the_limit_end_the_supervisor(
    actor_system: ActorSystem, manual_clock: ManualClock, limit: int
) -> None:
    period = 10.0
    sup = await supervise(
        actor_system, [ChildSpec(Plain, name="a")], intensity=RestartIntensity(limit=limit, period=period)
    )
    for _ in range(limit):
        await crash(sup, "a")
        assert sup.is_alive()
        await manual_clock.advance(period / limit)
    await crash_last(sup)

    assert not sup.is_alive()


async def crash_last(sup: ActorRef[Supervisor]) -> None:
    """Crash the only child without looking at the supervisor afterwards."""
    (await ref_of(sup, "a")).tell("crash")
    await settle()


@pytest.mark.conformance("R52")
@pytest.mark.parametrize("in_constructor", [False, True])
async def test_every_failed_start_counts(actor_system: ActorSystem, in_constructor: bool) -> None:
    log = Log()
    broken: list[int] = []

    class Broken(Plain):
        def __init__(self) -> None:
            super().__init__()
            broken.append(1)
            if len(broken) > 1:
                raise Boom("constructor")

    spec = ChildSpec(Broken, name="a") if in_constructor else member(log, "a")
    sup = await supervise(actor_system, [spec], intensity=RestartIntensity(limit=3, period=5.0))
    watcher = actor_system.start(Watcher, (sup,))
    log.failing.add("a")

    await crash_last(sup)

    assert (len(broken) if in_constructor else log.lives["a"]) == 1 + 3
    assert isinstance((await end_of(watcher)).cause, RestartIntensityExceededError)


@pytest.mark.conformance("R53")
@pytest.mark.parametrize("trouble", ["failing", "hanging"])
async def test_a_child_in_a_restart_loop_can_be_looked_at_and_terminated(
    actor_system: ActorSystem, manual_clock: ManualClock, trouble: str
) -> None:
    log = Log()
    sup = await supervise(
        actor_system, members(log, "ab"), intensity=RestartIntensity(limit=1_000, period=1.0), backoff=Backoff(min=1.0)
    )
    getattr(log, trouble).add("a")
    await crash(sup, "a")
    await manual_clock.advance(20.0)

    assert await states(sup) == {"a": "restarting", "b": "running"}
    assert await sup.proxy().terminate_child("a")
    assert await states(sup) == {"a": "stopped", "b": "running"}

    starts = log.lives["a"]
    await manual_clock.advance(100.0)
    assert log.lives["a"] == starts


@pytest.mark.conformance("R53")
@pytest.mark.parametrize("trouble", ["failing", "hanging"])
async def test_a_supervisor_with_a_child_in_a_restart_loop_stops_at_once(
    actor_system: ActorSystem, manual_clock: ManualClock, trouble: str
) -> None:
    log = Log()
    sup = await supervise(
        actor_system, members(log, "ab"), intensity=RestartIntensity(limit=1_000, period=1.0), backoff=Backoff(min=1.0)
    )
    getattr(log, trouble).add("a")
    await crash(sup, "a")
    await manual_clock.advance(20.0)
    log.take()

    assert await sup.stop()

    assert log.lines == ["-b"]
    assert manual_clock.now() == 20.0
    assert actor_system.actors() == []


@pytest.mark.conformance("R53")
async def test_a_restart_loop_without_delay_lets_others_work(actor_system: ActorSystem) -> None:
    log = Log()
    sup = await supervise(actor_system, members(log, "ab"), intensity=RestartIntensity(limit=1_000_000_000, period=1.0))
    b = await ref_of(sup, "b")
    log.failing.add("a")
    (await ref_of(sup, "a")).tell("crash")
    for number in range(50):
        assert await b.ask(number) == number
    assert (await states(sup))["a"] == "restarting"
    assert await sup.proxy().terminate_child("a")

    assert log.lives["a"] > 3
    assert await states(sup) == {"a": "stopped", "b": "running"}


@pytest.mark.conformance("R54")
@pytest.mark.parametrize("restart", ["permanent", "transient"])
async def test_a_nested_supervisor_that_gives_up_is_restarted_with_a_fresh_subtree(
    actor_system: ActorSystem, restart: Any
) -> None:
    log = Log()
    inner = ChildSpec(
        Supervisor, args=(members(log, "ab"),), kwargs={"intensity": RestartIntensity(limit=0)}, name="inner",
        restart=restart,
    )  # fmt: skip
    sup = await supervise(actor_system, [inner, member(log, "z")])
    nested = await ref_of(sup, "inner")
    await nested.proxy().start_child(member(log, "c"))
    old = await ref_of(nested, "a")
    log.take()

    await crash(nested, "b")

    assert log.take() == ["-c", "-a", "+a", "+b"]
    assert await lives(sup) == {"inner": 2, "z": 1}
    assert await lives(nested) == {"a": 1, "b": 1}
    assert not old.is_alive()
    assert await ref_of(nested, "a") != old


@pytest.mark.conformance("R54")
async def test_trouble_climbs_up_until_somebody_bears_it(actor_system: ActorSystem) -> None:
    log = Log()
    never = {"intensity": RestartIntensity(limit=0), "backoff": None}
    low = ChildSpec(Supervisor, args=(members(log, "a"),), kwargs=never, name="low")
    middle = ChildSpec(Supervisor, args=([low],), kwargs=never, name="middle")
    top = await supervise(actor_system, [middle])
    bottom = await ref_of(await ref_of(top, "middle"), "low")

    await crash(bottom, "a")

    assert await lives(top) == {"middle": 2}
    assert await states(await ref_of(await ref_of(top, "middle"), "low")) == {"a": "running"}


@pytest.mark.conformance("R63")
async def test_delays_grow_up_to_the_cap_and_begin_again_after_quiet(
    actor_system: ActorSystem, manual_clock: ManualClock
) -> None:
    backoff = Backoff(min=1.0, max=5.0, jitter=0.0, reset_after=60.0)
    sup = await supervise(actor_system, members(Log(), "a"), intensity=RestartIntensity(limit=1_000), backoff=backoff)
    for delay in (1.0, 2.0, 4.0, 5.0, 5.0):
        await crash(sup, "a")
        await manual_clock.advance(delay - 0.01)
        assert await states(sup) == {"a": "restarting"}
        await manual_clock.advance(0.01)
        assert await states(sup) == {"a": "running"}

    await manual_clock.advance(60.0)
    await crash(sup, "a")
    await manual_clock.advance(1.0)
    assert await states(sup) == {"a": "running"}


@pytest.mark.conformance("R63")
async def test_jitter_never_makes_a_delay_longer_than_the_cap(
    actor_system: ActorSystem, manual_clock: ManualClock
) -> None:
    backoff = Backoff(min=5.0, max=5.0, jitter=1.0)
    sup = await supervise(actor_system, members(Log(), "a"), intensity=RestartIntensity(limit=1_000), backoff=backoff)
    for _ in range(20):
        await crash(sup, "a")
        await manual_clock.advance(5.0)
        assert await states(sup) == {"a": "running"}


@pytest.mark.conformance("R63")
async def test_the_end_of_a_supervisor_does_not_wait_for_a_delay(
    actor_system: ActorSystem, manual_clock: ManualClock
) -> None:
    sup = await supervise(actor_system, members(Log(), "ab"), backoff=Backoff(min=30.0, max=30.0))
    assert await states(sup) == {"a": "running", "b": "running"}
    before = manual_clock.pending
    await crash(sup, "a")
    assert manual_clock.pending == before + 1

    assert await sup.stop()

    assert manual_clock.pending == before
    assert actor_system.actors() == []


@pytest.mark.conformance("R63")
async def test_a_child_may_have_a_backoff_of_its_own(actor_system: ActorSystem, manual_clock: ManualClock) -> None:
    log = Log()
    sup = await supervise(
        actor_system, [member(log, "a", backoff=Backoff(min=7.0, jitter=0.0)), member(log, "b")], backoff=None
    )
    await crash(sup, "a")
    await crash(sup, "b")

    assert await states(sup) == {"a": "restarting", "b": "running"}
    await manual_clock.advance(7.0)
    assert await states(sup) == {"a": "running", "b": "running"}


@pytest.mark.conformance("R63")
async def test_too_many_failures_in_a_row_end_the_supervisor_however_slow_they_are(
    actor_system: ActorSystem, manual_clock: ManualClock
) -> None:
    log = Log()
    backoff = Backoff(min=100.0, max=100.0, jitter=0.0, max_consecutive=2)
    sup = await supervise(actor_system, members(log, "a"), backoff=backoff)
    watcher = actor_system.start(Watcher, (sup,))
    log.failing.add("a")
    await crash(sup, "a")
    await manual_clock.advance(100.0)
    assert sup.is_alive()

    await manual_clock.advance(100.0)

    assert log.lives["a"] == 3
    assert "too many in a row" in str((await end_of(watcher)).cause)


async def test_what_waited_for_a_child_that_is_given_up_fails(actor_system: ActorSystem) -> None:
    sup = await supervise(actor_system, [ChildSpec(Plain, name="a")], intensity=RestartIntensity(limit=0))
    ref = await ref_of(sup, "a")
    ref.tell("crash")
    reply = ref.ask("hello")

    with pytest.raises(ActorStoppingError):
        await reply
    await settle()
    assert not sup.is_alive()
