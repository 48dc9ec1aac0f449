"""What a node with `debug: true` writes to the log about its runs."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from actors.pool.root import AnyNode
    from protocols.messages import ChatMessage

_log = logging.getLogger("understudy.node")


def log_runs(node: AnyNode) -> None:
    """Log every message that a node takes, every answer and every failure, at level DEBUG; never what they say."""
    name = node.name

    def received(message: ChatMessage[Any]) -> None:
        _log.debug("node %r: takes a message of %r, %d characters", name, message.name or "user", len(message.text))

    def sent(message: ChatMessage[Any]) -> None:
        text = "node %r: answers with %d characters after %.3f s, model %s, %d tokens, %d tool calls"
        seconds, tokens, calls = message.response_time or 0.0, message.usage.total_tokens, len(message.tool_calls)
        _log.debug(text, name, len(message.text), seconds, message.model_name, tokens, calls)

    def failed(error: Exception) -> None:
        _log.debug("node %r: the run failed with %s", name, type(error).__name__)

    node.message_received.connect(received)
    node.message_sent.connect(sent)
    node.run_failed.connect(failed)
