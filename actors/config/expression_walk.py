"""Evaluating a checked expression, with a bound on every value that can grow."""

import ast
import operator
from collections.abc import Callable, Mapping, Sequence, Sized
from typing import Any, NoReturn, cast

_MAX_NUMBER = 1e15
_MAX_TEXT = 10_000_000
_MAX_WORK = 50_000_000
"""Characters and entries that one evaluation may look at: what keeps a long message from blocking the loop."""


class ExpressionError(ValueError):
    """Raised when an expression is not allowed, or cannot be evaluated with the values it meets."""


def refuse(text: str) -> NoReturn:
    """Refuse an expression, or a value that it meets."""
    raise ExpressionError(text)


def _text(value: object) -> str:
    return value if isinstance(value, str) else refuse(f"expected text, found {type(value).__name__}")


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        refuse(f"expected a number, found {type(value).__name__}")
    return value


def _bounded(value: object) -> float:
    number = _number(value)
    return number if abs(number) <= _MAX_NUMBER else refuse("the number is too large")


def _length(value: object) -> int:
    return len(value) if isinstance(value, Sized) else refuse(f"{type(value).__name__} has no length")


FUNCTIONS: Mapping[str, tuple[int, int, Callable[[Sequence[object]], object]]] = {
    "len": (1, 1, lambda given: _length(given[0])),
    "lower": (1, 1, lambda given: _text(given[0]).lower()),
    "upper": (1, 1, lambda given: _text(given[0]).upper()),
    "strip": (1, 1, lambda given: _text(given[0]).strip()),
    "startswith": (2, 2, lambda given: _text(given[0]).startswith(_text(given[1]))),
    "endswith": (2, 2, lambda given: _text(given[0]).endswith(_text(given[1]))),
    "words": (1, 1, lambda given: len(_text(given[0]).split())),
    "abs": (1, 1, lambda given: abs(_number(given[0]))),
    "min": (2, 10, lambda given: min(map(_number, given))),
    "max": (2, 10, lambda given: max(map(_number, given))),
}
"""The functions of expressions: fewest and most arguments, and what it does, in time proportional to them at most."""

_BINARY: Mapping[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: lambda left, right: left + right,
    ast.Sub: lambda left, right: left - right,
    ast.Mult: lambda left, right: left * right,
    ast.Div: lambda left, right: left / right,
    ast.FloorDiv: lambda left, right: left // right,
    ast.Mod: lambda left, right: left % right,
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
        self._work = 0

    def truth(self, node: ast.expr) -> bool:
        """Tell whether an expression holds.

        Raises:
            ExpressionError: The values do not fit the operators, or one grows too large.
        """
        try:
            return bool(self._value(node))
        except Exception as error:  # values of metadata may be of any type, with operators of their own
            raise ExpressionError(f"{self._text!r} cannot be evaluated: {error}") from None

    def _value(self, node: ast.expr) -> object:  # noqa: C901, PLR0911 - one case for each kind
        match node:
            case ast.Constant(value=value):
                return value
            case ast.Attribute(value=ast.Name(id=name), attr=attr):
                return self._context.get(name, {}).get(attr)
            case ast.BoolOp():
                return self._bool(node)
            case ast.Compare():
                return self._compare(node)
            case ast.UnaryOp():
                return self._unary(node)
            case ast.BinOp():
                return self._binary(node)
            case ast.Call(func=ast.Name(id=name), args=arguments):
                given = [self._value(argument) for argument in arguments]
                self._spend(*given)
                _, _, call = FUNCTIONS[name]
                return call(given)
            case ast.Subscript(value=holder, slice=ast.Constant(value=key)):
                return _item(self._value(holder), key)
            case ast.Tuple(elts=items) | ast.List(elts=items):
                return tuple(self._value(item) for item in items)
            case _:
                refuse(f"{type(node).__name__.lower()} is not allowed")

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
            self._spend(left, right)
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
            self._spend(left, right)
            return left + right if len(left) + len(right) <= _MAX_TEXT else refuse("the text grows too long")
        result = _BINARY[type(node.op)](_bounded(left), _bounded(right))
        return result if abs(result) <= _MAX_NUMBER else refuse("the number grows too large")

    def _spend(self, *values: object) -> None:
        self._work += sum(len(value) for value in values if isinstance(value, Sized))
        if self._work > _MAX_WORK:
            refuse("the texts that it looks at are too long")


def _item(holder: object, key: object) -> object:
    if isinstance(holder, Mapping):
        return cast("Mapping[object, object]", holder).get(key)
    if isinstance(holder, Sequence) and isinstance(key, int):
        items = cast("Sequence[object]", holder)
        return items[key] if -len(items) <= key < len(items) else None
    refuse("only a map, a list or a text takes brackets")
