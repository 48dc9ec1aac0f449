"""Identifiers: 128 random bits as 32 hexadecimal digits, so that nobody can guess the next one."""

from secrets import token_hex
from typing import NewType

ActorId = NewType("ActorId", str)
"""One actor of one system; stays the same over its restarts."""

RunId = NewType("RunId", str)
"""One run of one node; every message and event of that run carries it."""

MessageId = NewType("MessageId", str)
"""One message; never used twice."""

ConversationId = NewType("ConversationId", str)
"""A flow of messages that belong together, through all nodes they pass."""

ToolCallId = NewType("ToolCallId", str)
"""One call of a tool, as the model named it."""


def new_id() -> str:
    """Return a fresh identifier: 32 lower-case hexadecimal digits from the operating system's random source."""
    return token_hex(16)
