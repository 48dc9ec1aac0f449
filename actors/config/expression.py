"""Small conditions written as text, as in `message.tokens > 500 and 'urgent' in lower(message.content)`.

The text is parsed once into Python's syntax tree, every node is checked against an allow-list, and the tree is walked
by hand: nothing is compiled or executed. There are no loops, no attribute access beyond the documented names and no
call of anything but a few functions, so the time is bounded by the length of the text that is looked at.
"""

import ast
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, NoReturn

from pydantic import AfterValidator

from actors.config.expression_walk import FUNCTIONS, ExpressionError, Walk, refuse
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
_MAX_NODES = 200
_MAX_DEPTH = 20
_MAX_TEXT = 200
_OPERATORS = (ast.And, ast.Or, ast.Not, ast.USub, ast.UAdd, ast.Add, ast.Sub, ast.Mult, ast.Div, ast.FloorDiv, ast.Mod)
_COMPARISONS = (ast.Eq, ast.NotEq, ast.Lt, ast.LtE, ast.Gt, ast.GtE, ast.In, ast.NotIn, ast.Is, ast.IsNot)
_PARTS = (ast.BoolOp, ast.UnaryOp, ast.BinOp, ast.Compare, ast.Tuple, ast.List, ast.Load, *_OPERATORS, *_COMPARISONS)


@dataclass(frozen=True, slots=True)
class Expression:
    """A checked condition; made from text once, evaluated for each message.

    Example:
        >>> Expression("message.tokens > 100").evaluate({"message": {"tokens": 120}})
        True
    """

    text: str
    """The expression as written."""
    _tree: ast.expr = field(init=False, repr=False, compare=False, hash=False)

    def __post_init__(self) -> None:
        """Parse and check the text.

        Raises:
            ExpressionError: The text is not an expression, or uses something outside the allow-list.
        """
        tree = _parse(self.text)
        _check(tree)
        object.__setattr__(self, "_tree", tree)

    def evaluate(self, context: Mapping[str, Mapping[str, object]]) -> bool:
        """Tell whether the condition holds.

        Args:
            context: Values for the names of `CONTEXT`; a name or attribute that is missing is None.

        Raises:
            ExpressionError: The values do not fit the operators, or a number or text grows too large.
        """
        return Walk(self.text, context).truth(self._tree)


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


def _check(tree: ast.expr) -> None:
    pending: list[tuple[ast.AST, int]] = [(tree, 1)]
    seen = 0
    while pending:
        node, depth = pending.pop()
        seen += 1
        if seen > _MAX_NODES or depth > _MAX_DEPTH:
            refuse(f"the expression is too large; at most {_MAX_NODES} parts and {_MAX_DEPTH} levels")
        pending += [(child, depth + 1) for child in _children(node)]


def _children(node: ast.AST) -> list[ast.AST]:
    """Return the parts of a node that still have to be checked; refuse a node that is not on the list."""
    if isinstance(node, ast.Constant):
        _check_constant(node.value)
        return []
    if isinstance(node, ast.Attribute):
        _check_attribute(node)
        return []
    if isinstance(node, ast.Subscript):
        return _subscript_children(node)
    if isinstance(node, ast.Call):
        return _call_children(node)
    if isinstance(node, ast.Name):
        _check_bare_name(node.id)
    if not isinstance(node, _PARTS):
        refuse(f"{type(node).__name__.lower()} is not allowed in an expression")
    return list(ast.iter_child_nodes(node))


def _check_constant(value: object) -> None:
    if isinstance(value, str) and len(value) > _MAX_TEXT:
        refuse(f"a text in an expression has at most {_MAX_TEXT} characters")
    if value is not None and not isinstance(value, bool | int | float | str):
        refuse(f"{value!r} is not allowed in an expression")


def _check_attribute(node: ast.Attribute) -> None:
    if not isinstance(node.value, ast.Name):
        refuse(f"'.{node.attr}' is only allowed after one of {', '.join(CONTEXT)}")
    name = node.value.id
    if name not in CONTEXT:
        refuse(f"unknown name {name!r} in an expression{nearest(name, CONTEXT)}")
    if node.attr not in CONTEXT[name]:
        refuse(f"{name!r} has no {node.attr!r}{nearest(node.attr, CONTEXT[name])}")


def _check_bare_name(name: str) -> NoReturn:
    if name in CONTEXT:
        known = ", ".join(f"{name}.{item}" for item in sorted(CONTEXT[name]))
        refuse(f"{name!r} alone has no value; name one of {known}")
    refuse(f"unknown name {name!r} in an expression{nearest(name, (*CONTEXT, *FUNCTIONS))}")


def _subscript_children(node: ast.Subscript) -> list[ast.AST]:
    if not isinstance(node.slice, ast.Constant) or not isinstance(node.slice.value, str | int):
        refuse("only a fixed key or position is allowed in brackets, as in message.metadata['key']")
    return [node.value, node.slice]


def _call_children(node: ast.Call) -> list[ast.AST]:
    name = node.func.id if isinstance(node.func, ast.Name) else ""
    if name not in FUNCTIONS:
        called = repr(name) if name else "this"
        refuse(f"calling {called} is not allowed in an expression; known functions are {', '.join(FUNCTIONS)}")
    least, most, _ = FUNCTIONS[name]
    if node.keywords or not least <= len(node.args) <= most:
        refuse(f"{name}() takes {least if least == most else f'{least} to {most}'} plain arguments")
    return list(node.args)


ExpressionText = Annotated[str, AfterValidator(lambda value: Expression(value).text)]
"""The text of a sound expression."""
