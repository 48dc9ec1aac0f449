"""Responses: named types of structured answers."""

import math
from collections.abc import Iterator, Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, BaseModel, Field, GetJsonSchemaHandler, JsonValue
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, SchemaError, SchemaValidator, core_schema

from actors.config.field_type import FieldType, outer_types
from actors.config.import_path import ImportText
from actors.config.read_context import complain
from actors.config.section import Section
from actors.config.value import Count, Flag, Text, ToolName
from actors.config.yaml.tree import as_table

_NUMBERS, _SIZED = frozenset({"int", "float"}), frozenset({"str", "list", "dict"})
_REASON = 200
_LISTED = frozenset({"str", "int", "float", "bool"})
_FITTING: Mapping[str, frozenset[str]] = {
    "min": _NUMBERS,
    "max": _NUMBERS,
    "min_length": _SIZED,
    "max_length": _SIZED,
    "pattern": frozenset({"str"}),
}


def _choice(value: JsonValue) -> JsonValue:
    if not isinstance(value, str | int | float):
        complain("expected text, a number, true or false")
    return value


_Choice = Annotated[JsonValue, AfterValidator(_choice)]


class FieldSpec(Section):
    """One field of a response; a plain text is its `type`."""

    shorthand = "type"

    type: FieldType = "str"
    """Type, as in `str`, `list[int]`, `date | None`, or the name of another response."""
    description: Text | None = None
    """What it means; the model reads it."""
    required: Flag = True
    """Whether it must be there; a field with a default need not."""
    default: JsonValue = None
    """Value when it is not there."""
    values: tuple[_Choice, ...] = ()
    """The only values that are allowed."""
    min: float | None = None
    """Smallest number."""
    max: float | None = None
    """Largest number."""
    min_length: Count | None = None
    """Fewest characters or entries."""
    max_length: Count | None = None
    """Most characters or entries."""
    pattern: Text | None = None
    """Regular expression that a text must match, without look-around and back references."""

    def _mismatches(self) -> Iterator[tuple[str, str]]:
        if (self.min if self.min is not None else -math.inf) > (self.max if self.max is not None else math.inf):
            yield "min", "is larger than max"
        if (self.min_length or 0) > (self.max_length if self.max_length is not None else math.inf):
            yield "min_length", "is larger than max_length"
        for key, kinds in _FITTING.items():
            if getattr(self, key) is not None and not outer_types(self.type) <= kinds:
                yield key, f"goes with {' and '.join(sorted(kinds))} only"
        if self.pattern is not None:
            try:
                SchemaValidator(core_schema.str_schema(pattern=self.pattern))
            except SchemaError as error:
                yield "pattern", f"is no regular expression: {_reason(error)}"
        if self.values and not outer_types(self.type) <= _LISTED:
            yield "values", f"goes with {', '.join(sorted(_LISTED))} only"


class ResponseSpec(Section):
    """Type of an answer: fields written here (`type: inline`) or a model in Python (`type: import`)."""

    spellings: ClassVar[Mapping[str, str]] = {"import": "import_path"}

    type: Literal["inline", "import"] = "inline"
    """`import` is the default where `import_path` is given."""
    description: Text | None = None
    """What the answer is; the model reads it."""
    fields: dict[str, FieldSpec] = Field(default_factory=dict)
    """Fields by name."""
    import_path: ImportText | None = None
    """Import string of a pydantic model."""
    result_tool_name: ToolName = "final_result"
    """Name of the tool with which the model gives the answer."""
    result_tool_description: Text | None = None
    """Its description."""
    output_retries: Count | None = None
    """How often the model may try again after a faulty answer."""

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Add the older form to the schema that editors use."""
        reference = super().__get_pydantic_json_schema__(core_schema, handler)
        properties: dict[str, JsonSchemaValue] = handler.resolve_ref_schema(reference)["properties"]
        inner = {key: properties[key] for key in ("type", "description", "fields", "import_path")}
        older = {"type": "object", "description": "Older place of these keys.", "properties": inner}
        properties["response_schema"] = {**older, "additionalProperties": False}
        return reference

    @classmethod
    def expand_shorthand(cls, data: object) -> object:
        """Take the keys out of `response_schema`, where older manifests keep them."""
        table = as_table(data)
        if table is None:
            return data
        inner = as_table(table.get("response_schema"))
        if inner is None and table.get("response_schema") is not None:
            complain("response_schema: expected a map of keys")
        if inner is not None:
            for key in inner:
                table.copy_key(key, inner)
                table.written[key] = f"response_schema.{key}"
            del table["response_schema"]
        if ("import_path" in table or "import" in table) and "type" not in table:
            table["type"] = "import"
        return table

    def _mismatches(self) -> Iterator[tuple[str, str]]:
        if (self.type == "import") != (self.import_path is not None):
            yield "import_path", "goes with 'type: import', and only with it"
        if (self.type == "inline") != bool(self.fields):
            yield "fields", "goes with 'type: inline', and only with it"
        for name in self.fields:
            if not name.isidentifier() or name.startswith("_"):
                yield "fields", f"{name!r} is no name for a field: letters, digits and '_', not first"
            elif name.startswith("model_") and hasattr(BaseModel, name):
                yield "fields", f"{name!r} means something else to a model; choose another name"


def _reason(error: SchemaError) -> str:
    """Return the last line of what the library says, without what stands around it."""
    line = str(error).splitlines()[-1].strip()
    return line.removeprefix("error: ").removeprefix("SchemaError: ")[:_REASON]
