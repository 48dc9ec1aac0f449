import pytest
import yaml

from actors.config.yaml import parser as source
from actors.config.yaml.parser import read_source
from actors.config.yaml.problem import InvalidManifestError, Problem
from actors.config.yaml.tree import Row, SourceLimits, Table, table_at


@pytest.fixture(params=["c", "python"], autouse=True)
def parser(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Run every test with both parsers, since a machine may lack the one in C."""
    loader = yaml.SafeLoader if request.param == "python" else getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    monkeypatch.setattr(source, "_Loader", loader)
    return str(request.param)


def refused(text: str, limits: SourceLimits | None = None) -> Problem:
    with pytest.raises(InvalidManifestError) as caught:
        read_source(text, name="m.yml", limits=limits or SourceLimits())
    (problem,) = caught.value.problems
    return problem


def test_values_remember_their_file_and_line() -> None:
    tree, _ = read_source("a: 1\nb:\n  - x\n  - {c: 2}\n", name="m.yml")

    row = tree["b"]
    assert isinstance(row, Row)
    assert (tree.value_mark("a"), row.marks[0].line) == (("m.yml", 1), 3)
    entry = row[1]
    assert isinstance(entry, Table)
    assert (tree.key_mark("b").line, entry.value_mark("c").line) == (2, 4)


def test_a_key_written_twice_names_both_lines_and_reading_goes_on() -> None:
    tree, problems = read_source("a: 1\nb: 2\na: 3\n", name="m.yml")

    assert tree == {"a": 1, "b": 2}
    assert [str(problem) for problem in problems] == ["m.yml:3: key 'a' is written twice: in lines 1 and 3"]


def test_keys_are_text_whatever_they_look_like() -> None:
    tree, _ = read_source("1: a\nno: b\nnull: c\n2024-01-01: d\n", name="m.yml")

    assert list(tree) == ["1", "no", "null", "2024-01-01"]


def test_quoted_values_are_text() -> None:
    tree, _ = read_source("a: '1'\nb: \"true\"\nc: ''\nd: !!str 5\n", name="m.yml")

    assert tree == {"a": "1", "b": "true", "c": "", "d": "5"}


def test_anchors_and_merge_keys_work_and_own_keys_win() -> None:
    tree, _ = read_source("a: &base {x: 1, y: 2}\nb:\n  <<: *base\n  y: 3\nc: {<<: [*base, {z: 4}]}\n", name="m.yml")

    assert tree["b"] == {"y": 3, "x": 1}
    assert tree["c"] == {"x": 1, "y": 2, "z": 4}
    assert table_at(tree, "b").value_mark("x").line == 1


@pytest.mark.parametrize("text", ["", "# nothing\n", "---\n", "~\n", "\n\n"])
def test_an_empty_file_is_refused(text: str) -> None:
    assert "empty" in refused(text).message


@pytest.mark.parametrize(
    ("text", "found"), [("- a\n", "a list"), ("word\n", "a single value"), ("5", "a single value")]
)
def test_a_top_level_that_is_no_map_is_refused(text: str, found: str) -> None:
    assert refused(text).message.endswith(f"found {found}")


def test_a_tab_is_named() -> None:
    problem = refused("agents:\n\ta: {}\n")

    assert (problem.line, problem.message) == (2, "a tab cannot indent YAML; use spaces")


@pytest.mark.parametrize(
    "text", ["a: [1, 2", "a: {b", "a: 'x", "a: b: c", "a: *nowhere", "a: &x [*x]", "%YAML 9.9\n--- {}", "? [a]\n: b"]
)
def test_broken_yaml_is_refused_with_a_line(text: str) -> None:
    assert refused(text).line >= 1


@pytest.mark.parametrize(
    "tag",
    [
        "!!python/object/apply:os.getpid []",
        "!!binary aGk=",
        "!mine x",
        "!!set {a}",
        "!!timestamp 2024-01-01",
        "!!int 5",
    ],
)
def test_tags_are_refused(tag: str) -> None:
    assert "tag" in refused(f"a: {tag}\n").message


def test_a_second_document_is_refused() -> None:
    assert "second document" in refused("a: 1\n---\nb: 2\n").message


def test_an_alias_bomb_is_refused() -> None:
    bomb = "a0: &a0 [x,x,x,x,x,x,x,x,x]\n"
    bomb += "".join(f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 10))

    assert "values when every alias is written out" in refused(bomb).message


def test_too_many_aliases_are_refused() -> None:
    assert "aliases" in refused("a: &a x\nb: [" + "*a, " * 20 + "]\n", SourceLimits(aliases=10)).message


@pytest.mark.parametrize("opening", ["[", "{a: ", "- "])
def test_five_thousand_nested_brackets_are_refused(opening: str) -> None:
    assert "nested deeper" in refused("a: " * (opening == "[") + opening * 5000).message


def test_nesting_through_aliases_is_refused() -> None:
    text = "a0: &a0 [x]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}]\n" for n in range(1, 100))

    assert "nested deeper" in refused(text).message


def test_depth_is_counted_the_same_with_and_without_aliases() -> None:
    limits = SourceLimits(depth=3)

    tree, _ = read_source("a: [[x]]\nb: &b [x]\nc: [*b]\n", name="m.yml", limits=limits)
    assert tree["c"] == [["x"]]
    assert "nested deeper" in refused("a: [[[x]]]", limits).message
    assert "nested deeper" in refused("b: &b [[x]]\nc: [*b]", limits).message


def test_a_text_over_the_limit_is_refused() -> None:
    assert "limit is 10" in refused("a: " + "x" * 20, SourceLimits(bytes=10)).message


def test_a_text_that_is_no_unicode_is_refused() -> None:
    assert "not valid Unicode" in refused("a: \ud800").message


def test_control_characters_are_refused() -> None:
    assert "not readable as YAML" in refused("a: \x07\n").message


def test_an_error_does_not_quote_the_line() -> None:
    assert "hunter2" not in str(refused("password: 'hunter2\n"))
