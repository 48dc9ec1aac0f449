"""`JsonValue`: values that web frameworks and encoders can write as JSON, whatever they contain."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Self, cast

import msgspec

if TYPE_CHECKING:
    from pydantic_core import CoreSchema, SchemaSerializer

# json and pydantic_core are imported when they are used: their import takes a third of the engine's.


class _Serializer:
    """Makes the serializer when pydantic first asks for it."""

    def __get__(self, value: object, kind: type) -> "SchemaSerializer":
        from pydantic_core import SchemaSerializer, core_schema

        JsonValue.__pydantic_serializer__ = made = SchemaSerializer(core_schema.any_schema(serialization=_written()))
        return made


class JsonValue(msgspec.Struct, frozen=True):
    """A value with a form in JSON. A route of FastAPI may return it, and a model of pydantic may contain it."""

    __pydantic_serializer__: ClassVar[Any] = _Serializer()
    """How pydantic writes the value where it does not know the type, as in ``Any``."""

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as types of JSON. What JSON cannot hold becomes its text."""
        return {name: as_json(value) for name, value in _fields(self)}

    def to_json(self) -> str:
        """Return the fields as JSON; see `to_dict`."""
        import json

        return json.dumps(self.to_dict(), ensure_ascii=False)

    def __iter__(self) -> Iterator[tuple[str, Any]]:
        """Yield name and value of each field, as models of pydantic do: ``dict(value)``."""
        return iter(self.to_dict().items())

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> "CoreSchema":
        """Accept a value, or the `to_dict` of one. Write it as `to_dict` does."""
        from pydantic_core import core_schema

        return core_schema.no_info_plain_validator_function(
            cls._validated, serialization=_written(), json_schema_input_schema=core_schema.dict_schema()
        )

    @classmethod
    def _validated(cls, value: object) -> Self:
        if isinstance(value, cls):
            return value
        try:
            return msgspec.convert(value, cls, strict=False)
        except msgspec.ValidationError as error:
            raise ValueError(str(error)) from error


def as_json(value: object) -> Any:
    """Return any value as types of JSON. What JSON cannot hold becomes its text."""
    from pydantic_core import to_jsonable_python

    try:
        return to_jsonable_python(value, fallback=_foreign, bytes_mode="base64", inf_nan_mode="null")
    except ValueError:  # a circle
        return _text(value)


def _written() -> Any:
    """Return how pydantic writes a value: as its `to_dict`."""
    from pydantic_core import core_schema

    return core_schema.plain_serializer_function_ser_schema(
        lambda value: value.to_dict(), return_schema=core_schema.dict_schema(core_schema.str_schema())
    )


def _foreign(value: object) -> Any:
    """Return what JSON can hold in place of a value that pydantic does not know."""
    if isinstance(value, msgspec.Struct):
        return dict(_fields(value))
    if isinstance(value, Mapping):
        return dict(cast("Mapping[object, object]", value))
    return _text(value)


def _text(value: object) -> str:
    try:
        return str(value)
    except Exception:
        return f"<{type(value).__name__}>"


def _fields(value: msgspec.Struct) -> Iterator[tuple[str, Any]]:
    return ((name, getattr(value, name)) for name in value.__struct_fields__)
