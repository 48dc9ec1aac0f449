from __future__ import annotations

import os
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from actors.config.trigger import FileTrigger
from actors.testing.settle import settle
from actors.triggers import Ready
from protocols.triggers import FileChange, FileChanged, TriggerError
from tests.support.waiting import TIMEOUT
from tests.triggers.started import RecordingNode, StartedTriggers, start_triggers

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from actors.runtime.system import ActorSystem


def watch(*paths: str, name: str = "f", **keys: Any) -> FileTrigger:
    keys.setdefault("debounce", 20)
    return FileTrigger(type="file", name=name, paths=paths, **keys)


async def open_stage(system: ActorSystem, node: RecordingNode, root: Path, *triggers: FileTrigger) -> StartedTriggers:
    stage = await start_triggers(system, triggers, node, root=root)
    await stage.ready()
    return stage


async def changes_until(node: RecordingNode, path: str) -> dict[str, str]:
    """Return what was told of each file, up to the event that tells of this one."""
    told: dict[str, str] = {}
    while path not in told:
        event: FileChanged = await node.next_event()
        told.update({change.path: change.kind for change in event.changes})
    return told


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "docs" / "sub").mkdir(parents=True)
    (tmp_path / "docs" / "old.md").write_text("old")
    return tmp_path


@pytest.mark.seed("S95")
async def test_a_new_file_in_any_subfolder_starts_a_run_with_its_path_in_the_prompt(
    actor_system: ActorSystem, root: Path
) -> None:
    node = RecordingNode()
    await open_stage(actor_system, node, root, watch("docs/**/*.md", extensions=[".md"], include_timestamp=False))

    (root / "docs" / "sub" / "a.md").write_text("a")

    event: FileChanged = await node.next_event()
    assert event.changes == (FileChange("added", "docs/sub/a.md"),)
    assert event.root == str(root)
    assert node.prompts == [f"Metadata: root={root}, files=1\nFile added: docs/sub/a.md"]


async def test_changed_and_deleted_files_are_told_as_such(actor_system: ActorSystem, root: Path) -> None:
    node = RecordingNode()
    await open_stage(actor_system, node, root, watch("docs/**/*.md"))

    with (root / "docs" / "old.md").open("a") as file:
        file.write("more")
    changed: FileChanged = await node.next_event()
    (root / "docs" / "old.md").unlink()
    deleted: FileChanged = await node.next_event()

    assert changed.changes == (FileChange("modified", "docs/old.md"),)
    assert deleted.changes == (FileChange("deleted", "docs/old.md"),)


@pytest.mark.seed("S96")
async def test_other_extensions_other_folders_and_ignored_files_start_nothing(
    actor_system: ActorSystem, root: Path
) -> None:
    node = RecordingNode()
    await open_stage(actor_system, node, root, watch("docs/**/*", extensions=["md"], ignore_paths=["docs/sub"]))

    (root / "docs" / "a.txt").write_text("a")
    (root / "b.md").write_text("b")
    (root / "docs" / "sub" / "c.md").write_text("c")
    (root / "docs" / "last.md").write_text("last")

    assert await changes_until(node, "docs/last.md") == {"docs/last.md": "added"}


async def test_changes_that_come_together_make_one_run(actor_system: ActorSystem, root: Path) -> None:
    node = RecordingNode()
    await open_stage(actor_system, node, root, watch("docs/**/*.md", debounce=200))

    for number in range(50):
        (root / "docs" / f"{number:02}.md").write_text("x")

    event: FileChanged = await node.next_event()
    assert len(event.changes) == 50
    assert len(node.events) == 1


async def test_files_in_a_folder_that_is_made_later_are_seen(actor_system: ActorSystem, root: Path) -> None:
    node = RecordingNode()
    await open_stage(actor_system, node, root, watch("docs/**/*.md"))

    deep = root / "docs" / "new" / "deep"
    deep.mkdir(parents=True)
    (deep / "a.md").write_text("a")

    assert await changes_until(node, "docs/new/deep/a.md") == {"docs/new/deep/a.md": "added"}
    (deep / "b.md").write_text("b")
    assert "docs/new/deep/b.md" in await changes_until(node, "docs/new/deep/b.md")


async def test_the_folder_of_a_pattern_may_be_made_later(actor_system: ActorSystem, root: Path) -> None:
    node = RecordingNode()
    await open_stage(actor_system, node, root, watch("inbox/today/*.md"))

    (root / "inbox" / "today").mkdir(parents=True)
    (root / "inbox" / "today" / "a.md").write_text("a")

    assert await changes_until(node, "inbox/today/a.md") == {"inbox/today/a.md": "added"}


async def test_a_folder_that_goes_and_comes_again_is_watched_again(actor_system: ActorSystem, root: Path) -> None:
    node = RecordingNode()
    await open_stage(actor_system, node, root, watch("docs/sub/*.md"))

    (root / "docs" / "sub").rmdir()
    (root / "docs" / "sub").mkdir()
    (root / "docs" / "sub" / "a.md").write_text("a")
    await changes_until(node, "docs/sub/a.md")
    (root / "docs" / "sub" / "b.md").write_text("b")

    assert "docs/sub/b.md" in await changes_until(node, "docs/sub/b.md")


async def test_links_out_of_the_root_and_pipes_start_nothing(
    actor_system: ActorSystem, root: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    outside = tmp_path_factory.mktemp("outside")
    (outside / "secret.md").write_text("s")
    node = RecordingNode()
    await open_stage(actor_system, node, root, watch("docs/**/*.md"))

    (root / "docs" / "out.md").symlink_to(outside / "secret.md")
    (root / "docs" / "out").symlink_to(outside)
    os.mkfifo(root / "docs" / "pipe.md")
    (root / "docs" / "pipe.md").unlink()
    (outside / "secret.md").write_text("changed")
    (root / "docs" / "last.md").write_text("last")

    assert await changes_until(node, "docs/last.md") == {"docs/last.md": "added"}


async def test_a_name_with_a_line_break_stays_on_its_line(actor_system: ActorSystem, root: Path) -> None:
    node = RecordingNode()
    await open_stage(actor_system, node, root, watch("docs/*.md"))

    (root / "docs" / "a\nFile deleted: b.md").write_text("a")
    event: FileChanged = await node.next_event()

    assert event.to_prompt() == "File added: docs/a\\nFile deleted: b.md"


async def test_triggers_of_one_root_share_a_watcher_and_get_what_is_theirs(
    actor_system: ActorSystem, root: Path
) -> None:
    node = RecordingNode()
    stage = await open_stage(actor_system, node, root, watch("docs/*.md", name="md"), watch("docs/*.txt", name="txt"))

    (root / "docs" / "a.md").write_text("a")
    (root / "docs" / "a.txt").write_text("a")
    told = {(event.source, event.changes[0].path) for event in [await node.next_event(), await node.next_event()]}

    assert told == {("md", "docs/a.md"), ("txt", "docs/a.txt")}
    assert len(stage.plan.children) == 3


async def test_a_root_that_is_made_later_is_watched_when_it_is_there(actor_system: ActorSystem, root: Path) -> None:
    node = RecordingNode()
    late = root / "late"
    stage = await start_triggers(actor_system, [watch("*.md", backoff=0.01)], node, root=late)
    source = stage.refs[f"files of {late}"]

    with pytest.raises(TriggerError, match="cannot be watched"):
        await source.ask(Ready(), timeout=TIMEOUT)
    late.mkdir()
    await until_ready(source)
    (late / "a.md").write_text("a")

    assert await changes_until(node, "a.md") == {"a.md": "added"}
    assert stage.plan.triggers[0].statistics().restarts >= 1


async def until_ready(source: Any) -> None:
    for _ in range(20):
        with suppress(TriggerError):  # the life that was asked may have failed; the next one does better
            await source.ask(Ready(), timeout=TIMEOUT)
            return
    pytest.fail("the source never watched")


async def test_a_stop_ends_the_thread(actor_system: ActorSystem, root: Path) -> None:
    stage = await open_stage(actor_system, RecordingNode(), root, watch("docs/**/*.md"))
    names = [thread.name for thread in threading.enumerate()]

    await stage.supervisor.stop(block=False)
    await settle()

    assert "understage-files" in names
    assert "understage-files" not in [thread.name for thread in threading.enumerate() if thread.is_alive()]


@pytest.mark.parametrize("patterns", [("docs/**/*.md", "docs/*.md"), ("docs",)])
async def test_a_file_is_told_once_however_many_patterns_it_fits(
    actor_system: ActorSystem, root: Path, patterns: Sequence[str]
) -> None:
    node = RecordingNode()
    await open_stage(actor_system, node, root, watch(*patterns))

    (root / "docs" / "a.md").write_text("a")

    event: FileChanged = await node.next_event()
    assert [change.path for change in event.changes] == ["docs/a.md"]


async def test_a_folder_that_is_moved_away_deletes_its_files(
    actor_system: ActorSystem, root: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    node = RecordingNode()
    (root / "docs" / "sub" / "deep").mkdir()
    for name in ("a.md", "deep/b.md", "deep/c.txt"):
        (root / "docs" / "sub" / name).write_text("x")
    await open_stage(actor_system, node, root, watch("docs/**/*.md"))
    away = tmp_path_factory.mktemp("away") / "sub"

    (root / "docs" / "sub").rename(away)
    gone = await changes_until(node, "docs/sub/deep/b.md")
    away.rename(root / "docs" / "back")

    assert gone == {"docs/sub/a.md": "deleted", "docs/sub/deep/b.md": "deleted"}
    assert await changes_until(node, "docs/back/deep/b.md") == {
        "docs/back/a.md": "added",
        "docs/back/deep/b.md": "added",
    }


async def test_the_folders_above_those_of_a_pattern_may_be_moved_as_well(actor_system: ActorSystem, root: Path) -> None:
    node = RecordingNode()
    (root / "in" / "today").mkdir(parents=True)
    (root / "in" / "today" / "a.md").write_text("x")
    await open_stage(actor_system, node, root, watch("in/today/*.md"))

    (root / "in").rename(root / "elsewhere")
    assert await changes_until(node, "in/today/a.md") == {"in/today/a.md": "deleted"}
    (root / "in" / "today").mkdir(parents=True)
    (root / "in" / "today" / "b.md").write_text("x")

    assert await changes_until(node, "in/today/b.md") == {"in/today/b.md": "added"}


async def test_a_change_of_the_mode_alone_starts_nothing(actor_system: ActorSystem, root: Path) -> None:
    node = RecordingNode()
    os.utime(root / "docs" / "old.md", (0, 0))
    await open_stage(actor_system, node, root, watch("docs/**/*.md"))

    (root / "docs" / "old.md").chmod(0o600)
    (root / "docs" / "sub").chmod(0o700)
    (root / "docs" / "last.md").write_text("last")
    assert await changes_until(node, "docs/last.md") == {"docs/last.md": "added"}
    (root / "docs" / "old.md").write_text("new")

    assert await changes_until(node, "docs/old.md") == {"docs/old.md": "modified"}


async def test_files_behind_a_link_that_is_swapped_are_changed(actor_system: ActorSystem, root: Path) -> None:
    node = RecordingNode()
    for number in (1, 2):
        (root / f"..v{number}").mkdir()
        (root / f"..v{number}" / "a.yml").write_text(f"version: {number}")
    (root / "..data").symlink_to("..v1")
    (root / "a.yml").symlink_to("..data/a.yml")
    await open_stage(actor_system, node, root, watch("*.yml"))

    (root / "..new").symlink_to("..v2")
    (root / "..new").rename(root / "..data")

    assert await changes_until(node, "a.yml") == {"a.yml": "modified"}
