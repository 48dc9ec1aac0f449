"""The parent of every part of the manifest: frozen, strict about keys, forgiving about spellings."""

import ast
import inspect
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, GetJsonSchemaHandler, ValidationInfo, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from actors.config.read_context import complain, complaints, reading_of
from actors.config.yaml.tree import Table, as_table
from protocols.errors import nearest


class Section(BaseModel):
    """A map of the manifest with fixed keys.

    An unknown key is refused with the nearest known one; a key without a value counts as not written.
    """

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        allow_inf_nan=False,
        hide_input_in_errors=True,  # inputs may hold secrets; problems show values with care
        defer_build=True,
        protected_namespaces=(),
    )

    spellings: ClassVar[Mapping[str, str]] = {}
    """Other names of keys, as older manifests write them: spelling to key."""
    retired: ClassVar[Mapping[str, str]] = {}
    """Keys that other frameworks know and this one does not: key to advice."""
    shorthand: ClassVar[str | None] = None
    """The key that a plain text in place of the map stands for."""
    short_forms: ClassVar[tuple[str, ...]] = ()
    """JSON types that may stand in place of the map, besides the text of `shorthand`."""

    def mismatches(self) -> Iterator[tuple[str, str]]:
        """Yield key and text for each pair of values that do not fit together."""
        yield from self._mismatches()

    def _mismatches(self) -> Iterator[tuple[str, str]]:
        yield from ()

    @classmethod
    def expand_shorthand(cls, data: object) -> object:
        """Turn a short form into the map it stands for."""
        return {cls.shorthand: data} if cls.shorthand is not None and isinstance(data, str) else data

    @model_validator(mode="before")
    @classmethod
    def _read(cls, data: object, info: ValidationInfo) -> object:
        data = cls.expand_shorthand(data)
        table = as_table(data)
        if table is None:
            if cls.shorthand is not None and not isinstance(data, cls):
                complain("expected text or a map of keys")
            return data
        # The tree is changed in place, so that errors can still be traced to the place where a value was written.
        spell(table, cls.spellings)
        for key in [key for key, value in table.items() if value is None]:
            del table[key]
        reading = reading_of(info)
        if reading is not None:
            for key in [key for key in table if key not in cls.model_fields]:
                reading.unknown.append((table, key, cls._advice(key)))
                del table[key]
        return table

    @model_validator(mode="after")
    def _compare(self) -> Self:
        complaints(self.mismatches())
        return self

    @classmethod
    def _advice(cls, key: str) -> str:
        if key in cls.retired:
            return f"key {key!r} is not supported: {cls.retired[key]}"
        return f"unknown key {key!r}{nearest(key, cls.model_fields)}"

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Add the other spellings and the short form to the schema that editors use."""
        reference = handler(core_schema)
        schema = handler.resolve_ref_schema(reference)
        properties: dict[str, Any] = schema.get("properties", {})
        for key, text in field_texts(cls).items():
            if key in properties:
                properties[key] = {**properties[key], "description": text}
        for spelling, key in cls.spellings.items():
            properties[spelling] = {**properties[key], "description": f"Same as `{key}`."}
            if key in schema.get("required", ()):
                schema["required"].remove(key)
        forms = [*cls.short_forms, *(["string"] if cls.shorthand is not None else [])]
        if forms:
            full = dict(schema)
            schema.clear()
            schema["anyOf"] = [*({"type": form} for form in forms), full]
        return reference


def spell(table: Table, spellings: Mapping[str, str]) -> None:
    """Give every key of a map its proper name, in place.

    Raises:
        PydanticCustomError: Two spellings of one key are both written.
    """
    for spelling, key in spellings.items():
        if spelling not in table:
            continue
        if key in table:
            complain(f"{spelling!r} and {key!r} are two spellings of one key; write one of them")
        table.rename(spelling, key)


def field_texts(section: type[BaseModel]) -> dict[str, str]:
    """Return the text below each field of a class and of its parents, by the name of the field.

    The texts are read from the source. pydantic would read them when the class is made, for half of the import time.
    """
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
