"""Texts that a node reads before its next prompt, kept apart by session."""

from collections import deque
from collections.abc import Callable, Iterable

from protocols.delivery import Kept

_MOST_TEXTS = 100
_MOST_SESSIONS = 1_000


class KeptText(str):
    """A text that is in the journal of its node until it was read."""

    id: bytes
    """Its id in the journal."""
    end: Callable[[], object]
    """Takes it out of the journal."""


class PendingContext(dict[str | None, deque[str]]):
    """What `add_context` gave: at most 100 texts for each of 1,000 sessions, of which the oldest go first."""

    def keep(self, text: str, session: str | None) -> None:
        """Keep a text for the next run of a session; None is for the next run of any session."""
        if session not in self and len(self) >= _MOST_SESSIONS:
            end_kept(self.pop(next(iter(self))))
        texts = self.setdefault(session, deque())
        texts.append(text)
        if len(texts) > _MOST_TEXTS:
            end_kept([texts.popleft()])

    def take(self, session: str | None, kept: Kept | None = None) -> list[str]:
        """Take the texts for a run of a session. Those in the journal end with a kept run, or else now."""
        texts = [*self.pop(None, ()), *(self.pop(session, ()) if session else ())]
        if kept is not None:
            texts = kept.read(texts)
        else:
            end_kept(texts)
        return [*map(str, texts)]


def end_kept(texts: Iterable[str]) -> None:
    """Take those texts out of the journal that are in it."""
    for text in texts:
        if isinstance(text, KeptText):
            text.end()
