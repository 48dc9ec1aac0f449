"""What an agent remembers: the keys `session` and `sessions`."""

from collections.abc import Mapping
from typing import ClassVar

from pydantic import Field

from actors.config.duration import PositiveSeconds
from actors.config.node import BudgetSpec
from actors.config.section import Section
from actors.config.value import Flag, Moment, Name, Positive
from protocols.session import SessionQuery


class SessionSpec(Section):
    """Whether and how an agent continues an earlier conversation.

    `true` continues its latest conversation, `false` keeps no history at all, a number is a budget of tokens, and a
    text is the name of a conversation.
    """

    short_forms: ClassVar[tuple[str, ...]] = ("boolean", "integer", "string")
    spellings: ClassVar[Mapping[str, str]] = {"name": "conversation", "session_id": "conversation"}

    enabled: Flag = True
    """Keep a history."""
    restore: Flag = True
    """Read the stored conversation at the start."""
    conversation: Name | None = None
    """The conversation to go on with; the latest one by default."""
    since: Moment | None = None
    """Leave out what is older, as in `2024-05-31T00:00:00Z`."""
    until: Moment | None = None
    """Leave out what is newer."""
    limit: Positive = Field(default=200, le=10_000)
    """Messages to restore at most, the latest ones."""
    max_tokens: Positive | None = None
    """Tokens that the restored messages may have together."""

    @classmethod
    def expand_shorthand(cls, data: object) -> object:
        """Read true, false, a number of tokens or the name of a conversation."""
        # Text from an environment variable may stand for the other short forms.
        if isinstance(data, str) and data.lower() in ("true", "false"):
            data = data.lower() == "true"
        if isinstance(data, bool):
            return {"enabled": data, "restore": data}
        if isinstance(data, int) or (isinstance(data, str) and data.isascii() and data.isdigit()):
            return {"max_tokens": data}
        return {"conversation": data} if isinstance(data, str) else data

    def query(self) -> SessionQuery:
        """Return the same as the value that nodes take."""
        return SessionQuery(
            is_enabled=self.enabled,
            is_restored=self.enabled and self.restore,
            conversation=self.conversation,
            since=self.since.timestamp() if self.since else None,
            until=self.until.timestamp() if self.until else None,
            limit=self.limit,
            max_tokens=self.max_tokens,
        )


class SessionsSpec(Section):
    """How much an agent remembers of each session (`run(..., session="alice")`) and how many sessions it keeps.

    The limits hold for what it remembers without a session as well. What goes beyond is forgotten, the oldest first.
    With `storage` a session that is not in memory is read again.
    """

    most: Positive | None = None
    """Sessions that are kept in memory; 1,000 by default."""
    ttl: PositiveSeconds | None = None
    """How long after its last run a session is remembered, in seconds or as in `30d`; without limit by default."""
    max_turns: Positive | None = None
    """Prompts with what followed them."""
    max_messages: Positive | None = None
    """Messages of the model; 200 by default."""
    max_tokens: Positive | None = None
    """Tokens, estimated at 4 bytes each."""
    max_bytes: Positive | None = None
    """Bytes of text, pictures and other data; 4 MiB by default."""
    budget: BudgetSpec | None = None
    """What all runs of one session together may use."""

    def settings(self) -> dict[str, float]:
        """Return the settings of an agent that are given."""
        given = {
            "max_sessions": self.most,
            "session_ttl": self.ttl,
            "history_turns": self.max_turns,
            "history_limit": self.max_messages,
            "history_tokens": self.max_tokens,
            "history_bytes": self.max_bytes,
        }
        return {name: value for name, value in given.items() if value is not None}
