"""The texts below the fields of a section, read from its source when somebody wants the schema.

pydantic can do this too, but does it when a class is made, which would be half the time of importing the manifest.
"""

import ast
import inspect
import sys
from collections.abc import Iterator, Mapping
from functools import cache

from pydantic import BaseModel


def field_texts(section: type[BaseModel]) -> dict[str, str]:
    """Return the text below each field of a class and of its parents, by the name of the field."""
    found: dict[str, str] = {}
    for parent in reversed(section.__mro__):
        if issubclass(parent, BaseModel) and parent is not BaseModel:
            found |= _classes_of(parent.__module__).get(parent.__name__, {})
    return found


@cache
def _classes_of(module: str) -> Mapping[str, dict[str, str]]:
    try:
        tree = ast.parse(inspect.getsource(sys.modules[module]))
    except (OSError, TypeError, SyntaxError):  # no source is at hand
        return {}
    return {node.name: dict(_texts(node)) for node in tree.body if isinstance(node, ast.ClassDef)}


def _texts(node: ast.ClassDef) -> Iterator[tuple[str, str]]:
    for field, below in zip(node.body, node.body[1:], strict=False):
        match field, below:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                yield name, inspect.cleandoc(text)
            case _:
                pass
