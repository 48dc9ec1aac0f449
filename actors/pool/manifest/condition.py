"""Make the conditions of connections from those of a manifest."""

import inspect
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any

from actors.agents.manifest.imports import ImportScope
from actors.config.condition import (
    AndCondition,
    AnyCondition,
    CallableCondition,
    CostLimit,
    Elapsed,
    ExpressionCondition,
    MessageCount,
    NotCondition,
    OrCondition,
    TokenThreshold,
    WordMatch,
)
from actors.config.expression import Expression
from actors.runtime.log import error_line
from actors.talk.context import Condition, TalkContext
from protocols.errors import ConditionError


def condition_of(spec: AnyCondition | None, scope: ImportScope, node: str) -> Condition | None:
    """Return a condition as a function; None for None.

    Raises:
        ConfigError: an import string leads nowhere.
    """
    return None if spec is None else _part(spec, scope, node)


def _part(spec: AnyCondition, scope: ImportScope, node: str) -> Condition:
    condition = _make(spec, scope, node)
    return condition if spec.name is None else _named(spec.name, condition)


def _named(name: str, condition: Condition) -> Condition:
    """Return a condition with its name in its errors."""

    async def ask(context: TalkContext) -> bool:
        try:
            return await truth(condition, context)
        except Exception as error:
            raise ConditionError(f"condition {name!r}: {error_line(error)}") from error

    return ask


def _make(spec: AnyCondition, scope: ImportScope, node: str) -> Condition:  # noqa: C901, PLR0911 - one case for each kind
    match spec:
        case WordMatch():
            words = spec.words if spec.case_sensitive else tuple(word.lower() for word in spec.words)
            return partial(_has_words, spec, words)
        case MessageCount():
            return partial(_has_passed, spec)
        case Elapsed():
            return lambda context: _age(context) >= spec.duration
        case TokenThreshold():
            return partial(_has_tokens, spec)
        case CostLimit():
            return partial(_has_cost, spec)
        case CallableCondition():
            function = scope.function(spec.predicate, node)
            return lambda context: function(context.message, context.stats)
        case ExpressionCondition():
            expression = Expression(spec.expression)
            return lambda context: expression.evaluate(_values(context))
        case AndCondition() | OrCondition():
            parts = [_part(one, scope, node) for one in spec.conditions]
            return partial(_decided, parts, isinstance(spec, OrCondition))
        case NotCondition():
            return partial(_does_not_hold, _part(spec.condition, scope, node))


def _has_words(spec: WordMatch, words: Sequence[str], context: TalkContext) -> bool:
    text = context.message.text if spec.case_sensitive else context.message.text.lower()
    enough = any if spec.mode == "any" else all
    return enough(word in text for word in words)


def _has_passed(spec: MessageCount, context: TalkContext) -> bool:
    if spec.count_mode == "total":
        return context.stats.message_count >= spec.max_messages
    sender = context.message.name
    return sum(message.name == sender for message in context.stats.messages) >= spec.max_messages


def _has_tokens(spec: TokenThreshold, context: TalkContext) -> bool:
    usage = context.message.usage
    if spec.count_type == "prompt":
        return usage.input_tokens >= spec.max_tokens
    if spec.count_type == "completion":
        return usage.output_tokens >= spec.max_tokens
    return context.stats.token_count + usage.total_tokens >= spec.max_tokens


def _has_cost(spec: CostLimit, context: TalkContext) -> bool:
    cost = context.message.cost_info
    own = 0.0 if cost is None else float(cost.total_cost)
    return float(context.stats.cost) + own >= spec.max_cost


async def _decided(parts: Sequence[Condition], verdict: bool, context: TalkContext) -> bool:
    """Return the verdict of the first condition that has it: True for *or*, False for *and*."""
    for part in parts:
        if await truth(part, context) is verdict:
            return verdict
    return not verdict


async def _does_not_hold(part: Condition, context: TalkContext) -> bool:
    return not await truth(part, context)


async def truth(condition: Condition, context: TalkContext) -> bool:
    """Return whether a condition, plain or asynchronous, holds."""
    result: Any = condition(context)
    return bool(await result if inspect.isawaitable(result) else result)


def _age(context: TalkContext) -> float:
    return (datetime.now(UTC) - context.stats.start_time).total_seconds()


def _values(context: TalkContext) -> Mapping[str, Mapping[str, object]]:
    message, stats = context.message, context.stats
    return {
        "message": {
            "content": message.text,
            "name": message.name,
            "role": message.role,
            "cost": float(message.cost_info.total_cost) if message.cost_info is not None else 0.0,
            "tokens": message.usage.total_tokens,
            "input_tokens": message.usage.input_tokens,
            "output_tokens": message.usage.output_tokens,
            "forwarded_from": list(message.forwarded_from),
            "metadata": dict(message.metadata),
        },
        "stats": {
            "message_count": stats.message_count,
            "token_count": stats.token_count,
            "total_cost": float(stats.cost),
            "byte_count": stats.byte_count,
            "error_count": stats.error_count,
            "age": _age(context),
        },
        "source": {"name": context.source.name},
        "target": {"name": context.target.name},
    }
