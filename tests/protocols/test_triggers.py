from __future__ import annotations

from datetime import UTC, datetime
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.plain_text import printable
from protocols.triggers import (
    ConnectionEvent,
    FileChange,
    FileChanged,
    FunctionReturned,
    MailReceived,
    TalkEventName,
    TimeReached,
    TriggerEvent,
    WebhookReceived,
)


@pytest.mark.parametrize(
    ("event", "prompt"),
    [
        (
            FileChanged(source="f", time=0, root="/", changes=(FileChange("added", "a"), FileChange("deleted", "b\n"))),
            "File added: a\nFile deleted: b\\n",
        ),
        (
            FileChanged(source="f", time=0, root="/", changes=(FileChange("added", "a"),), omitted=7),
            "File added: a\nand 7 more files",
        ),
        (WebhookReceived(source="w", time=0, path="/", payload={"ü": [1]}), '{\n  "ü": [\n    1\n  ]\n}'),
        (WebhookReceived(source="w", time=0, path="/", payload="plain text"), "plain text"),
        (WebhookReceived(source="w", time=0, path="/"), "null"),
        (TimeReached(source="t", time=0, schedule="@daily", prompt="Sum up"), "Sum up"),
        (
            MailReceived(source="m", time=0, sender="a@b\nBcc: x", subject="s\r\n", body="hi", attachments=("x.pdf",)),
            "E-mail from: a@b\\nBcc: x\nSubject: s\\r\\n\nAttachments: x.pdf\n\nhi",
        ),
        (
            ConnectionEvent(source="c", time=0, connection="k", event="queue_filled", sender="a", message_id="1"),
            "Connection 'k': queue_filled from 'a' to nobody, message 1",
        ),
        (FunctionReturned(source="t", time=0, function="f", text="done"), "done"),
    ],
)
def test_an_event_says_in_a_prompt_what_happened(event: TriggerEvent, prompt: str) -> None:
    assert event.to_prompt() == prompt


def test_the_time_of_an_event_is_aware() -> None:
    event = FunctionReturned(source="t", time=1_700_000_000.0, function="f", text="")

    assert event.timestamp == datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)


def test_an_event_cannot_be_changed() -> None:
    event = FunctionReturned(source="t", time=0, function="f", text="")

    with pytest.raises(AttributeError):
        event.text = "x"  # type: ignore[misc] # pyright: ignore[reportAttributeAccessIssue]


@given(st.text(st.characters()))
def test_printable_text_stays_on_one_line_and_can_be_written_anywhere(text: str) -> None:
    found = printable(text)

    assert found.isprintable()
    found.encode()
    assert (found == text) is text.isprintable()


def test_the_names_of_talk_events_are_all_listed() -> None:
    assert len(set(get_args(TalkEventName))) == 5
