"""What happens below a watched root that nobody planned: it is left out or watched again, and the trigger lives on."""

from __future__ import annotations

import asyncio
import os
import shutil
from typing import TYPE_CHECKING, Any

import pytest

from actors.triggers import Ready
from protocols.triggers import FileChange, FileChanged, TriggerError
from tests.support.waiting import TIMEOUT, wait_until
from tests.triggers.files.test_source import changes_until, open_stage, until_ready, watch
from tests.triggers.started import RecordingNode, StartedTriggers, crash_message, start_triggers

if TYPE_CHECKING:
    from pathlib import Path

    from actors.runtime.system import ActorSystem


@pytest.fixture
def root(tmp_path: Path) -> Path:
    made = tmp_path / "root"
    (made / "docs").mkdir(parents=True)
    return made


async def until_restarted(stage: StartedTriggers, incarnation: int) -> None:
    source = source_of(stage)
    await wait_until(lambda: source.incarnation >= incarnation)
    await until_ready(source)


def source_of(stage: StartedTriggers) -> Any:
    return next(ref for name, ref in stage.refs.items() if name.startswith("files of"))


async def test_a_root_that_is_deleted_and_made_again_is_watched_again(actor_system: ActorSystem, root: Path) -> None:
    node = RecordingNode()
    stage = await open_stage(actor_system, node, root, watch("docs/**/*.md", backoff=0.01))
    (root / "docs" / "before.md").write_text("b")
    await changes_until(node, "docs/before.md")

    shutil.rmtree(root)
    await wait_until(lambda: "No such file" in stage.plan.triggers[0].last_error)
    assert "cannot be watched: No such file" in stage.plan.triggers[0].statistics().last_error
    (root / "docs").mkdir(parents=True)
    (root / "docs" / "between.md").write_text("b")
    await until_ready(source_of(stage))
    (root / "docs" / "after.md").write_text("a")

    told = await changes_until(node, "docs/after.md")
    while "docs/between.md" not in told:
        told |= await changes_until(node, "docs/between.md")
    numbers = stage.plan.triggers[0].statistics()
    assert numbers.restarts >= 1
    assert numbers.accepted == len(node.events) == numbers.completed


async def test_a_root_that_is_replaced_in_one_step_is_watched_again(
    actor_system: ActorSystem, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("actors.triggers.files.source._CHECK", 0.05)
    node = RecordingNode()
    stage = await open_stage(actor_system, node, root, watch("docs/**/*.md", backoff=0.01))

    os.rename(root, root.with_name("away"))
    (root / "docs").mkdir(parents=True)
    await until_restarted(stage, 2)
    (root.with_name("away") / "docs" / "old.md").write_text("not this")
    (root / "docs" / "new.md").write_text("this")

    assert await changes_until(node, "docs/new.md") == {"docs/new.md": "added"}


async def test_a_file_that_vanishes_while_the_burst_goes_on_is_not_told(actor_system: ActorSystem, root: Path) -> None:
    node = RecordingNode()
    (root / "docs" / "old.md").write_text("old")
    await open_stage(actor_system, node, root, watch("docs/*.md", debounce=150))

    for name in ("a.md", "b.md", "c.md"):
        (root / "docs" / name).write_text("x")
    (root / "docs" / "a.md").unlink()
    (root / "docs" / "b.md").unlink()
    (root / "docs" / "b.md").write_text("again")
    with (root / "docs" / "old.md").open("a") as file:
        file.write("more")
    (root / "docs" / "old.md").unlink()

    event: FileChanged = await node.next_event()
    assert event.changes == (
        FileChange("added", "docs/b.md"),
        FileChange("added", "docs/c.md"),
        FileChange("deleted", "docs/old.md"),
    )


async def test_a_burst_of_which_nothing_is_left_starts_nothing(actor_system: ActorSystem, root: Path) -> None:
    node = RecordingNode()
    await open_stage(actor_system, node, root, watch("docs/*.md", debounce=100), watch("docs/*.txt", name="t"))

    (root / "docs" / "a.md").write_text("x")
    (root / "docs" / "a.md").unlink()
    (root / "docs" / "a.txt").write_text("x")
    await node.next_event()
    (root / "docs" / "b.md").write_text("x")

    event: FileChanged = await node.next_event()
    assert event.changes == (FileChange("added", "docs/b.md"),)


@pytest.mark.parametrize("pattern", ["docs/*.md", "docs", "docs/pipe.md", "**/*"])
async def test_a_pipe_that_is_there_before_and_is_touched_is_left_out(
    actor_system: ActorSystem, root: Path, pattern: str
) -> None:
    node = RecordingNode()
    os.mkfifo(root / "docs" / "pipe.md")
    stage = await open_stage(actor_system, node, root, watch(pattern, "docs/last.md"))

    os.utime(root / "docs" / "pipe.md")
    (root / "docs" / "pipe.md").chmod(0o600)
    os.mkfifo(root / "docs" / "later.md")
    (root / "docs" / "last.md").write_text("last")

    assert await changes_until(node, "docs/last.md") == {"docs/last.md": "added"}
    assert stage.plan.triggers[0].statistics().restarts == 0


async def test_a_root_that_is_a_pipe_says_so(actor_system: ActorSystem, root: Path) -> None:
    os.mkfifo(root / "pipe")
    stage = await start_triggers(actor_system, [watch("*.md", backoff=0.05)], RecordingNode(), root=root / "pipe")

    with pytest.raises(TriggerError, match="pipe' of a file trigger is no folder"):
        await source_of(stage).ask(Ready(), timeout=TIMEOUT)


async def test_a_file_that_becomes_a_link_out_of_the_root_is_left_out(
    actor_system: ActorSystem, root: Path, tmp_path: Path
) -> None:
    node = RecordingNode()
    (tmp_path / "secret.md").write_text("s")
    (root / "docs" / "swapped.md").write_text("x")
    await open_stage(actor_system, node, root, watch("docs/*.md"))

    (root / "docs" / "link").symlink_to(tmp_path / "secret.md")
    (root / "docs" / "link").rename(root / "docs" / "swapped.md")
    (tmp_path / "secret.md").write_text("changed")
    (root / "docs" / "last.md").write_text("last")

    assert await changes_until(node, "docs/last.md") == {"docs/last.md": "added"}


async def test_odd_names_are_told_on_one_line_each(actor_system: ActorSystem, root: Path) -> None:
    node = RecordingNode()
    await open_stage(actor_system, node, root, watch("docs/**/*.md"))

    for name in ("\u202egnp.md", "-rf.md", " .md", "a\r\nb.md", "zz.md"):
        (root / "docs" / name).write_text("x")
    told = await changes_until(node, "docs/zz.md")

    assert {"docs/-rf.md", "docs/ .md", "docs/\u202egnp.md"} <= told.keys()
    assert all(line.isprintable() for event in node.events for line in event.to_prompt().split("\n"))


async def test_names_that_are_no_utf8_are_left_out_and_nothing_else_is_missed(
    actor_system: ActorSystem, root: Path
) -> None:
    node = RecordingNode()
    (root / "docs" / "sub").mkdir()
    os.mkdir(os.fsencode(root) + b"/docs/\xff")
    make(os.fsencode(root) + b"/docs/\xff/unseen.md")
    stage = await open_stage(actor_system, node, root, watch("docs/**/*.md", debounce=5))

    told: set[str] = set()
    for number in range(20):
        (root / "docs" / f"{number}.md").write_text("x")
        make(os.fsencode(root) + b"/docs/\xfe%d.md" % number)
        (root / "docs" / "sub" / f"{number}.md").write_text("x")
        if number % 5 == 0:
            os.mkdir(os.fsencode(root) + b"/docs/\xc3%d" % number)
    expected = {f"docs/{number}.md" for number in range(20)} | {f"docs/sub/{number}.md" for number in range(20)}
    while not expected <= told:
        event: FileChanged = await node.next_event()
        told |= {change.path for change in event.changes}

    assert told == expected
    assert stage.plan.triggers[0].statistics().restarts == 0


def make(path: bytes) -> None:
    with open(path, "wb") as file:
        file.write(b"x")


async def test_what_changes_while_the_trigger_restarts_is_told_when_it_is_back(
    actor_system: ActorSystem, root: Path
) -> None:
    node = RecordingNode()
    for name in ("gone.md", "same.md"):
        (root / "docs" / name).write_text("old")
    stage = await open_stage(actor_system, node, root, watch("docs/**/*.md", debounce=0, backoff=0.2))

    source_of(stage).tell(crash_message())
    await wait_until(lambda: stage.plan.triggers[0].restarts == 1)
    (root / "docs" / "new.md").write_text("new")
    (root / "docs" / "sub").mkdir()
    (root / "docs" / "sub" / "deep.md").write_text("new")
    (root / "docs" / "gone.md").unlink()
    told: dict[str, str] = {}
    while not {"docs/new.md", "docs/sub/deep.md", "docs/gone.md"} <= told.keys():
        event: FileChanged = await node.next_event()
        told.update({change.path: change.kind for change in event.changes})

    assert told == {"docs/new.md": "added", "docs/sub/deep.md": "added", "docs/gone.md": "deleted"}
    assert source_of(stage).incarnation == 2


async def test_more_files_than_an_event_lists_are_counted(actor_system: ActorSystem, root: Path) -> None:
    node = RecordingNode()
    await open_stage(actor_system, node, root, watch("docs/*.md", debounce=300))

    for number in range(1_200):
        (root / "docs" / f"{number:04}.md").write_text("x")
    told = 0
    async with asyncio.timeout(TIMEOUT):
        while told < 1_200:
            event: FileChanged = await node.next_event()
            told += len(event.changes) + event.omitted
            assert len(event.changes) <= 1_000

    assert told == 1_200
