"""Making the pydantic model of a response, so that answers are really validated."""

import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal, Optional

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, create_model
from pydantic.errors import PydanticUserError
from pydantic_core import SchemaError

from actors.config.field_type import FieldTypeError, named_types, parse_field_type
from actors.config.import_path import resolve_import
from actors.config.response import FieldSpec, ResponseSpec

_DEEPEST = 30


class ResponseModelError(ValueError):
    """Raised when no model can be made from a response; the text names the response and the field."""

    def __init__(self, message: str, *keys: str) -> None:
        super().__init__(message)
        self.keys = keys


def build_model(
    response: ResponseSpec,
    *,
    name: str = "Response",
    responses: Mapping[str, ResponseSpec] | None = None,
    allow: Sequence[str] = (),
) -> type[BaseModel]:
    """Return the model that validates answers of this response.

    Args:
        response: The response.
        name: Name of the model.
        responses: The manifest's responses, which fields may name.
        allow: Prefixes for import strings (`resolve_import`).

    Raises:
        ResponseModelError: A field's type, default or constraint is wrong, responses contain each other, or the import
            string names something else than a model.
        ImportPathError: The import string is not allowed or leads nowhere.
    """
    return _Builder(responses or {}, allow).build(name, response, ())


def check_responses(responses: Mapping[str, ResponseSpec]) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield key path and text for each response from whose fields no model can be made; imports nothing."""
    stand_in = ResponseSpec(fields={"any": FieldSpec(type="any")})
    builder = _Builder({name: stand_in if one.import_path else one for name, one in responses.items()}, ())
    for name, response in responses.items():
        if response.import_path is None:
            try:
                builder.build(name, response, ())
            except ResponseModelError as error:
                yield ("responses", name, *error.keys), str(error)


class _Builder:
    def __init__(self, responses: Mapping[str, ResponseSpec], allow: Sequence[str]) -> None:
        self._responses = responses
        self._allow = allow
        self._done: dict[str, tuple[type[BaseModel], int]] = {}  # with its height in nested responses

    def build(self, name: str, response: ResponseSpec, chain: tuple[str, ...]) -> type[BaseModel]:
        if name in chain:
            message = f"responses contain each other: {' -> '.join((*chain[chain.index(name) :], name))}"
            raise ResponseModelError(message)
        if len(chain) >= _DEEPEST:
            raise ResponseModelError(f"response {name!r}: nested deeper than {_DEEPEST} responses")
        if name in self._responses and self._responses[name] is response:
            if name not in self._done:
                self._done[name] = self._make(name, response, chain), self._height(response)
            return self._done[name][0]
        return self._make(name, response, chain)

    def _height(self, response: ResponseSpec) -> int:
        return 1 + max((self._done[other][1] for other in self._needed(response)), default=0)

    def _needed(self, response: ResponseSpec) -> list[str]:
        names = {name for field in response.fields.values() for name in named_types(field.type)}
        return sorted(name for name in names if name in self._responses)

    def _make(self, name: str, response: ResponseSpec, chain: tuple[str, ...]) -> type[BaseModel]:
        if response.import_path is not None:
            return self._imported(response.import_path)
        models = {other: self.build(other, self._responses[other], (*chain, name)) for other in self._needed(response)}
        if max((self._done[other][1] for other in models), default=0) >= _DEEPEST:
            raise ResponseModelError(f"response {name!r}: nested deeper than {_DEEPEST} responses")
        fields: dict[str, Any] = {key: self._field(name, key, spec, models) for key, spec in response.fields.items()}
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # a field may be called `copy` or `json`, as a method of models is
                return create_model(
                    re.sub(r"\W", "_", name),
                    __doc__=response.description,
                    __config__=ConfigDict(extra="forbid", validate_default=True, protected_namespaces=()),
                    **fields,
                )
        except (TypeError, ValueError, NameError, SchemaError, PydanticUserError) as error:
            raise ResponseModelError(f"response {name!r}: {str(error).splitlines()[0]}") from None

    def _imported(self, path: str) -> type[BaseModel]:
        found = resolve_import(path, self._allow)
        if isinstance(found, type) and issubclass(found, BaseModel):
            return found
        raise ResponseModelError(f"{path!r} is not a pydantic model")

    def _field(self, name: str, key: str, spec: FieldSpec, models: Mapping[str, object]) -> tuple[Any, Any]:
        try:
            kind: Any = parse_field_type(spec.type, models)
        except FieldTypeError as error:
            raise ResponseModelError(f"response {name!r}, field {key!r}: {error}", "fields", key, "type") from None
        if spec.values:
            adapter: TypeAdapter[object] = TypeAdapter(kind)
            for value in spec.values:
                self._check(name, key, "values", adapter, value)
            kind = Literal[spec.values]  # pyright: ignore[reportUnknownVariableType] - values known only now
        has_default = "default" in spec.model_fields_set
        if not spec.required and not has_default:
            kind = Optional[kind]  # noqa: UP045  # `|` fails for some kinds
        limits: dict[str, Any] = {
            "ge": spec.min,
            "le": spec.max,
            "min_length": spec.min_length,
            "max_length": spec.max_length,
            "pattern": spec.pattern,
        }
        given = {limit: value for limit, value in limits.items() if value is not None}
        default: Any = ... if spec.required and not has_default else spec.default
        if has_default:
            limited: Any = Annotated[kind, Field(**given)]  # pyright: ignore[reportInvalidTypeForm]
            self._check(name, key, "default", TypeAdapter[object](limited), default)
        return kind, Field(default, description=spec.description, **given)

    def _check(self, name: str, key: str, part: str, adapter: TypeAdapter[object], value: object) -> None:
        try:
            adapter.validate_python(value, strict=part == "values" or None)
        except ValidationError as error:
            wrong = f"the {part.removesuffix('s')} {value!r} is wrong: {error.errors()[0]['msg']}"
            raise ResponseModelError(f"response {name!r}, field {key!r}: {wrong}", "fields", key, part) from None
