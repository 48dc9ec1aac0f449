from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from actors.triggers.webhook.replay_journal import ReplayGuard


def test_an_identifier_is_known_until_it_expires() -> None:
    guard = ReplayGuard()
    guard.remember("a", expires=600.0)

    assert guard.knows("a", now=600.0)
    assert not guard.knows("b", now=0.0)
    assert not guard.knows("a", now=630.0)
    assert len(guard) == 0


def test_a_full_guard_forgets_nothing_to_make_room() -> None:
    guard = ReplayGuard(capacity=2)
    guard.remember("a", expires=100.0)
    guard.remember("b", expires=100.0)

    assert guard.is_full
    assert guard.knows("a", now=0.0)
    assert not guard.knows("c", now=200.0)
    assert not guard.is_full


def test_remembering_twice_counts_once() -> None:
    guard = ReplayGuard()
    guard.remember("a", expires=100.0)
    guard.remember("a", expires=200.0)

    assert len(guard) == 1


@given(
    seen=st.lists(st.tuples(st.text(max_size=5), st.floats(0, 1_000))),
    now=st.floats(0, 2_000),
    other=st.text(max_size=5),
)
def test_nothing_is_forgotten_before_it_expires(seen: list[tuple[str, float]], now: float, other: str) -> None:
    guard = ReplayGuard()
    first: dict[str, float] = {}
    for identifier, expires in seen:
        guard.remember(identifier, expires=expires)
        first.setdefault(identifier, expires)

    for identifier, expires in first.items():
        if now <= expires:
            assert guard.knows(identifier, now=now)
    if other not in first:
        assert not guard.knows(other, now=now)
