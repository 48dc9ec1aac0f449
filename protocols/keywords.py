"""Options that a function takes as one typed dict (`Unpack`), as `help()` and errors see them: one by one."""

import inspect
from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar, cast

import msgspec

from protocols.checks import check_keywords

F = TypeVar("F", bound=Callable[..., Any])
C = TypeVar("C", bound=type[Any])


def spelled_out(keywords: type[Any], defaults: object = None) -> Callable[[F], F]:
    """Have the signature of a function name each key of a typed dict in the place of its ``**options``.

    Type checkers and editors read the keys from ``Unpack[...]``, all others from the signature. Calls cost the same.

    Args:
        keywords: the typed dict.
        defaults: has the default of each key as an attribute; None stands for what it lacks.
    """
    options = [
        inspect.Parameter(key, inspect.Parameter.KEYWORD_ONLY, default=getattr(defaults, key, None), annotation=kind)
        for key, kind in keywords.__annotations__.items()
    ]

    def spelled(function: F) -> F:
        signature = inspect.signature(function)
        own = [one for one in signature.parameters.values() if one.kind is not inspect.Parameter.VAR_KEYWORD]
        cast("Any", function).__signature__ = signature.replace(parameters=[*own, *options])
        return function

    return spelled


def named_keywords(kind: C) -> C:
    """Have a dataclass refuse an unknown keyword by an error that offers the nearest one."""
    made = kind.__init__
    known = [name for name in inspect.signature(made).parameters if name != "self"]

    @wraps(made)
    def checked(self: object, *values: Any, **keywords: Any) -> None:
        if not keywords.keys() <= taken:
            check_keywords(f"{kind.__name__} takes no keyword", keywords, known)
        made(self, *values, **keywords)

    taken = frozenset(known)
    kind.__init__ = checked
    return kind


class NamedKeywords(msgspec.StructMeta):
    """Makes structs that refuse an unknown keyword as `named_keywords` does."""

    if not TYPE_CHECKING:  # type checkers read the fields

        def __call__(self, *values: Any, **keywords: Any) -> Any:
            """Make a struct."""
            check_keywords(f"{self.__name__} takes no keyword", keywords, self.__struct_fields__)
            return super().__call__(*values, **keywords)
