"""What ``session=`` means: whether a node keeps a history, and what it remembers when it starts."""

from collections.abc import Mapping
from hashlib import sha256
from typing import Annotated, Any, cast
from urllib.parse import quote

import msgspec

from protocols.checks import Check, check_fields, declared_checks
from protocols.limits import COUNT, KEY, LIMIT, TIME, check_span

OWN = ""
"""Stands for the memory that belongs to the node itself, where the name of a session may stand."""
MAX_NAME = 200
"""Characters in the name of a session."""
SESSION_PREFIX = "session/"
"""Begins the names of stored conversations that belong to sessions."""
_LONGEST_PART = 120
SESSION = Check(
    f"a name of 1 to {MAX_NAME} printable characters",
    lambda value: isinstance(value, str) and bool(value.strip()) and len(value) <= MAX_NAME and value.isprintable(),
)


def conversation_of(node: str, session: str) -> str:
    """Return the stored conversation of a session of a node: a key that no other pair of names has."""
    return f"{SESSION_PREFIX}{_part(node)}/{_part(session)}"


def is_of_session(conversation: str, session: str) -> bool:
    """Return True if a stored conversation belongs to a session, whatever its node."""
    return conversation.startswith(SESSION_PREFIX) and conversation.endswith(ending_of(session))


def ending_of(session: str) -> str:
    """Return how the names of the stored conversations of a session end."""
    return f"/{_part(session)}"


def _part(name: str) -> str:
    quoted = quote(name, safe="")
    return quoted if len(quoted) <= _LONGEST_PART else "~" + sha256(name.encode()).hexdigest()


class SessionQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a node remembers when it starts, and whether it keeps a history at all (the argument ``session=``).

    Example:
        >>> SessionQuery.parse("support-17").conversation
        'support-17'
    """

    is_enabled: bool = True
    """False: the node keeps no history, neither in memory nor in the store."""
    is_restored: bool = False
    """Read the stored conversation at the start."""
    conversation: Annotated[str | None, KEY] = None
    """Conversation to go on with; None with `is_restored` is the node's latest one."""
    since: Annotated[float | None, TIME] = None
    until: Annotated[float | None, TIME] = None
    limit: Annotated[int, LIMIT] = 200
    """Messages to restore at most, the latest ones."""
    max_tokens: Annotated[int | None, COUNT] = None
    """Tokens that the restored messages may have together; only whole runs are restored."""

    def __post_init__(self) -> None:
        """Refuse conditions that cannot be meant."""
        check_fields(_CHECKS, self, never_none=("limit",))
        check_span(self.since, self.until)

    @classmethod
    def parse(cls, session: "Session") -> "SessionQuery":
        """Return the query that a ``session=`` argument means.

        ===============  ==================================================================
        None             history is on and starts with a new conversation
        True             continues the node's latest stored conversation
        False            no history
        int              as True, with at most that many tokens
        str              continues the conversation of that name, new when unknown
        SessionQuery     itself
        a mapping        the same in the words of a manifest: enabled, restore, conversation,
                         since, until (both seconds since 1970 UTC), limit, max_tokens
        ===============  ==================================================================

        Raises:
            ValueError: An empty name, a negative number, or an unknown key of a mapping.
            TypeError: Any other type.
        """
        value = cast("object", session)
        match value:
            case SessionQuery():
                return value
            case None | bool():
                return cls(is_enabled=value is not False, is_restored=bool(value))
            case int():
                return cls(is_restored=True, max_tokens=value)
            case str():
                return cls(is_restored=True, conversation=value)
            case Mapping():
                return cls._from_mapping(cast("Mapping[str, Any]", value))
            case _:
                raise TypeError(
                    "session must be None, a bool, tokens, a conversation name, a SessionQuery or a mapping, "
                    f"not {value!r}"
                )

    @classmethod
    def _from_mapping(cls, value: Mapping[str, Any]) -> "SessionQuery":
        given = {_FIELDS.get(key, key): one for key, one in value.items()}
        unknown = [key for key in value if _FIELDS.get(key, key) not in cls.__struct_fields__]
        if unknown:
            words = (_WORDS.get(field, field) for field in cls.__struct_fields__)
            raise ValueError(f"session has no key {unknown[0]!r}; there are {', '.join(words)}")
        given.setdefault("is_restored", given.get("is_enabled", True))
        return cls(**given)


_CHECKS = declared_checks(SessionQuery)
_FIELDS = {"enabled": "is_enabled", "restore": "is_restored"}
"""Words of a manifest that are called otherwise here."""
_WORDS = {field: word for word, field in _FIELDS.items()}

Session = None | bool | int | str | SessionQuery | Mapping[str, Any]
"""What ``session=`` takes; `SessionQuery.parse` says what each means."""
