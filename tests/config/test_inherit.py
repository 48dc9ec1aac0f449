from pathlib import Path

import pytest

from actors.config.load import load_manifest, parse_manifest
from actors.config.manifest import Manifest
from actors.config.yaml.problem import InvalidManifestError, Problem
from actors.config.yaml.tree import SourceLimits
from tests.config.manifest_text import problem_of, problems_of, read


def write(folder: Path, **files: str) -> Path:
    """Write files named without their ending; return the one called `main`."""
    for name, text in files.items():
        path = folder / f"{name}.yml"
        path.write_text(text)
    return folder / "main.yml"


def refused(path: Path, limits: SourceLimits | None = None) -> list[Problem]:
    with pytest.raises(InvalidManifestError) as caught:
        load_manifest(path, env={}, limits=limits or SourceLimits())
    return list(caught.value.problems)


def load(folder: Path, **files: str) -> Manifest:
    return load_manifest(write(folder, **files), env={"WHICH": "base"})


def test_a_file_is_laid_over_the_one_it_inherits(tmp_path: Path) -> None:
    manifest = load(
        tmp_path,
        base="agents: {a: {model: test, description: old, limits: {requests: 1, cost: 2}}, b: {}}",
        main="INHERIT: base.yml\nagents: {a: {description: new, limits: {cost: 3}}}",
    )

    agent = manifest.agents["a"]
    assert agent.model is not None
    assert agent.limits is not None
    assert (agent.model.name, agent.description, agent.limits.requests, agent.limits.cost) == ("test", "new", 1, 3)
    assert list(manifest.agents) == ["b", "a"]


def test_later_files_of_the_list_win_and_lists_are_replaced(tmp_path: Path) -> None:
    manifest = load(
        tmp_path,
        one="agents: {a: {description: one, system_prompt: [x, y]}}",
        two="agents: {a: {description: two, system_prompt: [z]}}",
        main="INHERIT: [one.yml, two.yml]",
    )

    agent = manifest.agents["a"]
    assert (agent.description, [prompt.text for prompt in agent.system_prompt]) == ("two", ["z"])


def test_paths_are_relative_to_the_file_that_names_them(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    write(tmp_path / "sub", middle="INHERIT: leaf.yml\nagents: {m: {}}", leaf="agents: {l: {}}")

    manifest = load(tmp_path, main="INHERIT: sub/middle.yml")

    assert sorted(manifest.agents) == ["l", "m"]
    assert [path.name for path in manifest.files] == ["main.yml", "middle.yml", "leaf.yml"]
    assert manifest.root == tmp_path.resolve()


def test_a_file_name_may_come_from_the_environment(tmp_path: Path) -> None:
    assert list(load(tmp_path, base="agents: {b: {}}", main="INHERIT: ${WHICH}.yml").agents) == ["b"]


def test_a_file_that_two_others_inherit_is_read_once(tmp_path: Path) -> None:
    manifest = load(
        tmp_path,
        root="agents: {r: {}}",
        left="INHERIT: root.yml",
        right="INHERIT: root.yml",
        main="INHERIT: [left.yml, right.yml]",
    )

    assert sorted(path.stem for path in manifest.files) == ["left", "main", "right", "root"]


def test_files_in_a_circle_are_refused_with_the_chain(tmp_path: Path) -> None:
    (problem,) = refused(write(tmp_path, main="\nINHERIT: b.yml", b="INHERIT: c.yml", c="\n\nINHERIT: main.yml"))

    assert problem.message.endswith("'main.yml' -> 'b.yml' -> 'c.yml' -> 'main.yml'")
    assert (Path(problem.file).name, problem.line) == ("c.yml", 3)


def test_a_missing_parent_is_reported_where_it_is_named_together_with_the_rest(tmp_path: Path) -> None:
    missing, other = refused(write(tmp_path, main="INHERIT: [gone.yml]\nagents: {a: {retries: x}}"))

    assert (missing.line, missing.path, "gone.yml" in missing.message) == (1, "INHERIT", True)
    assert other.path == "agents.a.retries"


@pytest.mark.parametrize("value", ["5", "[5]", "{a: b}", "http://example.org/x.yml", "''"])
def test_inherit_takes_only_files(value: str) -> None:
    assert problem_of(f"INHERIT: {value}\nagents: {{}}").message == "expected the path of a file"


def test_too_many_files_are_refused(tmp_path: Path) -> None:
    files = {f"f{number}": f"INHERIT: f{number + 1}.yml" for number in range(10)}

    (problem,) = refused(write(tmp_path, main="INHERIT: f0.yml", **files), SourceLimits(files=5))

    assert problem.message == "more than 5 files"


def test_an_error_points_to_the_file_that_holds_the_value(tmp_path: Path) -> None:
    (problem,) = refused(
        write(tmp_path, base="agents:\n  a:\n    retries: many\n", main="INHERIT: base.yml\nagents: {a: {debug: yes}}")
    )

    assert (Path(problem.file).name, problem.line, problem.path) == ("base.yml", 3, "agents.a.retries")


def test_two_spellings_of_a_key_meet_when_files_are_mixed(tmp_path: Path) -> None:
    manifest = load(
        tmp_path, base="agents: {a: {result_type: int}}", main="INHERIT: base.yml\nagents: {a: {output_type: str}}"
    )

    assert manifest.agents["a"].output_type == "str"


def test_a_key_without_a_value_takes_the_inherited_one_away() -> None:
    assert read("agents: {p: {description: x}, c: {inherits: p, description: }}").agents["c"].description is None


def test_an_agent_takes_over_the_keys_of_its_parent_but_not_its_names() -> None:
    agents = read("""
        agents:
          c: {inherits: b, retries: 3}
          b: {inherits: a, limits: {cost: 2}, display_name: Bee}
          a: {model: test, limits: {requests: 1}, retries: 1}
    """).agents

    child = agents["c"]
    assert child.model is not None
    assert child.limits is not None
    assert (child.model.name, child.retries, child.limits.requests, child.limits.cost) == ("test", 3, 1, 2)
    assert (child.name, child.display_name) == ("c", None)


def test_a_connection_of_another_kind_replaces_the_inherited_one() -> None:
    agents = read("""
        agents:
          a: {provider: {type: callback, callback: "builtins:str"}}
          b: {inherits: a, provider: {type: pydantic_ai}}
    """).agents

    assert agents["b"].function is None


def test_agents_in_a_circle_are_reported_once() -> None:
    problem = problem_of("agents: {x: {inherits: a}, a: {inherits: b}, b: {inherits: c}, c: {inherits: a}}")

    assert problem.message == "agents inherit from each other in a circle: 'a' -> 'b' -> 'c' -> 'a'"


def test_an_agent_that_inherits_from_itself_is_refused() -> None:
    assert "circle: 'a' -> 'a'" in problem_of("agents: {a: {inherits: a}}").message


def test_an_unknown_parent_is_refused_with_the_nearest_name() -> None:
    problem = problem_of("agents:\n  writer: {}\n  editor: {inherits: writr}\n")

    assert (problem.line, problem.path) == (3, "agents.editor.inherits")
    assert "did you mean 'writer'" in problem.message


def test_a_faulty_value_is_reported_for_the_heir_too_at_the_line_where_it_was_written() -> None:
    problems = problems_of("agents:\n  a:\n    retries: x\n  b: {inherits: a}\n")

    assert {(problem.path, problem.line) for problem in problems} == {("agents.a.retries", 3), ("agents.b.retries", 3)}


def test_a_long_line_of_heirs_is_resolved() -> None:
    text = "agents:\n  a0: {retries: 7}\n" + "".join(f"  a{n}: {{inherits: a{n - 1}}}\n" for n in range(1, 300))

    assert parse_manifest(text, env={}).agents["a299"].retries == 7


def test_the_home_of_somebody_unknown_is_no_place_for_a_file() -> None:
    problem = problem_of("INHERIT: '~nobody-of-this-name/x.yml'")

    assert (problem.path, problem.message) == ("INHERIT", "expected the path of a file")
