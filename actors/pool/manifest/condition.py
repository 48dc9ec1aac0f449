"""Make the conditions of connections from those of a manifest."""

import inspect
from collections.abc import Awaitable, Mapping
from datetime import UTC, datetime
from functools import singledispatch
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

    def failure(error: Exception) -> ConditionError:
        return ConditionError(f"condition {name!r}: {type(error).__name__}: {error}")

    async def later(result: Awaitable[object]) -> object:
        try:
            return await result
        except Exception as error:
            raise failure(error) from error

    def ask(context: TalkContext) -> object:
        try:
            result = condition(context)
        except Exception as error:
            raise failure(error) from error
        return later(result) if inspect.isawaitable(result) else result

    return ask


@singledispatch
def _make(spec: object, _scope: ImportScope, node: str) -> Condition:
    message = f"node {node!r}: unknown condition {spec!r}"
    raise TypeError(message)


@_make.register
def _(spec: WordMatch, _scope: ImportScope, _node: str) -> Condition:
    words = spec.words if spec.case_sensitive else tuple(word.lower() for word in spec.words)
    enough = any if spec.mode == "any" else all

    def matches(context: TalkContext) -> bool:
        text = context.message.text if spec.case_sensitive else context.message.text.lower()
        return enough(word in text for word in words)

    return matches


@_make.register
def _(spec: MessageCount, _scope: ImportScope, _node: str) -> Condition:
    def has_passed(context: TalkContext) -> bool:
        if spec.count_mode == "total":
            return context.stats.message_count >= spec.max_messages
        sender = context.message.name
        return sum(message.name == sender for message in context.stats.messages) >= spec.max_messages

    return has_passed


@_make.register
def _(spec: Elapsed, _scope: ImportScope, _node: str) -> Condition:
    return lambda context: _age(context) >= spec.duration


@_make.register
def _(spec: TokenThreshold, _scope: ImportScope, _node: str) -> Condition:
    def is_reached(context: TalkContext) -> bool:
        usage = context.message.usage
        if spec.count_type == "prompt":
            return usage.input_tokens >= spec.max_tokens
        if spec.count_type == "completion":
            return usage.output_tokens >= spec.max_tokens
        return context.stats.token_count + usage.total_tokens >= spec.max_tokens

    return is_reached


@_make.register
def _(spec: CostLimit, _scope: ImportScope, _node: str) -> Condition:
    def is_reached(context: TalkContext) -> bool:
        cost = context.message.cost_info
        own = 0.0 if cost is None else float(cost.total_cost)
        return float(context.stats.cost) + own >= spec.max_cost

    return is_reached


@_make.register
def _(spec: CallableCondition, scope: ImportScope, node: str) -> Condition:
    function = scope.function(spec.predicate, node)
    return lambda context: function(context.message, context.stats)


@_make.register
def _(spec: ExpressionCondition, _scope: ImportScope, _node: str) -> Condition:
    expression = Expression(spec.expression)
    return lambda context: expression.evaluate(_values(context))


@_make.register
def _(spec: AndCondition, scope: ImportScope, node: str) -> Condition:
    parts = [_part(one, scope, node) for one in spec.conditions]

    async def all_hold(context: TalkContext) -> bool:
        for part in parts:
            if not await _truth(part, context):
                return False
        return True

    return all_hold


@_make.register
def _(spec: OrCondition, scope: ImportScope, node: str) -> Condition:
    parts = [_part(one, scope, node) for one in spec.conditions]

    async def one_holds(context: TalkContext) -> bool:
        for part in parts:
            if await _truth(part, context):
                return True
        return False

    return one_holds


@_make.register
def _(spec: NotCondition, scope: ImportScope, node: str) -> Condition:
    part = _part(spec.condition, scope, node)

    async def does_not_hold(context: TalkContext) -> bool:
        return not await _truth(part, context)

    return does_not_hold


async def _truth(condition: Condition, context: TalkContext) -> bool:
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
