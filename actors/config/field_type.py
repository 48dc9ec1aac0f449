"""Types of fields in a response, written as text: `str`, `list[int]`, `dict[str, Person]`, `date | None`."""

import ast
from collections.abc import Mapping
from datetime import date, datetime
from types import GenericAlias
from typing import Annotated, Any, Union

from pydantic import AfterValidator, ValidationInfo

from actors.config.read_context import reading_of
from protocols.errors import nearest

_NAMES: Mapping[str, object] = {
    "str": str, "int": int, "float": float, "bool": bool, "date": date, "datetime": datetime, "any": Any,
    "list": list[Any], "dict": dict[str, Any], "None": None,
}  # fmt: skip
_LENGTH = 300
_DEPTH = 8


class FieldTypeError(ValueError):
    """Raised when the text of a field's type is malformed or names an unknown type."""


def parse_field_type(text: str, models: Mapping[str, object]) -> Any:
    """Return the Python type that a text describes.

    Args:
        text: The type as written.
        models: Types of the manifest's other responses, by name.

    Raises:
        FieldTypeError: It is malformed or names an unknown type.
    """
    return _build(_parse(text), text, models, _DEPTH)


def named_types(text: str) -> set[str]:
    """Return the names in a type that are not built in; nothing for a malformed one."""
    try:
        tree = _parse(text)
    except FieldTypeError:
        return set()
    return {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)} - _NAMES.keys()


def outer_types(text: str) -> set[str]:
    """Return the outermost names of a type without None: `list[int] | None` gives `list`."""
    try:
        pending, names = [_parse(text)], set[str]()
    except FieldTypeError:
        return set()
    while pending:
        match pending.pop():
            case ast.BinOp(left=left, right=right):
                pending += [left, right]
            case ast.Name(id=name) | ast.Subscript(value=ast.Name(id=name)):
                names.add(name)
            case _:
                pass
    return names - {"None"}


def _parse(text: str) -> ast.expr:
    try:
        return ast.parse(text[: _LENGTH + 1].strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        message = f"{text[:_LENGTH]!r} is not a type; expected one such as str, list[int] or date | None"
        raise FieldTypeError(message) from None


def _build(node: ast.expr, text: str, models: Mapping[str, object], depth: int) -> Any:
    if depth == 0 or len(text) > _LENGTH:
        raise FieldTypeError("the type is too large")
    match node:
        case ast.Constant(value=None):
            return None
        case ast.Name(id=name):
            return _named(name, models)
        case ast.Subscript(value=ast.Name(id="list"), slice=item):
            return GenericAlias(list, _build(item, text, models, depth - 1))
        case ast.Subscript(value=ast.Name(id="dict"), slice=ast.Tuple(elts=[ast.Name(id="str"), item])):
            return GenericAlias(dict, (str, _build(item, text, models, depth - 1)))
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            sides = (_build(left, text, models, depth - 1), _build(right, text, models, depth - 1))
            return Union[sides]  # noqa: UP007  # `|` fails where both are None
        case _:
            message = f"{text!r} is not a type; expected one such as str, list[int], dict[str, float] or date | None"
            raise FieldTypeError(message)


def _named(name: str, models: Mapping[str, object]) -> object:
    known = {**models, **_NAMES}
    if name not in known:
        raise FieldTypeError(f"there is no type {name!r}{nearest(name, known)}")
    return known[name]


def _field_type(value: str, info: ValidationInfo) -> str:
    reading = reading_of(info)
    known = reading.responses if reading is not None else named_types(value)
    parse_field_type(value, dict.fromkeys(known, str))
    return value


FieldType = Annotated[str, AfterValidator(_field_type)]
"""Type of a field, as text."""
