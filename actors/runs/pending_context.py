"""Texts that a node reads before its next prompt, kept apart by session."""

from collections import deque

_MOST_TEXTS = 100
_MOST_SESSIONS = 1_000


class PendingContext(dict[str | None, deque[str]]):
    """What `add_context` gave: at most 100 texts for each of 1,000 sessions, of which the oldest go first."""

    def keep(self, text: str, session: str | None) -> None:
        """Keep a text for the next run of a session; None is for the next run of any session."""
        if session not in self and len(self) >= _MOST_SESSIONS:
            del self[next(iter(self))]
        self.setdefault(session, deque(maxlen=_MOST_TEXTS)).append(text)

    def take(self, session: str | None) -> list[str]:
        """Take the texts for a run of a session."""
        return [*self.pop(None, ()), *(self.pop(session, ()) if session else ())]
