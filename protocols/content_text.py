"""What a message holds, as text for the next reader."""

from collections.abc import Mapping, Sequence, Set
from enum import Enum
from types import NoneType
from typing import Any, cast

import msgspec

from protocols.json_value import as_json

_BINARY = (bytes, bytearray, memoryview, type)
_FIELDS = ("__struct_fields__", "__dataclass_fields__")


def value_text(value: object) -> str:
    """Return a value as text: text as it is, a list of texts line by line, other structured values as JSON.

    An object with `__prompt__` writes its own text. Anything else is its `str()`.
    """
    if isinstance(value, str):
        return value.value if isinstance(value, Enum) else value
    if isinstance(value, Enum):
        return value_text(value.value)
    given: Any = value
    kind: Any = type(value)
    if hasattr(kind, "__prompt__"):
        return str(kind.__prompt__(value))
    texts = cast("Sequence[object]", value) if isinstance(value, list | tuple) else ()
    if texts and all(isinstance(item, str) for item in texts):
        return "\n".join(map(value_text, texts))
    return _json(given) if _is_structured(kind) else str(given)


def _is_structured(kind: type[Any]) -> bool:
    if issubclass(kind, _BINARY):
        return False
    return issubclass(kind, bool | Mapping | Set | Sequence | NoneType) or any(
        hasattr(kind, mark) for mark in ("model_dump", "__attrs_attrs__", *_FIELDS)
    )


def _json(value: object) -> str:
    try:
        return msgspec.json.encode(value, enc_hook=_plain).decode()
    except (TypeError, ValueError, ArithmeticError, RecursionError):  # odd keys, lone surrogates, huge numbers, circles
        import json  # imported for odd values only: the engine does without it

        return json.dumps(as_json(value), separators=(",", ":"))


def _plain(value: object) -> object:
    """Return what JSON makes of a value that msgspec does not know."""
    given: Any = value
    kind: type[Any] = type(value)
    if hasattr(kind, "model_dump"):
        return given.model_dump(mode="json", by_alias=True, fallback=str)
    if isinstance(value, Mapping):
        return dict(cast("Mapping[object, object]", value))
    if isinstance(value, Set | Sequence):
        return list(cast("Sequence[object]", value))
    return str(value)
