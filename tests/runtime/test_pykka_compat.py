"""The same scenarios on Pykka's threads and on ours, from a plain thread; each intended difference has its own test."""

from __future__ import annotations

import operator
import threading
from typing import TYPE_CHECKING, Any, assert_type, cast

import pykka
import pykka.typing
import pytest

from actors.runtime.actor import AsyncioActor
from actors.runtime.background_loop import background_system, stop_background
from actors.runtime.errors import ActorStartError, AskTimeoutError
from actors.runtime.future import AsyncioFuture
from actors.runtime.registry import ActorRegistry
from tests.support.actors import BlockedActor

if TYPE_CHECKING:
    from collections.abc import Iterator

    from actors.runtime.system import ActorSystem


class Body:
    """What both kinds of actor do."""

    shared = "class attribute"

    def __init__(self, start: int = 0) -> None:
        super().__init__()
        self.n = start
        self.seen: list[Any] = []
        self.stopped_event = threading.Event()
        self.failed_with: list[str] = []
        self.failed = threading.Event()
        self.ears = Ears()

    def on_stop(self) -> None:
        self.stopped_event.set()

    def on_failure(self, exception_type: Any, exception_value: Any, traceback: Any) -> None:
        self.failed_with.append(f"{exception_type.__name__}: {exception_value}")
        self.failed.set()

    def on_receive(self, message: Any) -> Any:
        if message == "fail":
            raise ValueError("asked to")
        if message == "events":
            return self.stopped_event, self.failed, self.failed_with
        self.seen.append(message)
        return message

    def add(self, amount: int = 1) -> int:
        self.n += amount
        return self.n

    def items(self) -> list[int]:
        return [1, 2, 3, 4]


class Ears:
    pykka_traversable = True

    def hear(self, what: str) -> str:
        return f"heard {what}"


class ThreadBody(Body, pykka.ThreadingActor):
    pass


class LoopBody(Body, AsyncioActor):
    pass


@pytest.fixture(params=[ThreadBody, LoopBody], ids=["threads", "asyncio"])
def kind(request: pytest.FixtureRequest) -> Iterator[Any]:
    yield request.param
    pykka.ActorRegistry.stop_all()
    stop_background()


FUTURES: dict[Any, Any] = {ThreadBody: pykka.ThreadingFuture, LoopBody: AsyncioFuture}
REGISTRIES: dict[Any, Any] = {ThreadBody: pykka.ActorRegistry, LoopBody: ActorRegistry}


def test_an_actor_starts_with_its_arguments_and_is_alive(kind: Any) -> None:
    ref = kind.start(5)
    assert ref.is_alive()
    assert ref.actor_class is kind
    assert ref.actor_urn.startswith("urn:uuid:")
    assert isinstance(ref, pykka.ActorRef)
    assert ref.proxy().n.get() == 5


def test_an_error_of_the_constructor_is_raised_by_start(kind: Any) -> None:
    with pytest.raises(TypeError, match="unexpected keyword argument 'colour'"):
        kind.start(colour="red")


def test_tell_keeps_the_order_and_returns_nothing(kind: Any) -> None:
    ref = kind.start()
    assert [ref.tell(i) for i in range(100)] == [None] * 100
    assert ref.proxy().seen.get() == list(range(100))


def test_ask_blocks_for_the_reply_and_without_blocking_gives_a_future(kind: Any) -> None:
    ref = kind.start()
    assert ref.ask("a") == "a"
    future = ref.ask("b", block=False)
    assert isinstance(future, pykka.Future)
    assert future.get(timeout=5) == "b"
    assert future.get(timeout=5) == "b"


def test_an_exception_of_a_handler_is_raised_where_it_was_asked(kind: Any) -> None:
    with pytest.raises(ValueError, match="asked to"):
        kind.start().ask("fail")


def test_a_proxy_reads_writes_and_calls(kind: Any) -> None:
    ref = kind.start(1)
    proxy = ref.proxy()
    assert proxy.shared.get() == "class attribute"
    proxy.n = 10
    seen_by_another: Any = ref.proxy()
    assert seen_by_another.n.get() == 10
    assert proxy.add(5).get() == 15
    assert proxy.add(amount=1).get() == 16
    proxy.add.defer(4)
    assert seen_by_another.n.get() == 20
    assert proxy.ears.hear("rain").get() == "heard rain"


def test_a_proxy_has_no_attribute_that_the_actor_has_not(kind: Any) -> None:
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        kind.start().proxy().nothing  # noqa: B018


def _tenfold(n: int) -> int:
    return n * 10


def _is_large(n: int) -> bool:
    return n > 2


def _divide(n: int) -> float:
    return n / 0


def test_futures_map_filter_join_and_reduce(kind: Any) -> None:
    proxy = kind.start(2).proxy()
    assert proxy.n.map(_tenfold).get() == 20
    assert proxy.items().filter(_is_large).get() == [3, 4]
    assert proxy.n.join(proxy.n, proxy.items()).get() == [2, 2, [1, 2, 3, 4]]
    assert proxy.items().reduce(operator.add).get() == 10
    assert proxy.items().reduce(operator.add, 5).get() == 15
    with pytest.raises(ZeroDivisionError):
        proxy.n.map(_divide).get()


def test_get_all_collects_in_order(kind: Any) -> None:
    ref = kind.start()
    assert list(pykka.get_all([ref.ask(i, block=False) for i in range(10)], timeout=5)) == list(range(10))


def test_stop_handles_what_was_sent_before_runs_on_stop_and_ends_it(kind: Any) -> None:
    ref = kind.start()
    stopped, _, _ = ref.ask("events")
    futures = [ref.ask(i, block=False) for i in range(20)]
    assert ref.stop() is True
    assert [future.get(timeout=5) for future in futures] == list(range(20))
    assert stopped.wait(5)
    assert not ref.is_alive()
    assert ref.stop() is False


def test_a_dead_actor_refuses_messages(kind: Any) -> None:
    ref = kind.start()
    ref.stop()
    with pytest.raises(pykka.ActorDeadError):
        ref.tell("late")
    with pytest.raises(pykka.ActorDeadError):
        ref.ask("late")
    with pytest.raises(pykka.ActorDeadError):
        ref.proxy()


def test_a_failing_tell_runs_on_failure_and_ends_the_actor(kind: Any) -> None:
    ref = kind.start()
    _, failed, failed_with = ref.ask("events")
    ref.tell("fail")
    assert failed.wait(5)
    assert failed_with == ["ValueError: asked to"]
    with pytest.raises(pykka.ActorDeadError):
        ref.ask("next")


def test_a_dead_actor_is_named_in_one_way_by_everything_that_misses_it(kind: Any) -> None:
    ref = kind.start()
    ref.stop()
    misses = [
        lambda: ref.tell("late"),
        lambda: ref.ask("late"),
        lambda: ref.ask("late", block=False).get(timeout=5),
        ref.proxy,
        lambda: pykka.ActorProxy(actor_ref=ref),
    ]
    for miss in misses:
        with pytest.raises(pykka.ActorDeadError) as caught:
            miss()
        assert str(caught.value) == f"{ref} not found"


def test_a_ref_and_its_proxy_show_class_and_urn_also_after_the_end(kind: Any) -> None:
    ref = kind.start()
    texts = [str(ref), repr(ref), repr(ref.proxy()), str(ref.proxy().actor_ref)]
    urn = ref.actor_urn
    ref.stop()
    for text in (*texts, str(ref), repr(ref)):
        assert kind.__name__ in text
        assert urn in text
    assert ref.actor_urn == urn


def test_an_actor_without_a_constructor_takes_any_arguments() -> None:
    pykka.ThreadingActor(1, 2, colour="red")
    AsyncioActor(1, 2, colour="red")


def test_a_handler_sets_a_future_that_another_thread_made(kind: Any) -> None:
    class Setter(kind):  # type: ignore[misc]
        def on_receive(self, message: Any) -> None:
            future, value = message
            future.set(value)

    ref = Setter.start()
    for value in (1, {"a": "dict"}, ["a", "list"], None, OSError("as a value")):
        future = FUTURES[kind]()
        ref.tell((future, value))
        assert future.get(timeout=5) is value


def test_an_actor_that_crashes_is_dead_before_on_failure_runs(kind: Any) -> None:
    seen: list[Any] = []

    class Crashing(kind):  # type: ignore[misc]
        def on_failure(self, *_: Any) -> None:
            seen.extend([ref.is_alive(), REGISTRIES[kind].get_all()])
            self.failed.set()

    ref = Crashing.start()
    _, failed, _ = ref.ask("events")
    ref.tell("fail")
    assert failed.wait(5)
    assert seen == [False, []]


def test_the_registry_finds_living_actors_tells_and_stops_them(kind: Any) -> None:
    class Other(kind):  # type: ignore[misc]
        pass

    registry = REGISTRIES[kind]
    refs = [kind.start(), kind.start(), Other.start()]
    assert registry.get_all() == registry.get_by_class(kind) == registry.get_by_class(Body) == refs
    assert registry.get_by_class(Other) == registry.get_by_class_name("Other") == refs[2:]
    assert [registry.get_by_urn(ref.actor_urn) for ref in refs] == refs
    assert registry.get_by_urn("urn:uuid:0") is None

    registry.broadcast("all")
    registry.broadcast("some", target_class=Other)
    registry.broadcast("named", target_class=kind.__name__)
    assert [ref.proxy().seen.get(timeout=5) for ref in refs] == [["all", "named"], ["all", "named"], ["all", "some"]]

    registry.unregister(refs[0])
    registry.unregister(refs[0])
    assert registry.get_all() == refs[1:]
    registry.register(refs[0])
    assert set(registry.get_all()) == set(refs)
    assert registry.stop_all() == [True] * 3
    assert registry.get_all() == []


def test_an_actor_of_one_kind_asks_one_of_the_other() -> None:
    class Caller(pykka.ThreadingActor):
        def __init__(self, other: Any) -> None:
            super().__init__()
            self.other = other

        def on_receive(self, message: Any) -> Any:
            return self.other.ask(message)

    class Answerer(AsyncioActor):
        async def on_receive(self, message: Any) -> Any:
            return message * 2

    try:
        assert Caller.start(Answerer.start()).ask(21) == 42
    finally:
        pykka.ActorRegistry.stop_all()
        stop_background()


def test_typed_proxies_work_on_ours() -> None:
    class Typed(AsyncioActor):
        def double(self, n: int) -> int:
            return 2 * n

    class TypedProxy:
        double = pykka.typing.proxy_method(Typed.double)

    try:
        proxy = cast(TypedProxy, Typed.start().proxy())
        assert_type(proxy.double(4).get(), int)
        assert proxy.double(4).get() == 8
    finally:
        stop_background()


# -- intended differences ---------------------------------------------------------------------------------------------


@pytest.fixture
def background() -> Iterator[ActorSystem]:
    yield background_system()
    stop_background()


def test_a_failing_ask_is_a_crash_as_a_failing_tell_is(background: ActorSystem) -> None:
    ref = LoopBody.start()
    _, failed, failed_with = ref.ask("events")
    with pytest.raises(ValueError, match="asked to"):
        ref.ask("fail")
    assert failed.wait(5)
    assert failed_with == ["ValueError: asked to"]
    with pytest.raises(pykka.ActorDeadError):
        ref.ask("next")


def test_a_failing_on_start_is_raised_by_start(background: ActorSystem) -> None:
    class Broken(AsyncioActor):
        def on_start(self) -> None:
            raise OSError("no port")

    with pytest.raises(ActorStartError, match="OSError: no port"):
        Broken.start()
    assert background.bridge.call(background.actors) == []


def test_an_ask_has_a_deadline_and_its_work_is_cancelled(background: ActorSystem) -> None:
    log: list[Any] = []
    ref = BlockedActor.start(log)
    with pytest.raises(AskTimeoutError) as caught:
        ref.ask("work", timeout=0.001)
    assert isinstance(caught.value, pykka.Timeout)
    assert ref.stop(mode="now", timeout=0) is True  # type: ignore[comparison-overlap] # a thread gets the value
    assert ("end", "work") not in log


def test_an_unknown_message_is_refused_and_the_actor_lives_on(background: ActorSystem) -> None:
    class Silent(AsyncioActor):
        pass

    ref = Silent.start()
    with pytest.raises(Exception, match="has no handler for str"):
        ref.ask("what?")
    assert ref.is_alive()
