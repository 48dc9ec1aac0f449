"""Values of history: the stored message, and what one asks about it."""

from math import inf
from typing import Annotated, Any, Literal, get_args

import msgspec

from protocols.checks import TEXT, check_fields, check_values, choice, declared_checks, instance_of
from protocols.limits import (
    AMOUNT,
    COUNT,
    KEY,
    LIMIT,
    MAX_COUNT,
    MAX_KEY_LENGTH,
    MAX_TIME,
    TEXT_FILTER,
    TIME,
    check_span,
)
from protocols.messages import Role
from protocols.session import SESSION

HistoryGroup = Literal["agent", "role", "model", "conversation", "day"]
"""What `HistoryStore.stats` can group by; a day is a UTC date."""

ROLES: tuple[str, ...] = get_args(Role)
GROUPS: tuple[str, ...] = get_args(HistoryGroup)

_ROLE = choice(*ROLES)


def check_group(group_by: HistoryGroup | None) -> None:
    """Refuse an unknown group with a ValueError that lists the known ones."""
    check_values({"group_by": choice(*GROUPS)}, {"group_by": group_by})


class StoredMessage(msgspec.Struct, frozen=True, kw_only=True):
    """One message as history keeps it. A store never changes it, and keeps the first one of each id.

    Example:
        >>> StoredMessage(id="m1", conversation_id="c1", node="writer", role="user", content="hi", created=0.0).tokens
        0

    Raises:
        ValueError: A field that no store could keep; the text names the field and the value.
    """

    id: Annotated[str, KEY]
    """Unique over all conversations; appending the same id again changes nothing."""
    conversation_id: Annotated[str, KEY]
    run_id: Annotated[str | None, KEY] = None
    node: Annotated[str, KEY]
    """Name of the agent or team that received (role user) or wrote (role assistant) the message."""
    role: Annotated[Role, _ROLE]
    content: Annotated[str, TEXT]
    """The text. NUL characters and lone surrogates are kept as U+FFFD, which is all a database can hold."""
    model: Annotated[str | None, KEY] = None
    tokens: Annotated[int, COUNT] = 0
    """All tokens of this message; 0 for a message that no model wrote."""
    input_tokens: Annotated[int, COUNT] = 0
    output_tokens: Annotated[int, COUNT] = 0
    cost: Annotated[float | None, AMOUNT] = None
    """US dollars; None when the price is not known."""
    created: Annotated[float, TIME]
    """Seconds since 1970-01-01 UTC."""
    payload: Annotated[bytes | None, instance_of("bytes", bytes)] = None
    """The provider-level messages of the run as JSON, opaque to the store; one message of each run carries it."""
    metadata: Annotated[dict[str, Any], instance_of("a dict", dict)] = {}
    """Free data. What JSON cannot hold is kept as its ``str()``."""
    seq: int = 0
    """Position in the store, given by the store in the order of appending; 0 for a message not read from a store."""

    def __post_init__(self) -> None:
        """Refuse what no store could keep."""
        if not _is_usual(self):
            check_fields(_STORED, self, never_none=_ALWAYS)


_STORED = declared_checks(StoredMessage)
_ALWAYS = _STORED.keys() - {"run_id", "model", "cost", "payload"}


def _is_usual(message: StoredMessage) -> bool:
    """Return True if the message surely passes its checks: the usual message, in a third of their time."""
    run_id, model, cost, payload = message.run_id, message.model, message.cost, message.payload
    for key in (
        message.id,
        message.conversation_id,
        message.node,
        "-" if run_id is None else run_id,
        "-" if model is None else model,
    ):
        if type(key) is not str or not 0 < len(key) <= MAX_KEY_LENGTH or not key.isascii() or "\0" in key:
            return False
    for count in (message.tokens, message.input_tokens, message.output_tokens):
        if type(count) is not int or not 0 <= count < MAX_COUNT:
            return False
    return (
        message.role in ROLES
        and type(message.content) is str
        and type(message.created) is float
        and 0 <= message.created < MAX_TIME
        and (cost is None or (type(cost) is float and 0 <= cost < inf))
        and (payload is None or type(payload) is bytes)
        and type(message.metadata) is dict
    )


class HistoryQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which messages are meant. Conditions are combined with *and*; one that is None does not restrict.

    Raises:
        ValueError: A condition that can hold nothing sensible; the text names it and its value.
    """

    agent: Annotated[str | None, KEY] = None
    role: Annotated[Role | None, _ROLE] = None
    since: Annotated[float | None, TIME] = None
    """Created at or after this time (seconds since 1970 UTC)."""
    until: Annotated[float | None, TIME] = None
    """Created before this time."""
    text: Annotated[str | None, TEXT_FILTER] = None
    """Part of the content, in any case. No character is special."""
    conversation: Annotated[str | None, KEY] = None
    session: Annotated[str | None, SESSION] = None
    """Session of the runs, of all nodes."""
    limit: Annotated[int, LIMIT] = 100
    after: Annotated[int | None, COUNT] = None
    """Go on after the message with this `StoredMessage.seq`, in the order of this query."""
    newest_first: bool = True

    def __post_init__(self) -> None:
        """Refuse conditions that cannot be meant."""
        check_fields(_QUERY, self, never_none=("limit",))
        check_span(self.since, self.until)


_QUERY = declared_checks(HistoryQuery)


class Retention(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a store may keep; None for no limit. The oldest messages go first.

    Raises:
        ValueError: A negative or non-finite limit.
    """

    max_age: Annotated[float | None, AMOUNT] = None
    """Seconds since a message was created."""
    max_messages: Annotated[int | None, COUNT] = None
    """Messages in the whole store."""
    max_per_conversation: Annotated[int | None, COUNT] = None

    def __post_init__(self) -> None:
        """Refuse limits below zero."""
        check_fields(_RETENTION, self)


_RETENTION = declared_checks(Retention)


class HistoryStats(msgspec.Struct, frozen=True, kw_only=True):
    """Sums over the messages of one group."""

    key: str = ""
    """The agent, role, model, conversation id or date (``2026-01-31``); empty when nothing is grouped."""
    messages: int = 0
    tokens: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost: float = 0.0
    """US dollars of the messages whose price is known."""
    cost_known: bool = True
    """False when a message that used tokens has no price, so that the true cost is higher."""
    first: float | None = None
    """When the oldest message was created; None without messages."""
    last: float | None = None


class ConversationSummary(msgspec.Struct, frozen=True, kw_only=True):
    """One conversation in a list of them."""

    conversation_id: str
    messages: int
    tokens: int
    first: float
    last: float
    seq: int
    """Position of its last message; conversations are listed by it, latest first."""
