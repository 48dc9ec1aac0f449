from collections.abc import Iterator
from typing import Any, cast

import pytest

from actors.config.schema import manifest_schema

SCHEMA = manifest_schema()


def parts(schema: object) -> list[tuple[str, object]]:
    if isinstance(schema, dict):
        return list(cast("dict[str, object]", schema).items())
    return [("", value) for value in cast("list[object]", schema)] if isinstance(schema, list) else []


def objects(schema: object, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    for key, value in parts(schema):
        yield from objects(value, f"{path}/{key}")
    if isinstance(schema, dict) and "properties" in schema:
        yield path, cast("dict[str, Any]", schema)


def test_every_key_is_described() -> None:
    bare = [
        f"{path}/{key}"
        for path, item in objects(SCHEMA)
        for key, value in item["properties"].items()
        if not value.get("description")
    ]

    assert bare == []


def test_no_map_takes_unknown_keys() -> None:
    assert [path for path, item in objects(SCHEMA) if item.get("additionalProperties") is not False] == []


def test_both_spellings_are_known_and_neither_is_required() -> None:
    team = SCHEMA["$defs"]["TeamSpec"]

    assert {"members", "agents", "nodes"} <= team["properties"].keys()
    assert team["required"] == ["mode"]


def test_keys_outside_the_model_are_known() -> None:
    assert {"INHERIT", "model", "limits", "agents"} <= SCHEMA["properties"].keys()


@pytest.mark.parametrize(
    ("section", "forms"),
    [
        ("ModelSpec", ["string"]),
        ("SessionSpec", ["boolean", "integer", "string"]),
        ("KnowledgeSpec", ["string", "array"]),
    ],
)
def test_short_forms_are_known(section: str, forms: list[str]) -> None:
    assert [form["type"] for form in SCHEMA["$defs"][section]["anyOf"]] == [*forms, "object"]


def test_all_references_lead_somewhere() -> None:
    def references(schema: object) -> Iterator[str]:
        for key, value in parts(schema):
            if key == "$ref":
                yield str(value)
            else:
                yield from references(value)

    assert {reference.removeprefix("#/$defs/") for reference in references(SCHEMA)} <= SCHEMA["$defs"].keys()
