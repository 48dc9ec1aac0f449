"""An agent that a file describes: `Agent("config.yml")`."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from actors.agents.agent import Agent
from protocols.errors import ConfigError, ManifestError, NodeStartError
from tests.cli.conftest import ROOT

if TYPE_CHECKING:
    from pathlib import Path

ALONE = "name: analyzer\nmodel: offline\ndescription: Looks closely\nsystem_prompt: One sentence.\ntimeout: 7s\n"
WITHIN = "agents: {writer: {model: test}}\n"
KNOWING = (
    "allow_imports: [tests.pool]\nmodel: offline\nknowledge: {callables: ['tests.pool.manifest_functions:fact']}\n"
)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "config.yml"
    path.write_text(ALONE, encoding="utf-8")
    return path


@pytest.mark.seed("S86")
async def test_an_agent_is_made_from_its_file(file: Path, no_leaked_actors: None) -> None:
    async with Agent(str(file), parallel_init=True) as agent:
        answer = await agent.run("Cats sleep all day long on the mat. Dogs bark.")

    assert (agent.name, agent.description, agent.timeout, agent.model) == ("analyzer", "Looks closely", 7.0, "offline")
    assert answer.content == "Cats sleep all day long on the mat."


def test_parallel_start_can_be_switched_off_in_code(file: Path) -> None:
    assert Agent(file).settings.parallel_init
    assert not Agent(file, parallel_init=False).settings.parallel_init


def test_another_model_can_be_named_in_code(file: Path) -> None:
    assert Agent(str(file), model="test").model == "test"


def test_a_manifest_with_one_agent_is_a_file_of_an_agent(tmp_path: Path) -> None:
    path = tmp_path / "any-name.manifest"
    path.write_text(WITHIN, encoding="utf-8")

    assert Agent.from_config(path).name == "writer"


def test_a_file_without_a_name_gives_the_agent_its_own(tmp_path: Path) -> None:
    path = tmp_path / "planner.yaml"
    path.write_text("model: offline\n", encoding="utf-8")

    assert Agent(path).name == "planner"


async def test_its_knowledge_is_loaded_on_entering_and_in_its_context(tmp_path: Path, no_leaked_actors: None) -> None:
    path = tmp_path / "guide.yml"
    path.write_text(KNOWING, encoding="utf-8")
    async with Agent(path) as agent:
        assert "tower is 300 metres" in (await agent.run("How high is the tower?")).content


async def test_knowledge_that_cannot_be_loaded_is_one_clear_error(tmp_path: Path, no_leaked_actors: None) -> None:
    path = tmp_path / "guide.yml"
    path.write_text(KNOWING.replace("manifest_functions:fact", "test_life:raises"), encoding="utf-8")
    with pytest.raises(NodeStartError, match=r"knowledge .* cannot be loaded: OSError: no network"):
        await Agent(path).open()


@pytest.mark.parametrize("content", [None, "modle: x\n", "agents: {a: {}, b: {}}\n", "- a\n"])
def test_a_file_that_describes_no_agent_is_refused(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "config.yml"
    if content is not None:
        path.write_text(content, encoding="utf-8")

    with pytest.raises(ManifestError, match=r"config\.yml"):
        Agent(str(path))


@pytest.mark.parametrize(
    ("setting", "value"),
    [("system_prompt", "Be kind."), ("output_type", int), ("tools", [len]), ("retries", 3), ("description", "x")],
)
def test_what_belongs_into_the_file_is_refused_in_code(file: Path, setting: str, value: object) -> None:
    with pytest.raises(ConfigError, match=f"'{setting}' belongs into the file"):
        Agent(str(file), **{setting: value})  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]


def test_agents_that_are_made_in_code_do_not_load_yaml() -> None:
    code = (
        "import sys\nfrom actors import Agent\nAgent('a')\nsys.exit(bool({'yaml', 'actors.config'} & set(sys.modules)))"
    )

    assert subprocess.run([sys.executable, "-c", code], check=False, cwd=ROOT).returncode == 0


@pytest.mark.parametrize(
    "key",
    [
        "triggers: [{type: time, name: daily, schedule: '0 9 * * *', prompt: Go}]",
        "connections: [{type: file, path: out.txt}]",
        "supervision: {restart: permanent}",
        "mailbox: {capacity: 5}",
        "debug: true",
    ],
)
def test_a_key_that_only_a_pool_acts_upon_is_refused_in_the_file_of_one_agent(file: Path, key: str) -> None:
    file.write_text(f"{ALONE}{key}\n", encoding="utf-8")

    with pytest.raises(ConfigError, match=rf"'analyzer': {key.partition(':')[0]} has no effect.*AgentPool"):
        Agent(file)
