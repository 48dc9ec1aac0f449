from collections.abc import Callable
from functools import partial
from operator import eq, is_, methodcaller
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, create_model
from pydantic.fields import FieldInfo

from actors.models.offline.schema_filler import SchemaFiller
from actors.models.offline.sentences import read

READING = read("The first sentence says something useful. The second one must be read too.")


def filled(schema: dict[str, Any]) -> Any:
    return SchemaFiller(schema, READING).fill()


_bounds = st.one_of(st.none(), st.integers(-50, 50))


@given(st.sampled_from([int, float]), _bounds, _bounds, st.booleans(), st.booleans(), st.sampled_from([None, 1, 3]))
def test_number_is_within_every_bound_that_leaves_room(
    kind: type[int] | type[float], low: int | None, high: int | None, above: bool, below: bool, step: int | None
) -> None:
    if low is not None and high is not None and high - low < 8:
        high = low + 8
    bounds = {"gt" if above else "ge": low, "lt" if below else "le": high, "multiple_of": step}
    limits = {name: value for name, value in bounds.items() if value is not None}
    field: Any = FieldInfo(**limits)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
    model = create_model("M", n=(kind, field))
    model.model_validate(filled(model.model_json_schema()))


@given(st.integers(0, 60), st.integers(0, 60))
def test_text_is_as_long_as_it_may_be(least: int, more: int) -> None:
    text = filled({"type": "string", "minLength": least, "maxLength": least + more})
    assert least <= len(text) <= least + more


@given(st.integers(0, 5), st.integers(0, 5), st.sampled_from([int, str, bool, float]))
def test_list_has_as_many_items_as_it_may(least: int, more: int, kind: type[object]) -> None:
    schema = {"type": "array", "minItems": least, "maxItems": least + more, "items": TypeAdapter(kind).json_schema()}
    assert least <= len(filled(schema)) <= least + more


def _is_text(value: object) -> bool:
    return isinstance(value, str)


@pytest.mark.parametrize(
    ("schema", "check"),
    [
        ({}, _is_text),
        ({"const": 7}, partial(eq, 7)),
        ({"type": ["null", "integer"]}, partial(eq, 0)),
        ({"anyOf": [{"type": "null"}, {"type": "boolean"}]}, partial(is_, False)),
        ({"type": "string", "format": "email"}, methodcaller("count", "@")),
        ({"type": "string", "pattern": "^The second"}, methodcaller("startswith", "The second")),
        ({"type": "array", "prefixItems": [{"type": "null"}, {"type": "integer"}]}, partial(eq, [None, 0])),
        ({"enum": ["x", "second"]}, partial(eq, "second")),
        ({"enum": [3, 4]}, partial(eq, 3)),
    ],
)
def test_every_kind_of_schema_is_filled(schema: dict[str, Any], check: Callable[[Any], bool]) -> None:
    assert check(filled(schema))


def test_recursive_schema_ends() -> None:
    tree = {
        "$defs": {
            "Tree": {
                "type": "object",
                "properties": {
                    "left": {"anyOf": [{"$ref": "#/$defs/Tree"}, {"type": "null"}]},
                    "items": {"type": "array", "items": {"$ref": "#/$defs/Tree"}},
                },
                "required": ["left", "items"],
            }
        },
        "$ref": "#/$defs/Tree",
    }
    assert filled(tree)["left"] is not None


def test_tagged_union_keeps_its_tag() -> None:
    schema = {
        "oneOf": [{"type": "object", "properties": {"kind": {"const": "cat", "default": "cat"}}}],
        "discriminator": {"propertyName": "kind"},
    }
    assert filled(schema) == {"kind": "cat"}


def test_each_text_field_gets_another_sentence() -> None:
    schema = {
        "type": "object",
        "properties": {"a": {"type": "string"}, "b": {"type": "string"}},
        "required": ["a", "b"],
    }
    value = filled(schema)
    assert {value["a"], value["b"]} == {
        "The first sentence says something useful.",
        "The second one must be read too.",
    }
