"""Connections to files: where they may write, and what becomes of messages that cannot be written."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

from actors.config.load import load_manifest
from actors.pool.pool import AgentPool

if TYPE_CHECKING:
    from pathlib import Path


async def write(folder: Path, connection: str, *prompts: str, agent: str = "a") -> list[str]:
    """Run an agent whose answers go to a file; return what its connection has noted as errors."""
    file = folder / "agents.yml"
    shout = "type: callback, callback: 'tests.pool.manifest_functions:shout'"
    file.write_text(
        f"allow_imports: [tests.pool]\nagents: {{'{agent}': {{{shout}, connections: [{{type: file, {connection}}}]}}}}",
        encoding="utf-8",
    )
    async with AgentPool[None](load_manifest(file)) as pool:
        for prompt in prompts:
            await pool[agent].run(prompt, wait_for_connections=True)
        (talk,) = pool.connection_registry.values()
        return [text for _, text, _ in talk.stats.errors]


def files(folder: Path) -> list[Path]:
    """Return the files of a folder and of those in it."""
    return [file for file in folder.rglob("*") if file.is_file()]


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A folder beside that of the manifest."""
    (tmp_path / "outside").mkdir()
    return tmp_path / "outside"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """The folder of the manifest."""
    (tmp_path / "home").mkdir()
    return tmp_path / "home"


@pytest.mark.parametrize("name", ["../outside/x", "..", "a/../../outside/x", "/etc/x", "..\\x"])
async def test_the_name_of_an_agent_cannot_lead_out_of_the_folder(
    home: Path, outside: Path, name: str, no_leaked_actors: None
) -> None:
    assert await write(home, "path: 'logs/{agent}'", "hi", agent=name) == []

    assert files(outside) == []
    assert [file.parent for file in files(home) if file.name != "agents.yml"] == [home / "logs"]


async def test_a_folder_that_is_a_link_to_elsewhere_is_not_written_to(
    home: Path, outside: Path, no_leaked_actors: None
) -> None:
    (home / "logs").symlink_to(outside)

    (error,) = await write(home, "path: logs/deep/x.log", "hi")

    assert "is a link that leads out" in error
    assert files(outside) == []


async def test_a_folder_that_becomes_a_link_meanwhile_is_not_followed(
    home: Path, outside: Path, no_leaked_actors: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def swap(path: Any, *args: Any, **options: Any) -> None:
        make(path, *args, **options)
        if path == "deep":
            (home / "logs" / "deep").rename(home / "old")
            (home / "logs" / "deep").symlink_to(outside)

    make = os.mkdir
    monkeypatch.setattr(os, "mkdir", swap)

    (error,) = await write(home, "path: logs/deep/x.log", "hi")

    assert "Not a directory" in error
    assert files(outside) == []


async def test_a_link_in_place_of_the_file_is_not_followed(home: Path, outside: Path, no_leaked_actors: None) -> None:
    (outside / "secret").write_text("secret")
    (home / "x.log").symlink_to(outside / "secret")

    (error,) = await write(home, "path: x.log", "hi")

    assert "cannot be written" in error
    assert (outside / "secret").read_text() == "secret"


async def test_a_named_pipe_holds_nobody(home: Path, no_leaked_actors: None) -> None:
    os.mkfifo(home / "x.log")

    (error,) = await write(home, "path: x.log", "hi")

    assert "cannot be written" in error


async def test_a_folder_in_place_of_the_file_is_an_error_that_names_it(home: Path, no_leaked_actors: None) -> None:
    (home / "x.log").mkdir()

    (error,) = await write(home, "path: x.log", "hi")

    assert "x.log' of its connection cannot be written: Is a directory" in error


async def test_an_absolute_path_is_what_the_manifest_says(home: Path, outside: Path, no_leaked_actors: None) -> None:
    assert await write(home, f"path: '{outside}/x.log', template: '{{content}};'", "hi", "ho") == []

    assert (outside / "x.log").read_text() == "HI;HO;"


@pytest.mark.parametrize(("encoding", "written"), [("utf-16", "ÄÖ"), ("ascii", "\\xc4\\xd6")])
async def test_what_an_encoding_cannot_say_is_written_another_way(
    home: Path, encoding: str, written: str, no_leaked_actors: None
) -> None:
    connection = f"path: x.log, encoding: {encoding}, template: '{{content}}'"

    assert await write(home, connection, "ä", "ö") == []

    assert (home / "x.log").read_text(encoding=encoding) == written
