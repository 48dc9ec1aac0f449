"""What manifests of these tests import."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from actors.talk.talk_stats import TalkStats
    from protocols.messages import ChatMessage

GATE = asyncio.Event()
"""What `held` waits for."""


def echo(text: str) -> str:
    """Say it again."""
    return text


async def held(text: str) -> str:
    """Say it again when the gate is open."""
    await GATE.wait()
    return text


def fail(text: str) -> str:
    """Never work."""
    msg = f"no: {text}"
    raise ValueError(msg)


def is_second(message: ChatMessage[Any], stats: TalkStats) -> bool:
    """Whether one message was passed on before this one."""
    return stats.message_count == 1 and bool(message.text)


def broken(message: ChatMessage[Any], stats: TalkStats) -> bool:
    """Never say anything."""
    text = f"no answer for {message.text} after {stats.message_count}"
    raise LookupError(text)
