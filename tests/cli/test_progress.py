"""Events in words."""

import io

import pytest

from actors.cli.progress import STEPS, TROUBLE, line_of, to_stderr
from protocols.events import ChildRestarted, MessageSent, RunFailed, StampedEvent


@pytest.mark.parametrize("kind", STEPS)
def test_every_event_that_is_told_has_words(kind: type[StampedEvent]) -> None:
    assert line_of(kind(actor="writer")) != ""


@pytest.mark.parametrize(
    ("event", "words"),
    [
        (MessageSent(actor="a", response_time=1.234), "a: answered after 1.23 s"),
        (RunFailed(actor="a", error_type="ValueError", error="{0.actor}"), "a: failed: ValueError: {0.actor}"),
        (
            ChildRestarted(actor="pool", child="a", delay=0.2, reason="killed"),
            "a: restarted after 0.20 s",
        ),
    ],
)
def test_an_event_is_one_sentence(event: StampedEvent, words: str) -> None:
    assert line_of(event) == words


def test_trouble_is_told_wherever_steps_are() -> None:
    assert set(TROUBLE) <= set(STEPS)


def test_a_stream_that_nobody_reads_is_no_failure() -> None:
    stream = io.StringIO()
    stream.close()

    to_stderr("hello", stream)
