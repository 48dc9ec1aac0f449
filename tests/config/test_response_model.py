import datetime
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from actors.config.field_type import parse_field_type
from actors.config.import_path import ImportPathError
from actors.config.response import ResponseSpec
from actors.config.response_model import ResponseModelError, build_model
from tests.config.manifest_text import problem_of, read


def model_of(fields: str, more: str = "") -> type[BaseModel]:
    responses = read(f"responses: {{R: {{fields: {{{fields}}}}}{more}}}").responses
    return build_model(responses["R"], name="R", responses=responses)


def test_answers_are_validated() -> None:
    model = model_of(
        "text: str, size: {type: int, min: 1, max: 5}, tags: 'list[str]', when: {type: date, required: no}"
    )

    answer: Any = model.model_validate({"text": "x", "size": 3, "tags": ["a"]})
    assert (answer.text, answer.size, answer.tags, answer.when) == ("x", 3, ["a"], None)
    assert model.__name__ == "R"


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"text": "x"},
        {"text": 5, "size": 1},
        {"text": "x", "size": "many"},
        {"text": "x", "size": 9},
        {"text": "x", "size": 0},
        {"text": "", "size": 1},
        {"text": "xxxxxx", "size": 1},
        {"text": "B", "size": 1},
        {"text": "x", "size": 1, "more": 1},
    ],
)
def test_wrong_answers_are_refused(answer: dict[str, object]) -> None:
    model = model_of(
        "text: {type: str, min_length: 1, max_length: 5, pattern: '^[a-z]*$'}, size: {type: int, min: 1, max: 5}"
    )

    with pytest.raises(ValidationError):
        model.model_validate(answer)


def test_descriptions_reach_the_model() -> None:
    schema = build_model(
        read("responses: {R: {description: All, fields: {t: {description: One}}}}").responses["R"]
    ).model_json_schema()

    assert (schema["description"], schema["properties"]["t"]["description"]) == ("All", "One")


def test_fixed_values_and_defaults_work() -> None:
    model = model_of("kind: {values: [a, b]}, level: {type: int, default: 3}")

    answer: Any = model.model_validate({"kind": "a"})
    assert answer.level == 3
    with pytest.raises(ValidationError):
        model.model_validate({"kind": "c"})


def test_responses_may_name_each_other() -> None:
    model = model_of("people: 'list[Person] | None'", ", Person: {fields: {name: str}}")

    answer: Any = model.model_validate({"people": [{"name": "x"}]})
    assert answer.people[0].name == "x"
    with pytest.raises(ValidationError):
        model.model_validate({"people": [{"nam": "x"}]})


def test_responses_in_a_circle_are_refused_when_read_and_when_built() -> None:
    assert "'A' -> 'B' -> 'A'" in problem_of("responses: {A: {fields: {b: B}}, B: {fields: {a: 'list[A]'}}}").message
    loop = ResponseSpec.model_validate({"fields": {"me": "A"}})
    with pytest.raises(ResponseModelError, match="A -> A"):
        build_model(loop, name="A", responses={"A": loop})


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("str", str),
        ("list[int]", list[int]),
        ("dict[str, float]", dict[str, float]),
        ("date | None", datetime.date | None),
        ("None | None", type(None)),
    ],
)
def test_types_are_read(text: str, kind: object) -> None:
    assert parse_field_type(text, {}) == kind


@pytest.mark.parametrize(
    "text",
    [
        "stir",
        "list[",
        "list[str, int]",
        "dict[int, str]",
        "str()",
        "os.system",
        "__import__('os')",
        "",
        "5",
        "set[str]",
        "[" * 300,
    ],
)
def test_an_unknown_type_is_refused(text: str) -> None:
    assert problem_of(f"responses: {{R: {{fields: {{f: {text!r}}}}}}}").path == "responses.R.fields.f"


@pytest.mark.parametrize(
    ("response", "path", "expected"),
    [
        ("{}", "fields", "goes with 'type: inline'"),
        ("{fields: {}}", "fields", "goes with 'type: inline'"),
        ("{fields: {1a: str}}", "fields", "'1a' is no name for a field"),
        ("{fields: {_a: str}}", "fields", "'_a' is no name for a field"),
        ("{type: import}", "import_path", "goes with 'type: import'"),
        ("{import_path: 'os:system'}", "import_path", "'os:system' is not allowed"),
        ("{fields: {a: {type: int, min: 5, max: 1}}}", "fields.a.min", "is larger than max"),
        ("{fields: {a: {type: str, pattern: '['}}}", "fields.a.pattern", "is no regular expression"),
        ("{fields: {a: {tipe: str}}}", "fields.a.tipe", "did you mean 'type'?"),
        ("{response_schema: {fields: {a: nope}}}", "response_schema.fields.a", "there is no type 'nope'"),
        ("{response_schema: 5}", "", "response_schema: expected a map"),
        ("{fields: {a: {type: int, max_length: 5}}}", "fields.a.max_length", "goes with dict and list and str only"),
        ("{fields: {a: {type: 'list[int]', min: 5}}}", "fields.a.min", "goes with float and int only"),
        (
            "{fields: {a: {type: int, default: x}}}",
            "fields.a.default",
            "response 'R', field 'a': the default 'x' is wrong",
        ),
        (
            "{fields: {a: {type: int, values: [true]}}}",
            "fields.a.values",
            "response 'R', field 'a': the value True is wrong",
        ),
        ("{fields: {a: {type: 'list[str]', values: [x]}}}", "fields.a.values", "goes with bool, float, int, str only"),
        ("{fields: {a: {pattern: '(?=x)'}}}", "fields.a.pattern", "look-ahead and look-behind, is not supported"),
        ("{fields: {model_config: str}}", "fields", "means something else to a model"),
        ("{result_tool_name: a b, fields: {a: str}}", "result_tool_name", "expected letters, digits, '_' and '-'"),
    ],
)
def test_a_wrong_response_is_refused_with_its_place(response: str, path: str, expected: str) -> None:
    problem = problem_of(f"responses: {{R: {response}}}")

    assert (problem.path, expected in problem.message) == (f"responses.R.{path}".rstrip("."), True)


@pytest.mark.parametrize(
    "field",
    [
        {"type": "int", "default": "x"},
        {"type": "str", "values": [5]},
        {"type": "str", "min_length": 3, "default": "ab"},
        {"type": "list[int]", "default": ["x"]},
    ],
)
def test_a_model_that_cannot_be_made_is_an_error_that_names_the_response(field: dict[str, object]) -> None:
    response = ResponseSpec.model_validate({"fields": {"f": field}})

    with pytest.raises(ResponseModelError, match="response 'R'"):
        build_model(response, name="R")


def test_a_field_may_have_the_name_of_a_method_of_models() -> None:
    model = build_model(read("responses: {R: {fields: {copy: str, json: int}}}").responses["R"])

    assert model.model_validate({"copy": "x", "json": 5}).model_dump() == {"copy": "x", "json": 5}


def test_a_model_may_be_imported_where_allowed() -> None:
    response = ResponseSpec(import_path="actors.config.tool:ToolSpec", type="import")

    assert issubclass(build_model(response, allow=["actors.config"]), BaseModel)
    with pytest.raises(ImportPathError):
        build_model(response)
    with pytest.raises(ResponseModelError, match="is not a pydantic model"):
        build_model(ResponseSpec(import_path="builtins:str", type="import"))
