"""Conditions of connections: when a message passes, when a connection ends, when the system ends."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from actors.config.duration import PositiveSeconds
from actors.config.expression import ExpressionText
from actors.config.import_path import ImportText
from actors.config.section import Section
from actors.config.value import Amount, Count, Flag, FullTexts, Name, Positive, Text


class _Named(Section):
    type: Any  # a `Literal` in each subclass
    """Kind of condition."""
    name: Name | None = None
    """What it is called when it fails."""


class WordMatch(_Named):
    """True when the message's text contains the words."""

    type: Literal["word_match", "content"]
    words: FullTexts = Field(min_length=1)
    """Words or phrases to look for."""
    case_sensitive: Flag = False
    """Whether upper and lower case differ."""
    mode: Literal["any", "all"] = "any"
    """Whether one word is enough."""


class MessageCount(_Named):
    """True when the connection has passed on so many messages before this one."""

    type: Literal["message_count"]
    max_messages: Count
    """The number."""
    count_mode: Literal["total", "per_agent"] = "total"
    """Count all messages, or only those of the sender of this one."""


class Elapsed(_Named):
    """True when the connection is older than a span of time."""

    type: Literal["time"]
    duration: PositiveSeconds
    """The age, in seconds."""


class TokenThreshold(_Named):
    """True when the tokens reach a number: with `total` those of the connection, else those of this message."""

    type: Literal["token_threshold"]
    max_tokens: Positive
    """The number of tokens."""
    count_type: Literal["total", "prompt", "completion"] = "total"
    """Which tokens."""


class CostLimit(_Named):
    """True when the messages of the connection, this one included, have cost so much."""

    type: Literal["cost_limit", "cost"]
    max_cost: Amount
    """The sum, in US dollars."""


class CallableCondition(_Named):
    """True when a function says so; it is called with the message and the connection's numbers."""

    type: Literal["callable"]
    predicate: ImportText
    """Import string of the function."""


class ExpressionCondition(_Named):
    """True when an expression holds, as in `message.tokens > 500 and 'urgent' in message.content`."""

    type: Literal["expression"]
    expression: ExpressionText
    """The expression."""


class AndCondition(_Named):
    """True when all of the conditions are."""

    type: Literal["and"]
    conditions: "tuple[Condition, ...]" = Field(min_length=1)
    """The conditions."""


class OrCondition(_Named):
    """True when one of the conditions is."""

    type: Literal["or"]
    conditions: "tuple[Condition, ...]" = Field(min_length=1)
    """The conditions."""


class NotCondition(_Named):
    """True when the condition is not."""

    type: Literal["not"]
    condition: "Condition"
    """The condition."""


AnyCondition = (
    WordMatch | MessageCount | Elapsed | TokenThreshold | CostLimit | CallableCondition | ExpressionCondition
    | AndCondition | OrCondition | NotCondition
)  # fmt: skip
"""One of the conditions."""
Condition = Annotated[
    Annotated[AnyCondition, Field(discriminator="type")],
    BeforeValidator(
        lambda value: {"type": "expression", "expression": value} if isinstance(value, str) else value,
        json_schema_input_type=Text | AnyCondition,
    ),
]
"""A condition; a plain text is an expression."""
