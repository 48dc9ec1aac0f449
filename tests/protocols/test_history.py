"""Values of history refuse what no store could keep."""

from __future__ import annotations

from typing import Any

import pytest

from protocols.history import HistoryQuery, Retention, StoredMessage

GOOD: dict[str, Any] = {
    "id": "m",
    "conversation_id": "c",
    "node": "n",
    "role": "user",
    "content": "",
    "created": 0.0,
}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("id", ""),
        ("id", "x" * 256),
        ("id", "a\0b"),
        ("id", "\ud800"),
        ("id", None),
        ("conversation_id", ""),
        ("node", 5),
        ("run_id", ""),
        ("model", "\0"),
        ("role", "robot"),
        ("content", None),
        ("content", b"bytes"),
        ("payload", "text"),
        ("metadata", []),
        ("created", -1.0),
        ("created", float("nan")),
        ("created", float("inf")),
        ("created", 253_402_300_800.0),
        ("cost", float("nan")),
        ("cost", -0.1),
        ("tokens", -1),
        ("tokens", 1.5),
        ("tokens", True),
        ("tokens", 2**53),
        ("input_tokens", -1),
        ("output_tokens", 2**64),
    ],
)
def test_message_refuses_a_field_that_no_store_could_keep(field: str, value: Any) -> None:
    with pytest.raises(ValueError, match=rf"^{field} must be"):
        StoredMessage(**{**GOOD, field: value})


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("agent", ""),
        ("agent", "a\0"),
        ("conversation", "x" * 256),
        ("role", "robot"),
        ("since", float("nan")),
        ("until", -5.0),
        ("limit", 0),
        ("limit", 10_001),
        ("limit", True),
        ("after", -1),
    ],
)
def test_query_refuses_a_condition_without_sense(field: str, value: Any) -> None:
    with pytest.raises(ValueError, match=rf"^{field} must be"):
        HistoryQuery(**{field: value})


@pytest.mark.parametrize("text", ["", "x" * 1_001])
def test_query_refuses_an_empty_or_huge_text(text: str) -> None:
    with pytest.raises(ValueError, match="text must be 1 to 1000 characters"):
        HistoryQuery(text=text)


def test_query_refuses_an_empty_time_span() -> None:
    with pytest.raises(ValueError, match=r"since \(5.0\) must be before until \(5.0\)"):
        HistoryQuery(since=5.0, until=5.0)


@pytest.mark.parametrize(
    ("field", "value"),
    [("max_age", -1.0), ("max_age", float("nan")), ("max_messages", -1), ("max_per_conversation", 1.5)],
)
def test_retention_refuses_a_limit_without_sense(field: str, value: Any) -> None:
    with pytest.raises(ValueError, match=rf"^{field} must be"):
        Retention(**{field: value})


def test_messages_do_not_share_metadata() -> None:
    one, two = StoredMessage(**GOOD), StoredMessage(**GOOD)
    one.metadata["x"] = 1
    assert two.metadata == {}
