"""Every key of every section with every kind of wrong value: an error that names place, value and expectation."""

import json
import math
from typing import Any

import jsonschema  # type: ignore[import-untyped] # its types are a package of their own
import pytest
import yaml

from actors.config.load import parse_manifest
from actors.config.schema import manifest_schema
from actors.config.yaml.problem import InvalidManifestError, Problem, render_path
from actors.config.yaml.tree import Key
from tests.config.section_sites import SITES, all_keys, sections

SCHEMA: Any = jsonschema.Draft202012Validator(manifest_schema())
WRONG: tuple[Any, ...] = (
    True,
    5,
    -1,
    -1.5,
    1e300,
    10**30,
    "",
    "x",
    "a\nb",
    "\u202ex",
    "\x07",
    "${NOPE}",
    "${",
    "../../etc/passwd",
    "file:///etc/passwd",
    "2024-13-45T99:99",
    "Mars/Olympus",
    "x" * 5000,
    math.nan,
    math.inf,
    [],
    [5],
    [None],
    [[]],
    [{}],
    [["x"] * 3] * 3,
    {},
    {"x": 5},
    {"type": "x"},
    {"type": None},
)
_WITHOUT_VALUE = (
    "is required",
    "has no effect",
    "environment variable",
    "'${' must be",
    "unknown key",
    "goes with",
    "exactly one of",
    "needs a secret",
    "needs the 'url' of a database",
    "must live in one process",
    "the quorum is more than",
    " is wrong: ",
)


def problems_of(manifest: object) -> tuple[Problem, ...]:
    try:
        parse_manifest(json.dumps(manifest, indent=1), name="m.yml", env={})
    except InvalidManifestError as error:
        return error.problems
    return ()


def lines_of(manifest: object, path: tuple[Key, ...]) -> range:
    """Return the lines on which a key and its value stand, as PyYAML sees them."""
    node = yaml.compose(json.dumps(manifest, indent=1), Loader=yaml.SafeLoader)
    first = 0
    for key in path:
        if isinstance(node, yaml.MappingNode):
            before, node = next((name, value) for name, value in node.value if name.value == str(key))
            first = before.start_mark.line + 1
        else:
            assert isinstance(node, yaml.SequenceNode)
            assert isinstance(key, int)
            node = node.value[key]
    assert node is not None
    return range(first, node.end_mark.line + 2)


def test_there_is_a_site_for_every_section_and_all_are_sound() -> None:
    assert SITES.keys() == sections().keys()
    assert {name: problems_of(site.manifest) for name, site in SITES.items() if problems_of(site.manifest)} == {}


@pytest.mark.parametrize(("section", "key"), all_keys())
def test_a_wrong_value_is_refused_with_its_place(section: str, key: str) -> None:
    site = SITES[section]
    path = (*site.path, key)
    for value in WRONG:
        manifest, at = site.section()
        at[key] = value
        problems = problems_of(manifest)

        if is_wrong_for_certain(value) and not SCHEMA.is_valid(manifest):
            assert any(problem.path.startswith(render_path(path)) for problem in problems), (value, problems)
        for problem in problems:
            assert problem.file == "m.yml", problem
            assert problem.path, problem
            assert problem.line >= 1, problem
            if problem.path.startswith(render_path(path)):
                assert problem.line in lines_of(manifest, path), (value, problem)
            assert problem.value is not None or says_why(problem), (value, problem)


def is_wrong_for_certain(value: object) -> bool:
    """Whether a value that the schema refuses is refused by the loader too, which is more patient in two points.

    Text in place of a number may be the value of an environment variable, and a key without a value is not written.
    """
    return not isinstance(value, str) and value not in (math.nan, math.inf, [None], {"type": None})


def says_why(problem: Problem) -> bool:
    """Whether a problem without a value is about a map or list as a whole."""
    return any(part in problem.message for part in _WITHOUT_VALUE)
