"""The text of changed files in a prompt: whole or left out, within its bytes, below the root, and text only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from actors.config.load import parse_manifest
from actors.config.trigger import FileTrigger
from actors.testing.settle import settle
from actors.triggers.files.text import text_of_files
from actors.triggers.trigger import Trigger
from protocols.control import DeadLetterReason
from protocols.errors import ManifestError, PromptFileError
from protocols.triggers import FileChange, FileChanged
from tests.triggers.started import KeepingNode, RecordingNode
from tests.triggers.test_trigger import start

if TYPE_CHECKING:
    from pathlib import Path

    from actors.runtime.system import ActorSystem


def event(root: Path, *paths: str, kind: Any = "modified") -> FileChanged:
    return FileChanged(source="t", time=0.0, root=str(root), changes=tuple(FileChange(kind, path) for path in paths))


def document(path: str, text: str) -> str:
    return f'<document name="{path}">\n{text}\n</document>'


def test_each_file_is_a_block_with_its_path(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("One.\n", encoding="utf-8")
    (tmp_path / "b.md").write_text("Zwei, größer.", encoding="utf-16")

    text = text_of_files(event(tmp_path, "a.md", "b.md"), 100)
    assert text == "\n\n".join((document("a.md", "One."), document("b.md", "Zwei, größer.")))


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(sizes=st.lists(st.integers(0, 40), max_size=6), most=st.integers(0, 100))
def test_a_file_is_whole_or_named_with_its_size_and_all_fit(tmp_path: Path, sizes: list[int], most: int) -> None:
    names = [f"{number}.md" for number in range(len(sizes))]
    for name, size in zip(names, sizes, strict=True):
        (tmp_path / name).write_text("x" * size, encoding="utf-8")
    text, left = text_of_files(event(tmp_path, *names), most), most

    for name, size in zip(names, sizes, strict=True):
        is_whole = size <= left
        left -= size if is_whole else 0
        assert (document(name, "x" * size) in text) is is_whole
        assert (f"File left out: {name} has {size} bytes; max_text is {most} bytes in all" in text) is not is_whole


def test_what_is_gone_or_leads_out_of_the_root_is_no_part_of_it(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (tmp_path / "secret.md").write_text("secret", encoding="utf-8")
    (root / "link.md").symlink_to(tmp_path / "secret.md")
    (root / "folder.md").mkdir()
    (root / "there.md").write_text("x", encoding="utf-8")

    assert text_of_files(event(root, "gone.md", "link.md", "folder.md", "../secret.md"), 100) == ""
    assert text_of_files(event(root, "there.md", kind="deleted"), 100) == ""


@pytest.mark.parametrize("data", [b"\xff\xfe\xfd", b"caf\xe9", b"a\0b"])
def test_what_is_not_text_is_an_error_that_names_the_file(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "a.md").write_bytes(data)

    with pytest.raises(PromptFileError, match=r"a\.md' is (neither|binary)"):
        text_of_files(event(tmp_path, "a.md"), 100)


def test_a_file_that_cannot_be_read_is_an_error_and_not_left_out(tmp_path: Path) -> None:
    (tmp_path / "a.md").symlink_to("b.md")
    (tmp_path / "b.md").symlink_to("a.md")

    with pytest.raises(PromptFileError, match=r"a\.md' cannot be read: "):
        text_of_files(event(tmp_path, "a.md"), 100)


def test_only_a_file_trigger_has_the_text_of_files() -> None:
    trigger = "{type: interval, name: t, every: 5, prompt: p, template: '{text}'}"
    with pytest.raises(ManifestError, match=r"unknown place \{text\}"):
        parse_manifest(f"agents: {{a: {{triggers: [{trigger}]}}}}")


def made(node: RecordingNode, **keys: Any) -> Trigger:
    config = FileTrigger(type="file", name="t", paths=("*",), template="Sum up:\n{text}", **keys)
    return Trigger(config, node, node="n", keeper=node if isinstance(node, KeepingNode) else None)


@pytest.mark.parametrize("node", [RecordingNode(), KeepingNode()], ids=["memory", "durable"])
async def test_the_prompt_of_a_run_holds_the_text(
    actor_system: ActorSystem, tmp_path: Path, node: RecordingNode
) -> None:
    (tmp_path / "a.md").write_text("One.", encoding="utf-8")
    (tmp_path / "large.md").write_text("x" * 9, encoding="utf-8")
    trigger = made(node, max_text=8)
    start(actor_system, trigger)
    await trigger.accept(event(tmp_path, "a.md", "large.md"))
    while not node.prompts:
        await settle()

    left_out = "File left out: large.md has 9 bytes; max_text is 8 bytes in all"
    assert node.prompts == [f"Sum up:\n{document('a.md', 'One.')}\n\n{left_out}"]


async def test_a_run_whose_file_is_not_text_fails_and_is_a_dead_letter(
    actor_system: ActorSystem, tmp_path: Path
) -> None:
    (tmp_path / "a.md").write_bytes(b"\xff\xfe\xfd")
    node = RecordingNode()
    trigger = made(node)
    start(actor_system, trigger)
    await trigger.accept(event(tmp_path, "a.md"))
    while not trigger.failed:
        await settle()
    await settle()

    assert (node.prompts, trigger.failed) == ([], 1)
    assert actor_system.dead_letters.counts[DeadLetterReason.FAILED] == 1
