"""The memory of an agent: messages of its model, bounded by count and bytes, cut only where a turn begins."""

import logging
import threading
from collections.abc import Callable, Sequence
from typing import Any

from pydantic import ConfigDict, TypeAdapter
from pydantic_ai.messages import ModelMessage, ModelMessagesTypeAdapter, ModelRequest, ModelResponse, UserPromptPart

from protocols.ring import weight

Summary = Callable[[Sequence[ModelMessage]], Sequence[ModelMessage]]
"""Gets the messages that leave the memory, and returns the messages in their place: at most `history_limit`.

It must not block. Its failure does not fail the run: the failure is logged, and the messages are forgotten.
"""

_log = logging.getLogger("understage")

_CONFIG = ConfigDict(defer_build=True, ser_json_bytes="base64")
_REQUESTS: TypeAdapter[Any] = TypeAdapter(list[ModelRequest], config=_CONFIG)
_RESPONSES: TypeAdapter[Any] = TypeAdapter(list[ModelResponse], config=_CONFIG)

DEFAULT_LIMIT = 200
"""Messages in a memory by default. A request with 2,000 messages blocks the event loop for 370 ms."""
DEFAULT_BYTES = 4 * 1024 * 1024
"""Bytes of text, pictures and other data in a memory by default."""


class Memory:
    """The messages of one agent, or of one session. Only successful runs change it, by whole runs. Safe in threads."""

    def __init__(
        self,
        limit: int = DEFAULT_LIMIT,
        *,
        most_bytes: int = DEFAULT_BYTES,
        most_turns: int | None = None,
        most_tokens: int | None = None,
        summary: Summary | None = None,
    ) -> None:
        if limit < 1:
            raise ValueError(f"a history keeps at least 1 message, not {limit!r}")
        self.limit = limit
        """Largest number of messages."""
        self.most_bytes = most_bytes
        """Most bytes of data in them; the last turn stays, whatever its size."""
        self.most_turns = most_turns
        """Most prompts with what followed each. None for no limit."""
        self.most_tokens = most_tokens
        """Most tokens, estimated at 4 bytes each; the last turn stays. None for no limit."""
        self.summary = summary
        self.is_forgotten = False
        """True once the memory is deleted: open runs add nothing more."""
        self._messages: tuple[ModelMessage, ...] = ()
        self._sizes: tuple[int, ...] = ()
        self._primed: ModelMessage | None = None
        self._lock = threading.Lock()

    @property
    def messages(self) -> tuple[ModelMessage, ...]:
        """The messages, oldest first."""
        return self._messages

    @property
    def size(self) -> int:
        """Bytes of data in the messages."""
        return sum(self._sizes)

    @property
    def is_primed(self) -> bool:
        """True if the agent's knowledge is among the messages."""
        return any(message is self._primed for message in self._messages)

    def add(self, messages: Sequence[ModelMessage], *, is_primed: bool = False) -> None:
        """Add the messages of one run, and forget the oldest turns beyond the limit.

        Args:
            messages: requests and responses of the run.
            is_primed: True if the agent has knowledge, which these messages or older ones hold.
        """
        with self._lock:
            if self.is_forgotten:
                return
            if is_primed and messages and not self.is_primed:
                self._primed = messages[0]
            self._keep((*self._messages, *messages), (*self._sizes, *map(weight, messages)))

    def replace(self, messages: Sequence[ModelMessage]) -> None:
        """Replace all messages, for example by a restored conversation. The limit holds."""
        with self._lock:
            self._keep(tuple(messages), tuple(map(weight, messages)))

    def clear(self) -> None:
        """Forget everything."""
        self.replace(())

    def forget(self) -> None:
        """Forget everything, and what open runs are about to add."""
        with self._lock:
            self.is_forgotten = True
            self._messages, self._sizes = (), ()

    def _keep(self, messages: tuple[ModelMessage, ...], sizes: tuple[int, ...]) -> None:
        most = self.most_bytes if self.most_tokens is None else min(self.most_bytes, 4 * self.most_tokens)
        start = max(0, len(messages) - self.limit)
        if self.most_turns is not None:
            start = max([start, *turn_starts(messages)[-self.most_turns :][:1]])
        size = sum(sizes[start:])
        while size > most and start < len(messages) - 1:
            size -= sizes[start]
            start += 1
        if start:
            start = first_turn(messages, start)
            made = () if self.summary is None or not start else self._summary(self.summary, messages[:start])
            messages, sizes = (*made, *messages[start:]), (*map(weight, made), *sizes[start:])
        self._messages, self._sizes = messages, sizes

    def _summary(self, make: Summary, forgotten: Sequence[ModelMessage]) -> Sequence[ModelMessage]:
        """Return the summary of forgotten messages. Empty if the summary fails, as the run has succeeded."""
        try:
            made = tuple(make(forgotten))
        except Exception:
            _log.exception("the summary of %d messages failed; they are forgotten without one", len(forgotten))
            return ()
        if len(made) > self.limit:
            _log.warning("a summary of %d messages is left out: it is longer than the history may be", len(made))
            return ()
        return made

    def __len__(self) -> int:
        return len(self._messages)


def first_turn(messages: Sequence[ModelMessage], at_least: int) -> int:
    """Return where the first turn at or after a place begins. The last turn stays, whatever its length.

    A turn begins with a user's prompt, so a tool call is never separated from its return.
    """
    starts = turn_starts(messages)
    return next((place for place in starts if place >= at_least), starts[-1] if starts else at_least)


def turn_starts(messages: Sequence[ModelMessage]) -> list[int]:
    """Return where turns begin."""
    return [
        place
        for place, message in enumerate(messages)
        if isinstance(message, ModelRequest) and any(isinstance(part, UserPromptPart) for part in message.parts)
    ]


def dump_messages(messages: Sequence[Any]) -> bytes:
    """Return requests and responses of a model as JSON: what `ModelMessagesTypeAdapter` makes of them."""
    # By their types, one by one: of a union pydantic makes everything twice, which takes 1.6 times as long.
    parts = [(_REQUESTS if isinstance(one, ModelRequest) else _RESPONSES).dump_json([one])[1:-1] for one in messages]
    return b"[%s]" % b",".join(parts)


def load_messages(data: bytes) -> list[ModelMessage]:
    """Return the messages that `dump_messages` was given.

    Raises:
        ValueError: the data is not what `dump_messages` returns, or comes from a version that knows other messages.
    """
    return ModelMessagesTypeAdapter.validate_json(data)
