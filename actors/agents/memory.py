"""What an agent remembers: the messages of its model, bounded, cut only where a turn begins."""

import logging
import threading
from collections.abc import Callable, Sequence
from typing import Any

from pydantic_ai.messages import ModelMessage, ModelMessagesTypeAdapter, ModelRequest, UserPromptPart

Summary = Callable[[Sequence[ModelMessage]], Sequence[ModelMessage]]
"""Gets the messages that would be forgotten, returns what takes their place: at most as many as are remembered.

It must not block. When it fails the run has succeeded all the same: it is logged, and the messages are forgotten.
"""

_log = logging.getLogger("understudy")

DEFAULT_LIMIT = 200
"""Messages that are remembered. A request with 2,000 of them would hold the event loop for 370 ms."""


class Memory:
    """The messages of one agent. It changes only when a run has succeeded, by whole runs; safe in threads."""

    def __init__(self, limit: int = DEFAULT_LIMIT, *, summary: Summary | None = None) -> None:
        """Take the most messages to remember, and optionally what makes a summary of those that are forgotten."""
        if limit < 1:
            msg = f"a history keeps at least 1 message, not {limit!r}"
            raise ValueError(msg)
        self.limit = limit
        self.summary = summary
        self._messages: tuple[ModelMessage, ...] = ()
        self._primed: ModelMessage | None = None
        self._lock = threading.Lock()

    @property
    def messages(self) -> tuple[ModelMessage, ...]:
        """The messages, oldest first."""
        return self._messages

    @property
    def is_primed(self) -> bool:
        """Whether the agent's knowledge is among the messages."""
        return any(message is self._primed for message in self._messages)

    def add(self, messages: Sequence[ModelMessage], *, is_primed: bool = False) -> None:
        """Remember what one run has said, and forget the oldest turns beyond the limit.

        Args:
            messages: requests and responses of the run.
            is_primed: whether the agent has knowledge, which is then among these messages or older ones.
        """
        with self._lock:
            if is_primed and messages and not self.is_primed:
                self._primed = messages[0]
            self._messages = self._bounded((*self._messages, *messages))

    def replace(self, messages: Sequence[ModelMessage]) -> None:
        """Remember exactly these, such as a restored conversation; the limit holds."""
        with self._lock:
            self._messages = self._bounded(tuple(messages))

    def clear(self) -> None:
        """Forget everything."""
        self.replace(())

    def _bounded(self, messages: tuple[ModelMessage, ...]) -> tuple[ModelMessage, ...]:
        if len(messages) <= self.limit:
            return messages
        start = first_turn(messages, len(messages) - self.limit)
        forgotten, kept = messages[:start], messages[start:]
        return kept if self.summary is None else (*self._summary(self.summary, forgotten), *kept)

    def _summary(self, make: Summary, forgotten: Sequence[ModelMessage]) -> Sequence[ModelMessage]:
        """Return what takes the place of forgotten messages; nothing if that fails, since the run has succeeded."""
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
    """Return where the first turn at or after a place begins; the last turn is kept whatever its length.

    A turn begins with a user's prompt, so a call of a tool is never separated from its return.
    """
    starts = [place for place, message in enumerate(messages) if _begins_turn(message)]
    return next((place for place in starts if place >= at_least), starts[-1] if starts else at_least)


def _begins_turn(message: ModelMessage) -> bool:
    return isinstance(message, ModelRequest) and any(isinstance(part, UserPromptPart) for part in message.parts)


def dump_messages(messages: Sequence[Any]) -> bytes:
    """Return requests and responses of a model as JSON."""
    return ModelMessagesTypeAdapter.dump_json(list(messages))


def load_messages(data: bytes) -> list[ModelMessage]:
    """Return the messages that `dump_messages` was given.

    Raises:
        ValueError: the data is not what `dump_messages` returns, or comes from a version that knows other messages.
    """
    return ModelMessagesTypeAdapter.validate_json(data)
