import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.stats.ring import MessageRing


@given(st.lists(st.integers()), st.integers(1, 20))
def test_ring_keeps_the_latest_and_counts_the_rest(items: list[int], capacity: int) -> None:
    ring = MessageRing(items, capacity=capacity)
    assert list(ring) == items[-capacity:]
    assert (ring.total, ring.dropped) == (len(items), max(0, len(items) - capacity))
    assert len(ring) + ring.dropped == ring.total


def test_ring_holds_a_thousand_by_default() -> None:
    ring = MessageRing(range(1_001))
    assert (ring.capacity, len(ring), ring.dropped, ring[0], ring[-1]) == (1_000, 1_000, 1, 1, 1_000)
    assert ring[:2] == [1, 2]


def test_ring_can_be_read_while_it_grows() -> None:
    ring = MessageRing([1, 2])
    seen: list[int] = []
    for item in ring:
        ring.append(item + 10)
        seen.append(item)
    assert seen == [1, 2]
    assert list(ring) == [1, 2, 11, 12]


def test_cleared_ring_counts_from_zero() -> None:
    ring = MessageRing("abc", capacity=2)
    ring.clear()
    assert (list(ring), ring.total, ring.dropped) == ([], 0, 0)


@pytest.mark.parametrize("capacity", [0, -1])
def test_ring_refuses_a_capacity_that_holds_nothing(capacity: int) -> None:
    with pytest.raises(ValueError, match=f"at least 1, not {capacity}"):
        MessageRing[int](capacity=capacity)
