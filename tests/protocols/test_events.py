from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.errors import EventDecodeError
from protocols.events import (
    KINDS,
    CostEvent,
    Event,
    HopLimitReached,
    MessageSent,
    RunFailed,
    RunStarted,
    StampedEvent,
    decode,
    encode,
)
from protocols.model_events import ModelEvent

_VALUES: dict[Any, st.SearchStrategy[Any]] = {
    str: st.text(),
    int: st.integers(0, 2**63 - 1),
    float: st.floats(0, 1e12),
    bool: st.booleans(),
    Decimal: st.decimals(0, 1_000, allow_nan=False, places=9),
    str | None: st.none() | st.text(),
    tuple[str, ...]: st.lists(st.text(), max_size=3).map(tuple),
}


@st.composite
def events(draw: st.DrawFn) -> Event:
    kind: Any = draw(st.sampled_from(get_args(Event)))
    fields = {field.name: draw(_VALUES[field.type]) for field in msgspec.structs.fields(kind)}
    event: Event = kind(**fields)
    return event


@given(events())
def test_event_survives_json_in_one_call_each_way(event: Event) -> None:
    assert decode(encode(event)) == event


def test_every_kind_is_frozen_and_named_in_snake_case() -> None:
    assert len(KINDS) == len(get_args(Event))
    for kind, event in KINDS.items():
        assert kind == kind.lower()
        assert event.__struct_config__.frozen
        assert msgspec.json.decode(msgspec.json.encode(event()))["kind"] == kind


def test_every_event_of_the_vocabulary_is_in_the_union() -> None:
    kinds = {*StampedEvent.__subclasses__(), *CostEvent.__subclasses__(), *ModelEvent.__subclasses__()}
    assert kinds - {CostEvent, ModelEvent} == set(get_args(Event))


def test_time_can_be_read_as_an_aware_datetime() -> None:
    assert RunStarted(time=0.0).at == datetime(1970, 1, 1, tzinfo=UTC)


def test_event_carries_no_payload_unless_given() -> None:
    assert MessageSent().content is None


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ('{"kind": "message_snt"}', "unknown event kind 'message_snt'; did you mean 'message_sent'"),
        ("{}", "unknown event kind ''"),
        ("[1]", "not an event"),
        ("{", "not an event"),
        ('{"kind": 3}', "not an event"),
        ('{"kind": "run_failed", "error": 3}', "event 'run_failed' cannot be read"),
        (b'{"kind": "run_failed", "error": "\xff"}', "cannot be read|not an event"),
    ],
)
def test_decoding_says_what_is_wrong(document: str | bytes, words: str) -> None:
    with pytest.raises(EventDecodeError, match=words):
        decode(document)


def test_fields_of_a_newer_writer_are_ignored() -> None:
    assert decode('{"kind": "run_started", "actor": "a", "mood": "fine"}').actor == "a"


def test_text_that_no_file_may_hold_is_written_with_question_marks() -> None:
    event = decode(encode(RunFailed(error="no \ud800 name", actor="é")))
    assert isinstance(event, RunFailed)
    assert (event.error, event.actor) == ("no ? name", "é")
    assert decode(encode(HopLimitReached(route=("a", "\udcff")))) != HopLimitReached(route=("a", "\udcff"))
