"""Small conditions written as text, as in `message.tokens > 500 and 'urgent' in lower(message.content)`.

The text is parsed once into Python's syntax tree. Each part of the tree that is on a short list becomes a function of
the values, every other part is refused: nothing is compiled or executed. There are no loops, no attribute access beyond
the documented names and no call of anything but a few functions, and every value that can grow has a bound.
"""

import ast
import operator
import warnings
from collections.abc import Callable, Mapping, Sequence, Sized
from dataclasses import dataclass, field
from functools import partial
from typing import Annotated, Any, NoReturn, cast

from pydantic import AfterValidator

from protocols.errors import nearest

CONTEXT: Mapping[str, frozenset[str]] = {
    "message": frozenset(
        {"content", "name", "role", "cost", "tokens", "input_tokens", "output_tokens", "forwarded_from", "metadata"}
    ),
    "stats": frozenset({"message_count", "token_count", "total_cost", "byte_count", "error_count", "age"}),
    "source": frozenset({"name"}),
    "target": frozenset({"name"}),
}
"""What an expression may name. `message` is the current message (`content` as text, `cost` in US dollars), `stats` are
the numbers of the connection before this message (`age` in seconds), `source` and `target` are its ends."""

_MAX_LENGTH = 1_000
_MAX_PARTS = 200
_MAX_DEPTH = 20
_MAX_TEXT = 200
_MAX_NUMBER = 1e15
_MAX_JOINED = 10_000_000
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

_BINARY: Mapping[type[ast.operator], Callable[[Any, Any], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: lambda left, right: left / right,
    ast.FloorDiv: lambda left, right: left // right,
    ast.Mod: operator.mod,
}
_UNARY: Mapping[type[ast.unaryop], Callable[[object], object]] = {
    ast.Not: operator.not_,
    ast.USub: lambda value: -_number(value),
    ast.UAdd: _number,
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


@dataclass(slots=True)
class _Values:
    """What one evaluation reads, and how much of it."""

    context: Mapping[str, Mapping[str, object]]
    work: int = 0

    def spend(self, *values: object) -> None:
        self.work += sum(len(value) for value in values if isinstance(value, Sized))
        if self.work > _MAX_WORK:
            refuse("the texts that it looks at are too long")


_Part = Callable[[_Values], object]
"""A checked part of an expression: returns its value."""


@dataclass(frozen=True, slots=True)
class Expression:
    """A checked condition; made from text once, evaluated for each message.

    Example:
        >>> Expression("message.tokens > 100").evaluate({"message": {"tokens": 120}})
        True
    """

    text: str
    """The expression as written."""
    _value: _Part = field(init=False, repr=False, compare=False, hash=False)

    def __post_init__(self) -> None:
        """Parse and check the text.

        Raises:
            ExpressionError: The text is not an expression, or uses something outside the allow-list.
        """
        object.__setattr__(self, "_value", _Reader().part(_parse(self.text), 1))

    def evaluate(self, context: Mapping[str, Mapping[str, object]]) -> bool:
        """Tell whether the condition holds.

        Args:
            context: Values for the names of `CONTEXT`; a name or attribute that is missing is None.

        Raises:
            ExpressionError: The values do not fit the operators, or a number or text grows too large.
        """
        try:
            return bool(self._value(_Values(context)))
        except Exception as error:  # values of metadata may be of any type, with operators of their own
            raise ExpressionError(f"{self.text!r} cannot be evaluated: {error}") from None


def _parse(text: str) -> ast.expr:
    if len(text) > _MAX_LENGTH:
        refuse(f"the expression has {len(text)} characters; the limit is {_MAX_LENGTH}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # an odd escape in a text is not worth a warning of the parser
            return ast.parse(text.strip(), mode="eval").body
    except SyntaxError as error:
        raise ExpressionError(f"{text!r} is not an expression: {error.msg}") from None
    except (ValueError, RecursionError, MemoryError, OverflowError):
        raise ExpressionError(f"{text!r} is not an expression: too deep, or a character that is not allowed") from None


class _Reader:
    """Makes functions of the parts of one syntax tree, and refuses what is not on the list."""

    def __init__(self) -> None:
        self._seen = 0

    def part(self, node: ast.expr, depth: int) -> _Part:  # noqa: C901, PLR0911, PLR0912 - one case for each kind
        """Return one part, with all parts in it."""
        self._seen += 1
        if self._seen > _MAX_PARTS or depth > _MAX_DEPTH:
            refuse(f"the expression is too large; at most {_MAX_PARTS} parts and {_MAX_DEPTH} levels")

        def parts(*nodes: ast.expr) -> list[_Part]:
            return [self.part(one, depth + 1) for one in nodes]

        match node:
            case ast.Constant(value=value):
                _check_constant(value)
                return lambda _: value
            case ast.Attribute(value=holder, attr=attr):
                name = _context_name(holder, attr)
                return lambda values: values.context.get(name, {}).get(attr)
            case ast.Name(id=name):
                _refuse_bare_name(name)
            case ast.BoolOp(op=op, values=items):
                return partial(_bool, isinstance(op, ast.Or), parts(*items))
            case ast.Compare(left=left, ops=ops, comparators=others):
                return partial(_compare, [_COMPARE[type(op)] for op in ops], parts(left, *others))
            case ast.UnaryOp(op=op, operand=operand):
                sign, (inner,) = _known(_UNARY, op), parts(operand)
                return lambda values: sign(inner(values))
            case ast.BinOp(left=left, op=op, right=right):
                return partial(_binary, _known(_BINARY, op), parts(left, right))
            case ast.Call(func=called, args=arguments, keywords=keywords):
                call = _function(called, len(arguments), has_keywords=bool(keywords))
                return partial(_call, call, parts(*arguments))
            case ast.Subscript(value=holder, slice=ast.Constant(value=str() | int() as key)):
                _check_constant(key)
                return partial(_item, parts(holder), key)
            case ast.Subscript():
                refuse("only a fixed key or position is allowed in brackets, as in message.metadata['key']")
            case ast.Tuple(elts=items) | ast.List(elts=items):
                entries = parts(*items)
                return lambda values: tuple(entry(values) for entry in entries)
            case _:
                pass
        return refuse(f"{type(node).__name__.lower()} is not allowed in an expression")


def _known(table: Mapping[type[Any], Any], sign: ast.AST) -> Any:
    return table.get(type(sign)) or refuse(f"{type(sign).__name__.lower()} is not allowed in an expression")


def _check_constant(value: object) -> None:
    if isinstance(value, str) and len(value) > _MAX_TEXT:
        refuse(f"a text in an expression has at most {_MAX_TEXT} characters")
    if value is not None and not isinstance(value, bool | int | float | str):
        refuse(f"{value!r} is not allowed in an expression")


def _context_name(holder: ast.expr, attr: str) -> str:
    if not isinstance(holder, ast.Name):
        refuse(f"'.{attr}' is only allowed after one of {', '.join(CONTEXT)}")
    name = holder.id
    if name not in CONTEXT:
        refuse(f"unknown name {name!r} in an expression{nearest(name, CONTEXT)}")
    if attr not in CONTEXT[name]:
        refuse(f"{name!r} has no {attr!r}{nearest(attr, CONTEXT[name])}")
    return name


def _refuse_bare_name(name: str) -> NoReturn:
    if name in CONTEXT:
        known = ", ".join(f"{name}.{item}" for item in sorted(CONTEXT[name]))
        refuse(f"{name!r} alone has no value; name one of {known}")
    refuse(f"unknown name {name!r} in an expression{nearest(name, (*CONTEXT, *FUNCTIONS))}")


def _function(function: ast.expr, count: int, *, has_keywords: bool) -> Callable[[Sequence[object]], object]:
    name = function.id if isinstance(function, ast.Name) else ""
    if name not in FUNCTIONS:
        called = repr(name) if name else "this"
        refuse(f"calling {called} is not allowed in an expression; known functions are {', '.join(FUNCTIONS)}")
    least, most, call = FUNCTIONS[name]
    if has_keywords or not least <= count <= most:
        refuse(f"{name}() takes {least if least == most else f'{least} to {most}'} plain arguments")
    return call


def _bool(wanted: bool, parts: Sequence[_Part], values: _Values) -> object:
    result: object = None
    for part in parts:
        result = part(values)
        if bool(result) is wanted:
            break
    return result


def _compare(signs: Sequence[Callable[[Any, Any], bool]], parts: Sequence[_Part], values: _Values) -> bool:
    left = parts[0](values)
    for holds, part in zip(signs, parts[1:], strict=True):
        right = part(values)
        values.spend(left, right)
        if not holds(left, right):
            return False
        left = right
    return True


def _binary(sign: Callable[[Any, Any], float], parts: Sequence[_Part], values: _Values) -> object:
    left, right = (part(values) for part in parts)
    if isinstance(left, str) and isinstance(right, str) and sign is operator.add:
        values.spend(left, right)
        return left + right if len(left) + len(right) <= _MAX_JOINED else refuse("the text grows too long")
    result = sign(_bounded(left), _bounded(right))
    return result if abs(result) <= _MAX_NUMBER else refuse("the number grows too large")


def _call(call: Callable[[Sequence[object]], object], parts: Sequence[_Part], values: _Values) -> object:
    given = [part(values) for part in parts]
    values.spend(*given)
    return call(given)


def _item(parts: Sequence[_Part], key: object, values: _Values) -> object:
    holder = parts[0](values)
    if isinstance(holder, Mapping):
        return cast("Mapping[object, object]", holder).get(key)
    if isinstance(holder, Sequence) and isinstance(key, int):
        items = cast("Sequence[object]", holder)
        return items[key] if -len(items) <= key < len(items) else None
    refuse("only a map, a list or a text takes brackets")


ExpressionText = Annotated[str, AfterValidator(lambda value: Expression(value).text)]
"""The text of a sound expression."""
