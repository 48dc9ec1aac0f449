"""No text whatever may raise anything but the error for manifests."""

import contextlib
import json
from collections.abc import Sequence

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from actors.config.agent import AgentSpec
from actors.config.job import JobSpec
from actors.config.load import parse_manifest
from actors.config.manifest import Manifest
from actors.config.response import ResponseSpec
from actors.config.section import Section
from actors.config.team import TeamSpec
from actors.config.yaml.problem import InvalidManifestError, Problem
from tests.config.manifest_text import CONTRACT_EXAMPLE

SLOW = settings(suppress_health_check=[HealthCheck.too_slow], max_examples=200)
WRONG: list[object] = [
    None,
    True,
    5,
    -1.5,
    "",
    "x",
    "${NOPE}",
    "${",
    [],
    [5],
    ["x"],
    [None],
    {},
    {"x": 5},
    {"type": "x"},
    [[]],
    [{}],
    {"type": None},
]


def problems_of(text: str) -> Sequence[Problem]:
    """Read a text; any error but the one for manifests fails the test, and that one must say something."""
    try:
        parse_manifest(text, env={})
    except InvalidManifestError as error:
        return error.problems or pytest.fail("an error without problems")
    return ()


def read_or_refuse(text: str) -> None:
    assert all(str(problem) for problem in problems_of(text))


@SLOW
@given(st.text(max_size=200))
@example("a: &a [*a]")
@example("{{}}")
@example("? ? ?")
@example("<<: *x")
@example("agents: {<<: [1]}")
@example("\ufeff")
@example("a: |\n\tb")
@example("INHERIT: [[]]")
@example("agents: {a: &a {workers: [*a]}}")
def test_random_text(text: str) -> None:
    read_or_refuse(text)


@SLOW
@given(st.text(alphabet="agents:temsjob{}[]-,&*!|>'\"# \n\t\\%@0$~?<", max_size=200))
def test_random_punctuation(text: str) -> None:
    read_or_refuse(text)


@SLOW
@given(st.data())
def test_a_manifest_with_random_changes(data: st.DataObject) -> None:
    text = CONTRACT_EXAMPLE
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(text)))
        end = min(len(text), start + data.draw(st.integers(0, 20)))
        text = text[:start] + data.draw(st.text(max_size=10)) + text[end:]
    read_or_refuse(text)


_PLAIN = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20))
_DATA = st.recursive(
    _PLAIN,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=12), inner, max_size=4)),
    max_leaves=15,
)
_KEYS = st.sampled_from(
    sorted({*Manifest.model_fields, *AgentSpec.model_fields, *TeamSpec.model_fields, "type", "name", "model"})
)
_KEYED = st.recursive(
    _PLAIN,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(_KEYS, inner, max_size=5)),
    max_leaves=20,
)


@SLOW
@given(st.dictionaries(_KEYS, st.one_of(_DATA, _KEYED), max_size=5))
def test_random_data_with_known_keys(data: dict[str, object]) -> None:
    with contextlib.suppress(ValidationError):
        assert Manifest.model_validate(data).files == ()
    read_or_refuse(json.dumps(data))


_PARTS: list[tuple[str, type[Section]]] = [
    ("", Manifest),
    ("agents", AgentSpec),
    ("teams", TeamSpec),
    ("jobs", JobSpec),
    ("responses", ResponseSpec),
]


def _cases() -> list[tuple[str, str]]:
    return [(section, key) for section, model in _PARTS for key in model.model_fields]


@pytest.mark.parametrize(("section", "key"), _cases())
def test_wrong_types_at_each_key(section: str, key: str) -> None:
    for value in WRONG:
        inner = {key: value}
        text = json.dumps({section: {"a": inner}} if section else inner)
        for problem in problems_of(text):
            assert problem.line == 1, (text, problem)
            assert problem.path, (text, problem)


def test_a_map_with_a_strange_key_is_refused_everywhere() -> None:
    for section, key in _cases():
        inner = {key: {"surprise": 1}}
        assert problems_of(json.dumps({section: {"a": inner}} if section else inner)), (section, key)


def test_data_that_contains_itself_is_refused() -> None:
    loop: dict[str, object] = {}
    loop["connections"] = [{"type": "callable", "callable": "pkg:f", "kw_args": loop}]

    with pytest.raises(ValidationError, match=r"recursion|cyclic"):
        Manifest.model_validate({"agents": {"a": loop}})


def test_a_thousand_faulty_agents_are_all_reported() -> None:
    text = "agents:\n" + "".join(
        f"  agent{n}: {{unknown: 1, connections: [{{type: node, name: agnt{n}}}]}}\n" for n in range(1000)
    )

    assert len(problems_of(text)) == 2000


@pytest.mark.parametrize("order", [1, -1])
def test_five_thousand_heirs_in_a_row_are_resolved(order: int) -> None:
    lines = [f"  a{n}: {{inherits: a{n - 1}}}\n" if n else "  a0: {retries: 7}\n" for n in range(5000)]

    manifest = parse_manifest("agents:\n" + "".join(lines[::order]), env={})

    assert {agent.retries for agent in manifest.agents.values()} == {7}


def test_five_thousand_agents_in_one_circle_are_reported_once() -> None:
    text = "agents:\n" + "".join(f"  a{n}: {{inherits: a{(n + 1) % 5000}}}\n" for n in range(5000))

    assert len(problems_of(text)) == 1


def test_a_thousand_teams_that_contain_themselves_are_refused_with_the_first_ones() -> None:
    text = "teams:\n" + "".join(f"  t{n}: {{mode: parallel, members: [t{n}]}}\n" for n in range(1000))

    assert len(problems_of(text)) == 20


@pytest.mark.parametrize("order", [1, -1])
def test_a_thousand_nested_responses_are_refused(order: int) -> None:
    lines = [f"  R{n}: {{fields: {{f: {f'R{n + 1}' if n < 999 else 'str'}}}}}\n" for n in range(1000)]

    assert any("nested deeper" in problem.message for problem in problems_of("responses:\n" + "".join(lines[::order])))
