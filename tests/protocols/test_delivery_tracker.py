import asyncio

from hypothesis import given
from hypothesis import strategies as st

from protocols.delivery_tracker import DeliveryTracker


async def test_waiting_ends_when_the_last_delivery_has_ended() -> None:
    downstream = DeliveryTracker()
    downstream.begin()
    downstream.begin()
    waiting = asyncio.create_task(downstream.wait())
    await asyncio.sleep(0)

    downstream.end()
    await asyncio.sleep(0)
    assert not waiting.done()
    downstream.end()

    await waiting


async def test_nobody_waits_when_nothing_was_delivered() -> None:
    await DeliveryTracker().wait()


async def test_two_trackers_do_not_share_those_who_wait() -> None:
    first, second, seen = DeliveryTracker(), DeliveryTracker(), list[str]()
    first.begin()
    second.begin()
    first.then(lambda: seen.append("first"))

    second.end()
    assert seen == []
    first.end()

    assert seen == ["first"]


@given(st.lists(st.booleans()))
def test_callbacks_are_called_once_each_time_the_number_comes_to_zero(steps: list[bool]) -> None:
    downstream, zeros, expected, open_now = DeliveryTracker(), list[int](), 0, 0

    for begins in steps:
        if begins:
            downstream.begin()
            open_now += 1
            if open_now == 1:
                downstream.then(lambda: zeros.append(1))
        elif open_now:
            open_now -= 1
            expected += not open_now
            downstream.end()

    assert (len(zeros), downstream.open) == (expected, open_now)
