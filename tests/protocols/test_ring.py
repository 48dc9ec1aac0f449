from collections import deque
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic_ai.messages import BinaryContent, ModelRequest, UserPromptPart

from protocols.messages import ChatMessage
from protocols.ring import MessageRing, weight
from protocols.tool_call import ToolCallInfo


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


@given(st.lists(st.binary(max_size=300)), st.integers(1, 20), st.integers(1, 2_000))
def test_ring_keeps_the_longest_end_that_both_bounds_allow(items: list[bytes], capacity: int, most: int) -> None:
    ring = MessageRing(items, capacity=capacity, most_bytes=most)
    kept = list(ring)
    assert kept == items[len(items) - len(kept) :]
    assert len(kept) + ring.dropped == len(items)
    assert len(kept) == 1 or sum(map(weight, kept)) <= most
    longer = items[len(items) - len(kept) - 1 :] if len(kept) < len(items) else None
    assert longer is None or len(kept) == capacity or sum(map(weight, longer)) > most


DATA = bytes(100_000)
PICTURE = BinaryContent(DATA, media_type="image/png")


@pytest.mark.parametrize("value", [
    [DATA], {"k": (DATA,)}, deque([DATA]), frozenset([DATA]), PICTURE, SimpleNamespace(data=DATA),
    ChatMessage("x", "assistant", messages=(ModelRequest([UserPromptPart([PICTURE])]),)),
    ChatMessage("x", "assistant", tool_calls=(ToolCallInfo("t", result=DATA),)),
])  # fmt: skip
def test_weight_finds_data_wherever_a_message_holds_it(value: object) -> None:
    assert 100_000 <= weight(value) < 110_000


def test_weight_counts_shared_parts_once_ends_in_circles_and_estimates_what_is_large() -> None:
    shared = ["x" * 1_000]
    ring: list[object] = [shared, shared]
    ring.append(ring)
    assert 1_000 < weight(ring) < 1_100
    assert 9e7 < weight(["x" * 951] * 100_000) < 11e7


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
