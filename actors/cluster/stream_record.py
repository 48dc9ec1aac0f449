"""Events of a stream as bytes, between the host of a node and the reader of its run."""

from collections import deque
from typing import Any, Final

import msgspec
from msgspec import Struct

from actors.agents.model_answer import dump_event, load_event, typed_answer
from actors.durable.failure import decode_failure, encode_failure
from actors.durable.record import decode_answer, encode_answer
from actors.nodes.node import AnyNode
from actors.runs.event_channel import StreamEvent
from protocols.handle import Named
from protocols.response import AgentResponse
from protocols.streaming import StreamCompleteEvent
from protocols.transport import MOST_FRAME_BYTES

CREDIT: Final = 64
"""Events that the host of a node is ahead of the reader of a stream."""
MOST: Final = MOST_FRAME_BYTES // 2
"""Bytes of a run, or of an answer."""


class EventRecord(Struct, frozen=True, array_like=True):
    """A `StreamEvent`: its event is JSON of pydantic_ai, or an answer as a journal keeps it. Or a step of a team."""

    node: str | None
    text: str
    is_sure: bool
    event: bytes | None = None
    answer: bytes | None = None
    seconds: float | None = None
    """How long a member of a team has worked that has answered."""
    failure: bytes | None = None
    """Why a member has not, as a journal keeps it."""


Step = AgentResponse[Any] | tuple[str, Exception]
"""What became of a member of a team: its answer, or its name and failure."""


def encode_event(item: StreamEvent | Step) -> EventRecord:
    """Return an event as it crosses."""
    if isinstance(item, AgentResponse):
        assert item.message is not None
        return EventRecord(item.agent_name, "", False, None, encode_answer(item.message, MOST), item.timing or 0.0)
    if not isinstance(item, StreamEvent):
        return EventRecord(item[0], "", False, failure=encode_failure(item[1]))
    node, event, text, is_sure = item
    name = None if node is None else node.name
    if isinstance(event, StreamCompleteEvent):
        return EventRecord(name, text, is_sure, answer=encode_answer(event.message, MOST))
    data = None if event is None else dump_event(event)
    return EventRecord(name, text, is_sure, data)


def decode_events(data: bytes, node: AnyNode) -> list[StreamEvent | Step]:
    """Return the events of a run of a node. Raises an exception for what this version cannot read."""
    return [_decoded(one, node) for one in msgspec.msgpack.decode(data, type=list[EventRecord])]


def _decoded(one: EventRecord, node: AnyNode) -> StreamEvent | Step:
    event: Any = None
    if one.failure is not None:
        return one.node or "", decode_failure(one.failure)
    if one.answer is not None and one.seconds is not None:
        member: Any = _member(node, one.node or "")
        return AgentResponse(member.name, typed_answer(member, decode_answer(one.answer)), one.seconds)
    if one.answer is not None:
        event = StreamCompleteEvent(decode_answer(one.answer))
    elif one.event is not None:
        event = load_event(one.event)
    return StreamEvent(None if one.node is None else _member(node, one.node), event, one.text, one.is_sure)


def _member(node: AnyNode, name: str) -> Named:
    """Return the node of a name inside another one, as this process has it."""
    waiting, seen = deque([node]), set[int]()
    while waiting:
        one = waiting.popleft()
        if one.name == name:
            return one
        if id(one) not in seen:
            seen.add(id(one))
            waiting.extend(one.members())
    return _Gone(name)


class _Gone(Struct, frozen=True):
    name: str
