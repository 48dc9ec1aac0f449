"""Log the runs of a node with `debug: true`."""

import logging
from typing import Any, Final
from weakref import WeakKeyDictionary

from actors.nodes.node import AnyNode
from protocols.messages import ChatMessage

_log = logging.getLogger("understage.node")


def log_runs(node: AnyNode, *, is_on: bool) -> None:
    """Log every message, answer and failure of a node at level DEBUG, without content.

    Args:
        node: the node.
        is_on: False to stop logging, if the node is logged.
    """
    if is_on and node not in _LOGS:
        _LOGS[node] = log = _RunLog(node.name)
        node.message_received.connect(log.received)
        node.message_sent.connect(log.sent)
        node.run_failed.connect(log.failed)
    elif not is_on and (found := _LOGS.pop(node, None)) is not None:
        node.message_received.disconnect(found.received)
        node.message_sent.disconnect(found.sent)
        node.run_failed.disconnect(found.failed)


class _RunLog:
    def __init__(self, name: str) -> None:
        self._name = name

    def received(self, message: ChatMessage[Any]) -> None:
        sender, size = message.name or "user", len(message.text)
        _log.debug("node %r: takes a message of %r, %d characters", self._name, sender, size)

    def sent(self, message: ChatMessage[Any]) -> None:
        text = "node %r: answers with %d characters after %.3f s, model %s, %d tokens, %d tool calls"
        seconds, tokens, calls = message.response_time or 0.0, message.usage.total_tokens, len(message.tool_calls)
        _log.debug(text, self._name, len(message.text), seconds, message.model_name, tokens, calls)

    def failed(self, error: Exception) -> None:
        _log.debug("node %r: the run failed with %s", self._name, type(error).__name__)


_LOGS: Final[WeakKeyDictionary[AnyNode, _RunLog]] = WeakKeyDictionary()
