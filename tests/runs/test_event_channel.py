import asyncio

from hypothesis import given
from hypothesis import strategies as st

from actors.runs.event_channel import EventChannel
from actors.testing.settle import settle


@given(st.integers(1, 5), st.lists(st.integers(0, 6), min_size=1, max_size=4))
def test_every_producers_events_arrive_once_and_in_order(capacity: int, counts: list[int]) -> None:
    async def scenario() -> list[tuple[int, int]]:
        channel = EventChannel(capacity)

        async def produce(producer: int, count: int) -> None:
            for number in range(count):
                await channel.put((producer, number))
                assert len(channel) <= capacity

        async def produce_all() -> None:
            await asyncio.gather(*(produce(producer, count) for producer, count in enumerate(counts)))
            channel.close()

        producing = asyncio.ensure_future(produce_all())
        found: list[tuple[int, int]] = []
        while (event := await channel.get()) is not None:
            found.append(event)
        await producing
        return found

    found = asyncio.run(scenario())
    for producer, count in enumerate(counts):
        assert [number for sender, number in found if sender == producer] == list(range(count))
    assert len(found) == sum(counts)


async def test_a_full_channel_makes_its_producer_wait_but_takes_last_events() -> None:
    channel = EventChannel(2)
    await channel.put(1)
    await channel.put(2)
    third = asyncio.ensure_future(channel.put(3))
    await settle()
    assert not third.done()
    channel.put_now("last")

    assert [await channel.get() for _ in range(2)] == [1, 2]
    await third
    assert [await channel.get() for _ in range(2)] == ["last", 3]


async def test_a_producer_that_is_cancelled_while_it_waits_takes_no_room() -> None:
    channel = EventChannel(1)
    await channel.put(1)
    waiting = [asyncio.ensure_future(channel.put(number)) for number in (2, 3)]
    await settle()
    waiting[0].cancel()
    await settle()

    assert [await channel.get(), await channel.get()] == [1, 3]
    assert waiting[1].done()


async def test_closing_lets_everybody_go_on_and_keeps_what_was_there() -> None:
    channel = EventChannel(1)
    await channel.put(1)
    producer = asyncio.ensure_future(channel.put(2))
    await settle()
    channel.close()
    await producer
    channel.put_now(3)

    assert [await channel.get(), await channel.get()] == [1, None]


async def test_a_reader_that_waits_is_told_of_the_end() -> None:
    channel = EventChannel()
    reading = asyncio.ensure_future(channel.get())
    await settle()
    channel.close()

    assert await reading is None
