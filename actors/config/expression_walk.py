"""Evaluating a checked expression, with a bound on every value that can grow."""

import ast
import math
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast

_MAX_NUMBER = 1e15
_MAX_TEXT = 10_000_000


class ExpressionError(ValueError):
    """Raised when an expression is not allowed, or cannot be evaluated with the values it meets."""


@dataclass(frozen=True, slots=True)
class Function:
    """A function that expressions may call."""

    arguments: tuple[int, int]
    """Fewest and most arguments."""
    call: Callable[..., object]
    """What it does; each takes time in proportion to its arguments at most."""


def _text(value: object) -> str:
    if not isinstance(value, str):
        message = f"expected text, found {type(value).__name__}"
        raise TypeError(message)
    return value


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        message = f"expected a number, found {type(value).__name__}"
        raise TypeError(message)
    return value


def _smallest(*values: object) -> float:
    return min(_number(value) for value in values)


def _largest(*values: object) -> float:
    return max(_number(value) for value in values)


FUNCTIONS: Mapping[str, Function] = {
    "len": Function((1, 1), lambda value: len(value)),
    "lower": Function((1, 1), lambda value: _text(value).lower()),
    "upper": Function((1, 1), lambda value: _text(value).upper()),
    "strip": Function((1, 1), lambda value: _text(value).strip()),
    "startswith": Function((2, 2), lambda value, start: _text(value).startswith(_text(start))),
    "endswith": Function((2, 2), lambda value, end: _text(value).endswith(_text(end))),
    "words": Function((1, 1), lambda value: len(_text(value).split())),
    "abs": Function((1, 1), lambda value: abs(_number(value))),
    "min": Function((2, 10), _smallest),
    "max": Function((2, 10), _largest),
}
"""The functions of expressions; `words` counts words."""

_BINARY: Mapping[type[ast.operator], Callable[[Any, Any], object]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
}
_COMPARE: Mapping[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Is: operator.is_,
    ast.IsNot: operator.is_not,
    ast.In: lambda left, right: left in right,
    ast.NotIn: lambda left, right: left not in right,
}


class Walk:
    """One evaluation; the tree has been checked, so its depth and kinds of nodes are bounded."""

    def __init__(self, text: str, context: Mapping[str, Mapping[str, object]]) -> None:
        self._text = text
        self._context = context

    def value(self, node: ast.expr) -> object:
        """Return the value of an expression.

        Raises:
            ExpressionError: The values do not fit the operators, or one grows too large.
        """
        try:
            return self._value(node)
        except (TypeError, ValueError, ArithmeticError, LookupError) as error:
            message = f"{self._text!r} cannot be evaluated: {error}"
            raise ExpressionError(message) from None

    def _value(self, node: ast.expr) -> object:
        match node:
            case ast.Constant():
                return node.value
            case ast.Attribute():
                return self._context.get(cast("ast.Name", node.value).id, {}).get(node.attr)
            case ast.BoolOp():
                return self._bool(node)
            case ast.Compare():
                return self._compare(node)
            case ast.UnaryOp():
                return self._unary(node)
            case ast.BinOp():
                return self._binary(node)
            case ast.Call():
                function = FUNCTIONS[cast("ast.Name", node.func).id]
                return function.call(*[self._value(argument) for argument in node.args])
            case ast.Subscript():
                return self._item(node)
            case ast.Tuple() | ast.List():
                return tuple(self._value(item) for item in node.elts)
            case _:
                message = f"{type(node).__name__} is not allowed"
                raise ValueError(message)

    def _bool(self, node: ast.BoolOp) -> object:
        wanted = isinstance(node.op, ast.Or)
        result: object = None
        for item in node.values:
            result = self._value(item)
            if bool(result) is wanted:
                break
        return result

    def _compare(self, node: ast.Compare) -> bool:
        left = self._value(node.left)
        for sign, part in zip(node.ops, node.comparators, strict=True):
            right = self._value(part)
            if not _COMPARE[type(sign)](left, right):
                return False
            left = right
        return True

    def _unary(self, node: ast.UnaryOp) -> object:
        value = self._value(node.operand)
        if isinstance(node.op, ast.Not):
            return not value
        return -_number(value) if isinstance(node.op, ast.USub) else _number(value)

    def _binary(self, node: ast.BinOp) -> object:
        left, right = self._value(node.left), self._value(node.right)
        if isinstance(left, str) and isinstance(right, str) and isinstance(node.op, ast.Add):
            if len(left) + len(right) > _MAX_TEXT:
                message = "the text grows too long"
                raise ValueError(message)
            return left + right
        result = cast("float", _BINARY[type(node.op)](_number(left), _number(right)))
        if not math.isfinite(result) or abs(result) > _MAX_NUMBER:
            message = "the number grows too large"
            raise ValueError(message)
        return result

    def _item(self, node: ast.Subscript) -> object:
        holder = self._value(node.value)
        key = cast("ast.Constant", node.slice).value
        if isinstance(holder, Mapping):
            return cast("Mapping[object, object]", holder).get(key)
        if isinstance(holder, list | tuple | str) and isinstance(key, int):
            return cast("list[object]", holder)[key] if -len(holder) <= key < len(holder) else None
        message = "only a map, a list or a text takes brackets"
        raise TypeError(message)
