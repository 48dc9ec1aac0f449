"""Circles of connections end, whatever their shape."""

import pytest

import protocols.delivery_tracker as downstream
from protocols.events import HopLimitReached, RunStarted
from tests.support.nodes import AnyAgent, current_system, echo_agent, record_events


def circle_with_branches() -> list[AnyAgent]:
    """Return nodes where each message becomes two: 2**64 messages within the hop limit."""
    a, b = echo_agent("a"), echo_agent("b")
    _ = a >> [b, b]
    _ = b >> [a, a]
    return [a, b]


async def test_a_circle_with_branches_ends_when_its_run_has_caused_too_many_messages(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(downstream, "MOST_MESSAGES", 500)
    events, runs = record_events(current_system(), HopLimitReached), record_events(current_system(), RunStarted)
    a, b = circle_with_branches()

    answer = await a.run("q", wait_for_connections=True)

    assert answer.content == "a(q)"
    assert len(runs) == 501
    assert len(events) == 502
    assert "its run has caused too many messages" in a.connections.stats.errors[0][1]
    assert not any(node.is_busy() for node in (a, b))


async def test_a_later_run_begins_to_count_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(downstream, "MOST_MESSAGES", 10)
    seen: list[str] = []
    a = echo_agent("a")
    _ = a >> echo_agent("b", seen)

    for number in range(30):
        await a.run(str(number), wait_for_connections=True)

    assert len(seen) == 30


async def test_a_chain_that_a_member_leads_back_to_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(downstream, "MOST_MESSAGES", 500)
    a, b = echo_agent("a"), echo_agent("b")
    chain = a | b
    _ = b >> chain
    _ = a >> b

    answer = await chain.run("q", wait_for_connections=True)

    assert answer.content == "b(a(q))"
    assert not chain.is_busy()
