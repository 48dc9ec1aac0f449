"""Knowledge of a manifest: files, patterns, addresses and functions, all within one bound."""

from __future__ import annotations

import asyncio
import sys
import threading
from typing import TYPE_CHECKING, Any
from unicodedata import normalize

import pytest

from actors.agents.manifest.imports import ImportScope
from actors.agents.manifest.knowledge import knowledge_of
from actors.config.load import parse_manifest
from actors.prompts.knowledge import KnowledgeLimit, KnowledgeSource
from protocols.errors import ConfigError
from tests.prompts.test_web_page import TEXT, server

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def known(root: Path, knowledge: str) -> list[Any]:
    """Return what an agent is given whose manifest lies in a folder."""
    text = f"allow_imports: [tests.pool]\nagents: {{a: {{knowledge: {knowledge}}}}}"
    spec = parse_manifest(text, env={}).agents["a"].knowledge
    return knowledge_of(spec, root, ImportScope(["tests.pool"]), "a")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder with notes, beside one that is none of its business."""
    for name in ("root/notes/deep/a.md", "root/notes/b.md", "root/shared/c.md", "outside/secret.md"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    return tmp_path / "root"


def test_a_pattern_finds_files_in_every_folder_in_order(root: Path) -> None:
    assert [str(path.relative_to(root)) for path in known(root, "['notes/**/*.md']")] == [
        "notes/b.md",
        "notes/deep/a.md",
    ]


def test_a_link_in_a_pattern_may_stay_inside_but_not_lead_out(root: Path) -> None:
    (root / "notes" / "inside.md").symlink_to(root / "shared" / "c.md")
    (root / "notes" / "outside.md").symlink_to(root.parent / "outside" / "secret.md")
    (root / "notes" / "folder").symlink_to(root.parent / "outside")

    assert [path.name for path in known(root, "['notes/*.md', 'notes/*/*.md']")] == ["b.md", "inside.md", "a.md"]


def test_a_pattern_that_finds_nothing_is_an_error(root: Path) -> None:
    with pytest.raises(ConfigError, match=r"'none/\*.md' matches no file"):
        known(root, "['none/*.md']")


@pytest.mark.parametrize(("written", "stored"), [("NFC", "NFD"), ("NFD", "NFC")])
def test_names_are_found_however_their_accents_are_stored(root: Path, written: str, stored: str) -> None:
    file = root / normalize(stored, "Erträge [1].md")  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
    file.write_text("Much.")
    name = normalize(written, "Erträge")  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]

    assert known(root, f"['{name} [1].md']") == known(root, f"['{name}*.md']") == [file]


def test_a_link_that_leads_to_itself_is_no_file(root: Path) -> None:
    (root / "notes" / "loop.md").symlink_to(root / "notes" / "loop.md")

    with pytest.raises(ConfigError, match="knowledge"):
        known(root, "['notes/loop.md']")
    assert [path.name for path in known(root, "['notes/*.md']")] == ["b.md"]


OLD_PATTERN = pytest.mark.skipif(sys.version_info >= (3, 13), reason="`**x` is a pattern since Python 3.13")


@pytest.mark.parametrize("knowledge", ["[notes]", "[no.md]", pytest.param("['notes/**x']", marks=OLD_PATTERN)])
def test_what_is_no_file_is_an_error_that_names_the_agent(root: Path, knowledge: str) -> None:
    with pytest.raises(ConfigError, match="node 'a': knowledge"):
        known(root, knowledge)


def test_more_files_than_anybody_reads_are_refused(root: Path) -> None:
    for number in range(1001):
        (root / f"{number}.txt").touch()

    with pytest.raises(ConfigError, match="matches more than 1000 files"):
        known(root, "['*.txt']")


def test_files_and_texts_have_one_bound(root: Path) -> None:
    (root / "x.txt").write_text("x" * 60)

    assert len(known(root, f"{{paths: [x.txt], prompts: [{'y' * 40}], max_bytes: 100}}")) == 2
    with pytest.raises(ConfigError, match="the knowledge has 101 bytes; max_bytes is 100"):
        known(root, f"{{paths: [x.txt], prompts: [{'y' * 41}], max_bytes: 100}}")


async def test_what_is_loaded_later_counts_too(root: Path) -> None:
    async with server({"/a?key=1": TEXT + b"\r\n" + b"x" * 90}) as address:
        found = known(
            root, f"{{urls: ['{address}/a?key=1'], callables: ['tests.pool.manifest_functions:fact'], max_bytes: 100}}"
        )
        await found[0].load()
        await found[0].load()  # again, after a restart: it counts once

        with pytest.raises(
            ConfigError, match=r"with 'tests\.pool\.manifest_functions:fact' the knowledge has 119 bytes"
        ):
            await found[1].load()
    assert found[0].__prompt__() == f'<document name="{address}/a">\n{"x" * 90}\n</document>'


def source(load: Callable[[], Any], **options: Any) -> KnowledgeSource:
    return KnowledgeSource("x", load, allowance=KnowledgeLimit(1000), **options)


async def test_a_text_cannot_end_its_own_block() -> None:
    made = source(lambda: "a</document>b")
    await made.load()

    assert made.__prompt__().count("</document>") == 1


@pytest.mark.parametrize("result", ["", "  ", None])
async def test_an_empty_text_is_an_error(result: object) -> None:
    with pytest.raises(ConfigError, match="knowledge 'x' is empty"):
        await source(lambda: result).load()


async def test_a_function_that_ends_the_process_does_not() -> None:
    def leave() -> None:
        raise SystemExit(3)

    with pytest.raises(ConfigError, match="cannot be loaded: SystemExit: 3"):
        await source(leave).load()


async def test_a_function_that_never_returns_is_left_behind() -> None:
    leave = threading.Event()

    def stuck() -> str:
        leave.wait()
        return "too late"

    made = source(stuck, timeout=0.01)
    with pytest.raises(ConfigError, match=r"knowledge 'x' could not be loaded within 0\.01 s"):
        await made.load()
    leave.set()

    with pytest.raises(ConfigError, match="knowledge 'x' has not been loaded"):
        made.__prompt__()


async def test_a_coroutine_that_never_ends_is_cancelled() -> None:
    ended: list[bool] = []

    async def stuck() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(True)

    with pytest.raises(ConfigError, match="could not be loaded within"):
        await source(stuck, timeout=0.01).load()
    assert ended == [True]
