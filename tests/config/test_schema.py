from collections.abc import Iterator
from typing import Any, cast

import jsonschema  # type: ignore[import-untyped] # its types are a package of their own
import pytest
import yaml

from actors.config.schema import manifest_schema
from tests.config.manifest_text import CONTRACT_EXAMPLE, read
from tests.config.section_sites import SITES
from tests.config.test_agent import EVERY_KEY

SCHEMA = manifest_schema()
VALIDATOR: Any = jsonschema.Draft202012Validator(SCHEMA)


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


@pytest.mark.parametrize(
    "text",
    [
        EVERY_KEY,
        CONTRACT_EXAMPLE,
        "storage: sqlite",
        "storage: {type: memory, capacity: 5, retention: {max_age: 9d}}",
        "agents: {a: {system_prompt: x, instructions: [x, {file: y}], knowledge: x.md}, b: {knowledge: [x.md]}}",
        "agents: {a: {session: true}, b: {session: 100}, c: {session: me}}",
        "agents: {a: {model: {type: test}}, b: {model: {model: test}}, c: {model: test}}",
        "model: test\nlimits: {requests: 3}",
        "agents: {a: {output_type: str}, b: {output_type: {fields: {t: str}}}}",
        "agents: {a: {}}\nteams: {t: {mode: parallel, agents: [a], policy: {quorum: 1}}}",
        "agents: {a: {}}\nteams: {t: {mode: sequential, nodes: [a], supervision: {strategy: one_for_all}}}",
        "agents: {a: {connections: [{type: node, target: b, filter_condition: 1 < 2, delay: 5s}]}, b: {}}",
        "agents: {a: {mcp_servers: [{url: 'http://x/y'}, 'http://x/sse', uvx x]}}",
        "agents: {a: {workers: [b, {agent: b}]}, b: {timeout: forever}}",
        "agents: {a: {retries: '${R:-3}', debug: '${D:-yes}', end_strategy: '${E:-early}'}}",
    ],
)
def test_what_the_loader_reads_fits_the_schema(text: str) -> None:
    read(text)

    assert [problem.message for problem in VALIDATOR.iter_errors(yaml.safe_load(text))] == []


@pytest.mark.parametrize("name", sorted(SITES))
def test_every_section_fits_the_schema(name: str) -> None:
    assert VALIDATOR.is_valid(SITES[name].manifest)


@pytest.mark.parametrize(
    "text", ["agents: {a: {retries: many}}", "agents: {a: {modle: x}}", "teams: {t: {mode: sideways}}"]
)
def test_what_is_wrong_does_not_fit_the_schema(text: str) -> None:
    assert not VALIDATOR.is_valid(yaml.safe_load(text))


def test_all_references_lead_somewhere() -> None:
    def references(schema: object) -> Iterator[str]:
        for key, value in parts(schema):
            if key == "$ref":
                yield str(value)
            else:
                yield from references(value)

    assert {reference.removeprefix("#/$defs/") for reference in references(SCHEMA)} <= SCHEMA["$defs"].keys()
