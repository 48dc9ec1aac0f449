from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from actors.testing.settle import settle
from actors.triggers import FunctionEvents, FunctionSettings, PollActor, poll, track
from protocols.triggers import FunctionReturned, TriggerConfigError, TriggerEvent, TriggerStoppedError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Iterator

    from actors.runtime.system import ActorSystem
    from actors.testing.clock import ManualClock


class Sink:
    name = "s"

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.events: list[FunctionReturned] = []

    def report(self, event: TriggerEvent) -> None:
        assert isinstance(event, FunctionReturned)
        self.events.append(event)
        self.texts.append(event.text)


def test_a_tracked_function_works_as_before_and_reports_what_it_returns() -> None:
    sink = Sink()

    @track(sink, "saved", kind="note")
    def save(text: str) -> str:
        """Save."""
        return text.upper()

    assert save("a") == "A"
    assert (save.__name__, save.__doc__) == ("save", "Save.")
    assert (sink.events[0].function, sink.events[0].text, sink.events[0].source) == ("saved", "A", "s")
    assert sink.events[0].metadata == {"function": "saved", "kind": "note"}


async def test_a_tracked_coroutine_function_is_awaited_first() -> None:
    sink = Sink()

    @track(sink, "f")
    async def function() -> int:
        await asyncio.sleep(0)
        return 7

    assert await function() == 7
    assert sink.texts == ["7"]


def test_nothing_returned_and_errors_are_no_events() -> None:
    sink = Sink()

    @track(sink, "f")
    def function(*, fails: bool) -> None:
        if fails:
            raise KeyError

    function(fails=False)
    with pytest.raises(KeyError):
        function(fails=True)

    assert sink.events == []


def test_a_result_without_text_is_no_event_and_no_business_of_the_function() -> None:
    sink = Sink()

    class Mute:
        def __str__(self) -> str:
            raise RuntimeError

    mute = Mute()

    @track(sink, "f")
    def function() -> Mute:
        return mute

    assert function() is mute
    assert sink.events == []


async def test_an_awaitable_result_is_reported_when_it_was_awaited() -> None:
    sink = Sink()

    async def later() -> str:
        return "late"

    @track(sink, "f")
    def function() -> Awaitable[str]:
        return later()

    result = function()
    before = list(sink.texts)

    assert (await result, before, sink.texts) == ("late", [], ["late"])


def test_methods_are_tracked_with_their_object() -> None:
    sink = Sink()

    class Shop:
        @track(sink, "sold")
        def sell(self, what: str) -> str:
            return f"{what} by {type(self).__name__}"

    assert Shop().sell("bread") == "bread by Shop"
    assert sink.texts == ["bread by Shop"]


def test_a_generator_function_cannot_be_tracked() -> None:
    def rows() -> Iterator[str]:
        yield "x"

    with pytest.raises(TriggerConfigError, match="track 'rows': a generator function"):
        track(Sink(), "rows")(rows)


async def test_nothing_is_polled_for_events_that_were_closed(actor_system: ActorSystem) -> None:
    events = FunctionEvents(Sink(), actor_system)
    await events.close()

    async def look() -> str:
        return "x"

    with pytest.raises(TriggerStoppedError, match="'s' have ended"):
        events.poll(1.0)(look)


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"name": " "}, "name: expected a name"),
        ({"concurrency": 0}, "concurrency: .*greater than or equal to 1"),
        ({"template": "{nothing}"}, "template: .*nothing"),
        ({"templat": "x"}, "templat: "),
    ],
)
def test_wrong_settings_are_refused(settings: dict[str, Any], text: str) -> None:
    with pytest.raises(TriggerConfigError, match=text):
        FunctionSettings(**settings)


async def test_a_polled_function_is_called_after_each_interval(
    actor_system: ActorSystem, manual_clock: ManualClock
) -> None:
    sink = Sink()

    @poll(sink, 10.0, system=actor_system)
    async def look() -> str | None:
        calls.append(manual_clock.now())
        return "news" if len(calls) == 2 else None

    calls: list[float] = []
    await manual_clock.advance(35)

    assert calls == [10.0, 20.0, 30.0]
    assert sink.texts == ["news"]
    assert sink.events[0].function == "look"
    assert await look() is None


async def test_polling_goes_on_after_an_error(actor_system: ActorSystem, manual_clock: ManualClock) -> None:
    sink = Sink()
    calls: list[int] = []

    async def look() -> str:
        calls.append(1)
        if len(calls) == 1:
            raise ValueError
        return "ok"

    ref = actor_system.start(PollActor, (sink, look, 1.0))
    await manual_clock.advance(2)

    assert sink.texts == ["ok"]
    assert ref.incarnation == 1


async def test_a_plain_function_is_polled_in_a_thread(actor_system: ActorSystem, manual_clock: ManualClock) -> None:
    sink = Sink()
    called = asyncio.Event()
    loop = asyncio.get_running_loop()

    def look() -> str:
        loop.call_soon_threadsafe(called.set)
        return "from a thread"

    ref = actor_system.start(PollActor, (sink, look, 1.0))
    await manual_clock.advance(1)
    async with asyncio.timeout(5):
        await called.wait()
    await ref.stop()

    assert sink.texts == ["from a thread"]


async def test_polling_ends_when_it_is_closed(actor_system: ActorSystem, manual_clock: ManualClock) -> None:
    sink = Sink()
    events = FunctionEvents(sink, actor_system)

    @events.poll(1.0)
    async def look() -> str:
        return "x"

    @events.track("t")
    def function() -> str:
        return "y"

    function()
    await manual_clock.advance(1)
    await events.close()
    await manual_clock.advance(10)
    await settle()

    assert sink.texts == ["y", "x"]
    assert actor_system.tree() == ()
    assert await look() == "x"


async def test_an_interval_must_be_positive(actor_system: ActorSystem) -> None:
    with pytest.raises(TriggerConfigError, match="must be > 0"):
        poll(Sink(), 0.0, system=actor_system)
    with pytest.raises(TriggerConfigError, match="must be > 0"):
        FunctionEvents(Sink(), actor_system).poll(-1.0)
