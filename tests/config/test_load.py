from copy import deepcopy
from pathlib import Path

import pytest

from actors.config.load import load_agent, load_manifest
from actors.config.manifest import Manifest
from actors.config.yaml.problem import InvalidManifestError, Problem
from protocols.errors import ManifestError
from tests.config.manifest_text import CONTRACT_EXAMPLE, problem_of, problems_of, read


def test_the_example_of_the_contract_loads() -> None:
    manifest = read(CONTRACT_EXAMPLE)

    reader = manifest.agents["reader"]
    assert [trigger.name for trigger in reader.triggers] == ["notes", "hook"]
    assert manifest.teams["writers"].members == ("first", "second")
    assert manifest.jobs["digest"].prompt.text == "Sum up the notes"
    assert list(manifest.responses["Digest"].fields) == ["text"]


def test_a_file_gives_the_same_as_its_text(tmp_path: Path) -> None:
    (tmp_path / "m.yml").write_text(CONTRACT_EXAMPLE)

    assert load_manifest(str(tmp_path / "m.yml")).model_dump() == read(CONTRACT_EXAMPLE).model_dump()


def test_plain_data_gives_the_same_as_yaml() -> None:
    data = {"agents": {"a": {"model": "test", "system_prompts": ["x"]}}}

    assert Manifest.model_validate(data) == read("agents: {a: {model: test, system_prompt: x}}")


def test_all_problems_come_at_once_in_the_order_of_the_file() -> None:
    problems = problems_of("""
        agents:
          writer:
            promt: x
            retries: many
            connections: [{type: node, name: nobody}]
          writer: {}
        teams:
          t: {mode: sideways, members: [writer, writter]}
          u: {mode: parallel, members: [u]}
        unknown: 5
    """)

    assert [(problem.line, problem.path) for problem in problems] == [
        (4, "agents.writer.promt"),
        (5, "agents.writer.retries"),
        (6, "agents.writer.connections[0].name"),
        (7, ""),
        (9, "teams.t.mode"),
        (9, "teams.t.members[1]"),
        (10, "teams.u"),
        (11, "unknown"),
    ]


def test_the_error_is_the_shared_one_and_names_the_first_place() -> None:
    with pytest.raises(ManifestError) as caught:
        read("agents:\n  a: {model: 5}\n")

    assert (caught.value.file, caught.value.line, caught.value.key) == ("m.yml", 2, "agents.a.model")
    assert str(caught.value) == "m.yml:2: agents.a.model: expected text or a map of keys, got 5"


def test_an_unknown_key_is_refused_with_the_nearest_known_one() -> None:
    problem = problem_of("agents:\n  a:\n    modell: test\n")

    assert (problem.line, problem.path) == (3, "agents.a.modell")
    assert problem.message == "unknown key 'modell'; did you mean 'model'?"


def test_a_key_of_another_framework_is_refused_with_advice() -> None:
    assert "use 'knowledge' and 'tools'" in problem_of("agents: {a: {environment: {}}}").message
    assert "not supported" in problem_of("observability: {}").message


def test_two_spellings_of_one_key_are_refused() -> None:
    assert "two spellings" in problem_of("agents: {a: {result_type: str, output_type: str}}").message


def test_a_problem_shows_the_spelling_of_the_file() -> None:
    assert problem_of("agents: {a: {system_prompts: 5}}").path == "agents.a.system_prompts"


def test_a_missing_key_points_to_the_map_that_lacks_it() -> None:
    problem = problem_of("teams:\n  t:\n    mode: parallel\n")

    assert (problem.path, problem.message, problem.value) == ("teams.t.members", "is required", None)


def test_a_name_used_for_an_agent_and_a_team_is_refused_with_both_lines() -> None:
    problem = problem_of("agents:\n  x: {}\n  y: {}\nteams:\n  x: {mode: parallel, members: [y]}\n")

    assert (problem.line, problem.path) == (5, "teams.x")
    assert "also that of an agent (line 2)" in problem.message


def test_a_name_that_differs_from_its_key_is_refused() -> None:
    assert "the name is the key 'a'" in problem_of("agents: {a: {name: b}}").message
    assert read("agents: {a: {name: a}}").agents["a"].name == "a"


@pytest.mark.parametrize("key", ["password", "secret", "api_key", "my-token", "Authorization"])
def test_the_value_of_a_secret_key_is_never_shown(key: str) -> None:
    servers = f"{{command: x, env: {{{key}: [canary]}}}}, {{command: x, env: {{{key}: ''}}}}"
    text = f"agents: {{a: {{mcp_servers: [{servers}]}}}}"

    found = "\n".join(str(problem) for problem in problems_of(text))

    assert found.count(key) == 2
    assert "canary" not in found


def test_the_password_in_an_address_is_never_shown() -> None:
    url = "'http://me:canary@x'"

    found = "\n".join(map(str, problems_of(f"agents: {{a: {{retries: {url}, mcp_servers: [{url}]}}}}")))

    assert "'http://***@x'" in found
    assert "canary" not in found


def test_secrets_are_masked_in_repr_and_dump() -> None:
    manifest = read("""
        agents:
          a:
            triggers:
              - {type: webhook, name: w, port: 1, path: /x, secret: canary1}
              - {type: email, name: e, host: h, username: u, password: canary2}
            mcp_servers: [{url: "http://localhost:1/x", headers: {Authorization: canary3}}]
        storage: {type: postgres, url: "postgresql://u:canary4@h/d"}
    """)

    assert "canary" not in repr(manifest) + str(manifest) + manifest.model_dump_json()


def test_no_cause_with_the_data_is_chained() -> None:
    with pytest.raises(InvalidManifestError) as caught:
        read("agents: {a: {retries: x}}")

    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_a_section_without_content_counts_as_not_written() -> None:
    manifest = read("agents:\nteams:\njobs: ~\nstorage:\n")

    assert (manifest.agents, manifest.teams, manifest.storage) == ({}, {}, None)


def test_model_and_limits_may_stand_at_the_top() -> None:
    defaults = read("model: offline\nlimits: {requests: 5}\ndefaults: {retries: 2}").defaults

    assert defaults.model is not None
    assert defaults.limits is not None
    assert (defaults.model.name, defaults.limits.requests, defaults.retries) == ("offline", 5, 2)


def test_a_model_at_the_top_and_in_the_defaults_is_refused() -> None:
    assert "model" in problem_of("model: offline\ndefaults: {model: test}").message


def test_knowledge_files_that_are_missing_and_patterns_that_match_nothing_are_reported(tmp_path: Path) -> None:
    (tmp_path / "there.md").write_text("x")
    path = tmp_path / "m.yml"
    path.write_text(
        "jobs: {j: {prompt: x, knowledge: [there.md, gone.md, 'any/*.md', '*.md']}}\n"
        "agents: {a: {knowledge: {paths: [no.md]}}}"
    )

    with pytest.raises(InvalidManifestError) as caught:
        load_manifest(path)

    assert [problem.path for problem in caught.value.problems] == [
        "jobs.j.knowledge[1]",
        "jobs.j.knowledge[2]",
        "agents.a.knowledge.paths[0]",
    ]


def test_a_problem_renders_without_a_place() -> None:
    assert str(Problem("is wrong")) == "is wrong"


def test_a_long_value_is_shortened() -> None:
    problem = problem_of("agents: {a: {retries: " + "x" * 5000 + "}}")

    assert problem.value is not None
    assert len(problem.value) < 100


def test_a_file_that_anybody_may_change_cannot_name_code(tmp_path: Path) -> None:
    path = tmp_path / "m.yml"
    path.write_text("agents: {}\nallow_imports: [pkg]\n")
    path.chmod(0o666)

    with pytest.raises(InvalidManifestError, match="can be changed by every user") as caught:
        load_manifest(path)
    assert caught.value.line == 2
    path.chmod(0o664)
    assert load_manifest(path).allow_imports == ("pkg",)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("agents: {writer: {model: test}}", "writer"),
        ("model: test", "single"),
        ("name: writer\nmodel: test\nallow_imports: [pkg]\ntools: ['pkg:f']", "writer"),
    ],
)
def test_a_file_of_a_single_agent_may_hold_just_its_keys(text: str, name: str, tmp_path: Path) -> None:
    (tmp_path / "single.yml").write_text(text)

    (agent,) = load_agent(tmp_path / "single.yml").agents.values()

    assert agent.model is not None
    assert (agent.name, agent.model.name) == (name, "test")


def test_a_wrong_key_in_a_file_of_a_single_agent_has_its_line(tmp_path: Path) -> None:
    (tmp_path / "single.yml").write_text("model: test\nretries: x\n")

    with pytest.raises(InvalidManifestError) as caught:
        load_agent(tmp_path / "single.yml")
    assert [(item.line, item.path) for item in caught.value.problems] == [(2, "retries")]


def test_a_file_of_several_agents_is_not_one_of_a_single_agent(tmp_path: Path) -> None:
    (tmp_path / "m.yml").write_text("agents: {a: {}, b: {}}")

    with pytest.raises(InvalidManifestError, match="expected exactly one agent, found 2: a, b"):
        load_agent(tmp_path / "m.yml")


def test_one_map_under_two_names_by_an_alias_is_two_agents() -> None:
    manifest = read("""
        agents:
          a: &both {model: test, retries: 3}
          b: *both
    """)

    assert [(agent.name, agent.retries) for agent in manifest.agents.values()] == [("a", 3), ("b", 3)]


def test_plain_data_is_not_changed() -> None:
    data: dict[str, object] = {"agents": {"a": {"model": "test"}}, "model": "offline"}
    before = deepcopy(data)

    Manifest.model_validate({"agents": data["agents"]})

    assert data == before


def test_a_model_for_all_that_is_written_twice_is_refused() -> None:
    problem = problem_of("model: test\ndefaults: {model: offline}")

    assert (problem.path, problem.message) == (
        "model",
        "'model' is written here and in 'defaults'; write one of them",
    )


@pytest.mark.parametrize("name", ["'a\\nb'", '"\\u202eb"', '"\\a"', "' a'"])
@pytest.mark.parametrize(
    "text", ["name: {}", "agents: {{{}: {{}}}}", "agents: {{a: {{}}}}\njobs: {{{}: {{prompt: x}}}}"]
)
def test_a_name_that_would_fool_a_terminal_is_refused(text: str, name: str) -> None:
    name = name.replace("'a\\nb'", '"a\\nb"')

    assert [problem.message for problem in problems_of(text.format(name))] == [
        "expected a name without line breaks, control characters or spaces at its ends"
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("agents: {a: {timeout: {x: 5}}}", "agents.a.timeout: expected a time"),
        ("agents: {a: {connections: [{type: [5]}]}}", "expected one of 'node', 'file', 'callable', got a list"),
        ("agents: {a: {session: {since: soon}}}", "expected a date and time with its zone"),
        ("agents: {a: {system_prompt: {file: [5]}}}", "expected the path of a file, got a list"),
        ("agents: {a: {retries: 100000000000000000}}", "must be at most 1000000000000000"),
        ("agents: {a: {model: {name: x, settings: {seed: true}}}}", "expected a number, got True"),
        ("jobs: {j: {prompt: ''}}", "jobs.j.prompt: must not be empty"),
    ],
)
def test_a_wrong_value_is_explained_in_the_words_of_the_manifest(text: str, expected: str) -> None:
    assert expected in str(problem_of(text))


def test_control_characters_of_a_key_are_escaped_in_the_error() -> None:
    problem = problem_of('agents: {"a\\u202eb\\n": {}}')

    assert problem.path == "agents.a\\u202eb\\n"


def test_files_that_are_missing_are_reported_with_the_rest(tmp_path: Path) -> None:
    (tmp_path / "there.md").touch()
    (tmp_path / "folder").mkdir()
    (tmp_path / "m.yml").write_text("""
agents:
  a:
    system_prompts: [{file: there.md}, {file: no.md}]
    instructions: {file: none.md}
    knowledge: [there.md, "*.md", folder]
    retries: x
jobs:
  j: {prompt: {file: nothing.md}, knowledge: {paths: [nowhere.md]}}
""")

    with pytest.raises(InvalidManifestError) as caught:
        load_manifest(tmp_path / "m.yml")
    assert [(problem.line, problem.path) for problem in caught.value.problems] == [
        (4, "agents.a.system_prompts[1].file"),
        (5, "agents.a.instructions.file"),
        (6, "agents.a.knowledge[2]"),
        (7, "agents.a.retries"),
        (9, "jobs.j.knowledge.paths[0]"),
        (9, "jobs.j.prompt.file"),
    ]


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("storage: {path: x.db}", "storage.type"),
        ("storage: {type: tape}", "storage.type"),
        ("storage: {providers: [{type: tape}]}", "storage.providers[0].type"),
        ("model: 5", "model"),
        ("model: {base_url: x}", "model.name"),
        ("model: 5\ndefaults: {timeout: 3}", "model"),
        ("defaults: {model: 5}", "defaults.model"),
        ("limits: {tokens: x}\ndefaults:", "limits.tokens"),
        ('agents: {" a": {}}', "agents. a"),
    ],
)
def test_a_problem_names_the_keys_that_were_written(text: str, path: str) -> None:
    assert problem_of(text).path == path


def test_a_map_of_defaults_that_says_nothing_takes_no_model_away() -> None:
    assert read("model: test\ndefaults:\nagents: {a: {}}").defaults.model is not None
    assert Manifest.model_validate({"model": "test", "defaults": {"timeout": 3}}).defaults.model is not None
