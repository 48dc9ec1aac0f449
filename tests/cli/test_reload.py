"""`understage watch --reload` and SIGHUP: a changed manifest is applied to the running pool, a faulty one is not."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

import pytest

from actors.cli.exit_code import CommandError, ExitCode
from actors.cli.manifest_watch import ManifestWatch
from tests.cli.conftest import start_program
from tests.cli.test_watch import until

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

    from tests.cli.conftest import Call

BASE = "defaults: {model: offline}\n"
TICKING = """
INHERIT: base.yml
name: crew
agents:
  a: {{system_prompt: {prompt}, triggers: [{{type: interval, name: {trigger}, every: 3600, prompt: go}}]}}
  b: {{system_prompt: Two.}}
"""
FIRST = TICKING.format(prompt="One.", trigger="slow")
SECOND = TICKING.format(prompt="Other.", trigger="slower")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A manifest that inherits from another one."""
    (tmp_path / "base.yml").write_text(BASE, encoding="utf-8")
    written = tmp_path / "agents.yml"
    written.write_text(FIRST, encoding="utf-8")
    return written


def replaced(file: Path, text: str | None) -> None:
    """Put another file in the place of one, as many editors do; None for no file."""
    if text is None:
        file.unlink()
        return
    other = file.with_suffix(".new")
    other.write_text(text, encoding="utf-8")
    other.replace(file)


@asynccontextmanager
async def watching(file: Path, *options: str) -> AsyncGenerator[asyncio.subprocess.Process]:
    process = await start_program("watch", file, *options)
    try:
        await until(process.stderr, "watching a/slow;")
        yield process
    finally:
        process.terminate()
        _, err = await asyncio.wait_for(process.communicate(), 30)

    assert process.returncode == ExitCode.TERMINATED
    assert b"Traceback" not in err


async def test_a_changed_manifest_is_applied_however_it_is_written(file: Path) -> None:
    async with watching(file, "--reload") as process:
        replaced(file, SECOND)
        first = await until(process.stderr, "watching a/slower;")
        with file.open("a", encoding="utf-8") as end:
            end.write("  c: {system_prompt: Three.}\n")
        second = await until(process.stderr, "reloaded")
        (file.parent / "base.yml").write_text("defaults: {model: test}\n", encoding="utf-8")
        third = await until(process.stderr, "reloaded")

    assert first[-2] == "understage: reloaded: 1 changed (a), 1 unchanged\n"
    assert second == ["understage: reloaded: 1 added (c), 2 unchanged\n"]
    assert third == ["understage: reloaded: 3 changed (a, b, c), 0 unchanged\n"]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("agents: [", "agents.yml:2: not valid YAML"),
        ("agents: {a: {modle: x}, b: {foo: 1}}", "(and 1 more; see 'understage validate"),
        (FIRST.replace("system_prompt: One.", "model: nope"), "model 'nope' is unknown"),
        (FIRST + "storage: memory\n", "cannot be changed while the pool runs"),
        (FIRST.replace("base.yml", "gone.yml"), "gone.yml"),
        (None, "the file does not exist"),
    ],
)
async def test_a_manifest_that_cannot_be_applied_changes_nothing_and_a_good_one_is_applied_after_it(
    file: Path, text: str | None, why: str
) -> None:
    async with watching(file, "--reload") as process:
        replaced(file, text)
        refused = await until(process.stderr, "not reloaded")
        replaced(file, SECOND)
        applied = await until(process.stderr, "reloaded: 1 changed")

    assert len(refused) == 1
    assert refused[0].startswith("understage: not reloaded, everything goes on as before: ")
    assert why in refused[0]
    assert len(applied) == 1


async def test_a_hangup_has_the_manifest_read_again_without_the_option(file: Path) -> None:
    async with watching(file) as process:
        replaced(file, SECOND)
        process.send_signal(signal.SIGHUP)
        lines = await until(process.stderr, "reloaded")

    assert lines == ["understage: reloaded: 1 changed (a), 1 unchanged\n"]


GATED = "allow_imports: [gated]\n{}  c: {{type: callback, callback: 'gated:go'}}\n"


@pytest.fixture
def gate(file: Path) -> Path:
    """A pipe: a pool is being built from the time when its manifest, which is GATED, opens it, until it is closed."""
    gate = file.parent / "gate"
    os.mkfifo(gate)
    (file.parent / "gated.py").write_text(f"open({str(gate)!r}).close()\ndef go(text): return text", encoding="utf-8")
    replaced(file, GATED.format(FIRST))
    return gate


async def test_a_hangup_before_there_is_a_pool_and_during_its_end_is_no_end(file: Path, gate: Path) -> None:
    process = await start_program("watch", file)
    with await asyncio.to_thread(gate.open, "w"):  # the pool is being built
        process.send_signal(signal.SIGHUP)
        replaced(file, GATED.format(SECOND))
    lines = await until(process.stderr, "reloaded")
    process.terminate()
    while process.returncode is None:
        with suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGHUP)
        await asyncio.sleep(0)
    await process.communicate()

    assert lines[-1] == "understage: reloaded: 1 changed (a), 2 unchanged\n"
    assert process.returncode == ExitCode.TERMINATED


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="needs terminals")
async def test_a_terminal_that_is_closed_ends_it_in_order(file: Path) -> None:
    ours, theirs = os.openpty()
    process = await start_program("watch", file, stderr=theirs, terminal=True)
    os.close(theirs)
    try:
        async with asyncio.timeout(60):
            await asyncio.to_thread(read_until, ours, b"watching a/slow;")
            process.send_signal(signal.SIGHUP)
            await asyncio.to_thread(read_until, ours, b"reloaded: 2 unchanged")
    finally:
        os.close(ours)
    code = await asyncio.wait_for(process.wait(), 30)
    await process.communicate()

    assert code == ExitCode.TERMINATED


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="needs terminals")
async def test_a_terminal_that_is_closed_before_there_is_a_pool_ends_it(file: Path, gate: Path) -> None:
    ours, theirs = os.openpty()
    process = await start_program("watch", file, stderr=theirs, terminal=True)
    os.close(theirs)
    with await asyncio.to_thread(gate.open, "w"):
        os.close(ours)
        code = await asyncio.wait_for(process.wait(), 30)
    await process.communicate()

    assert code == 128 + signal.SIGHUP


def read_until(terminal: int, text: bytes) -> None:
    seen = b""
    while text not in seen:
        seen += os.read(terminal, 1024)


def test_without_the_library_the_extra_is_named(cli: Call, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "actors.triggers.files.notifier", raising=False)
    monkeypatch.setitem(sys.modules, "watchfiles", None)
    done = cli("watch", file, "--reload")

    text = "--reload needs watchfiles, which is not installed; install the extra: pip install 'understage[triggers]'"
    assert (done.code, done.err.splitlines()[-1]) == (ExitCode.USAGE, f"understage: {text}")


# -- the files ------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def noticing(*files: Path) -> AsyncGenerator[asyncio.Event]:
    changed = asyncio.Event()
    watch = ManifestWatch(changed.set)
    try:
        async with asyncio.timeout(30):
            await watch.watch(files)
            yield changed
    finally:
        await watch.close()


async def test_a_link_that_leads_to_another_file_is_a_change(file: Path) -> None:
    link = file.parent / "link.yml"
    link.symlink_to(file)
    async with noticing(link) as changed:
        (file.parent / "other.yml").write_text(SECOND, encoding="utf-8")
        (file.parent / "new").symlink_to(file.parent / "other.yml")
        os.replace(file.parent / "new", link)
        await changed.wait()


async def test_what_a_link_leads_to_is_watched_where_it_is(file: Path) -> None:
    (file.parent / "links").mkdir()
    link = file.parent / "links" / "link.yml"
    link.symlink_to(file)
    async with noticing(link) as changed:
        replaced(file, SECOND)
        await changed.wait()


async def test_links_on_the_way_to_the_file_are_watched_where_they_are(file: Path) -> None:
    for number in (1, 2):
        (file.parent / f"..v{number}").mkdir()
        (file.parent / f"..v{number}" / "a.yml").write_text(SECOND, encoding="utf-8")
    (file.parent / "current").symlink_to("..v1")
    (file.parent / "mount").mkdir()
    (file.parent / "mount" / "a.yml").symlink_to("../current/a.yml")
    (file.parent / "loop.yml").symlink_to("loop.yml")
    async with noticing(file.parent / "mount" / "a.yml", file.parent / "loop.yml") as changed:
        (file.parent / "next").symlink_to("..v2")
        (file.parent / "next").rename(file.parent / "current")
        await changed.wait()


async def test_other_files_of_the_folder_do_not_matter(file: Path) -> None:
    other = file.parent / "other.yml"
    seen: list[str] = []
    watch = ManifestWatch(lambda: seen.append("manifest"))
    async with asyncio.timeout(30), noticing(other) as changed:
        await watch.watch([file])
        other.write_text("one", encoding="utf-8")
        await changed.wait()
        changed.clear()
        other.write_text("one two", encoding="utf-8")
        await changed.wait()
    await watch.close()

    assert seen == []


async def test_folders_that_cannot_be_watched_are_one_message(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_more(*_arguments: object, **_options: object) -> None:
        raise OSError("no more watches")

    monkeypatch.setattr("watchfiles.watch", no_more)
    watch = ManifestWatch(lambda: None)
    with pytest.raises(CommandError, match=r"changes of the manifest cannot be noticed: .*no more watches"):
        await watch.watch([file])
    await watch.close()
