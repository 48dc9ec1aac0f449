"""Several processes and one journal: a race for the file, a holder that is stopped or killed, and forks."""

from __future__ import annotations

import asyncio
import os
import pickle
import shutil
import signal
import stat
import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from actors.config.file_lock import FileLock, FileLockedError
from actors.storage.journal_sqlite import SqliteJournal
from protocols.journal import JournalError
from tests.contracts.journal_kinds import accept, entry, waiting
from tests.storage.journal_child import JournalChild

if TYPE_CHECKING:
    from collections.abc import Callable

OTHER_USER = 65_534


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "pool.journal"


def race(path: Path, rounds: int) -> None:
    with JournalChild(path) as one, JournalChild(path) as two:
        for number in range(rounds):
            for child in (one, two):
                child.begin("open")
            answers = [one.end(), two.end()]
            winner = one if answers[0] == "ok 0" else two
            assert sorted(answer.partition(":")[0] for answer in answers) == ["JournalLockedError", "ok 0"]
            assert winner.ask(f"accept {number}") == f"ok {number}"
            assert winner.ask("count") == f"ok {number + 1}"
            assert winner.ask("close") == "ok 0"


def test_of_two_processes_that_open_a_journal_one_has_it(path: Path) -> None:
    race(path, 30)


@pytest.mark.soak
def test_of_two_processes_that_open_a_journal_a_thousand_times_one_has_it(path: Path) -> None:
    race(path, 1_000)


def test_a_stopped_process_keeps_its_journal_and_a_killed_one_does_not(path: Path) -> None:
    with JournalChild(path) as holder, JournalChild(path) as other:
        assert holder.ask("open") == "ok 0"
        assert [holder.ask(f"accept {number}") for number in range(20)] == [f"ok {number}" for number in range(20)]
        holder.process.send_signal(signal.SIGSTOP)
        refusal = other.ask("open")
        assert refusal.startswith("JournalLockedError")
        assert f"is used by process {holder.process.pid} on " in refusal
        holder.kill()
        assert other.ask("open") == "ok 0"
        assert other.ask("count") == "ok 20"
        assert other.ask("settle 3") == "ok 3"
        assert other.ask("count") == "ok 19"


def test_a_limit_of_the_system_ends_writing_and_loses_nothing(path: Path) -> None:
    with JournalChild(path) as child:
        child.ask("open")
        accepted = sum(child.ask(f"accept {number}") == f"ok {number}" for number in range(30))
        child.ask(f"limit {200_000}")
        answer = ""
        for number in range(30, 400):
            if not (answer := child.ask(f"accept {number}")).startswith("ok"):
                break
            accepted += 1
        assert 30 <= accepted < 400
        assert answer.startswith("JournalBrokenError")
        assert "cannot be read or written; check the disk" in answer
        assert child.ask("settle 1").startswith("JournalBrokenError"), "a failed sync or write is not tried again"
        assert child.ask("accept 1000").startswith("JournalBrokenError")
    with JournalChild(path) as child:
        assert child.ask("open") == "ok 0"
        assert child.ask("count") == f"ok {accepted}"


def in_fork(call: Callable[[], Any], *, user: int | None = None) -> Any:
    """Return what a call returns, or the text of its error, in a fork of this process."""
    reading, writing = os.pipe()
    if (pid := os.fork()) == 0:
        try:
            if user is not None:
                os.setgroups([])
                os.setgid(user)
                os.setuid(user)
            answer = call()
        except BaseException as error:
            answer = f"{type(error).__name__}: {error}"
        os.write(writing, pickle.dumps(answer))
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as file:
        answer = pickle.loads(file.read())
    os.waitpid(pid, 0)
    return answer


async def test_a_fork_neither_writes_nor_reads_nor_closes_the_journal_of_its_parent(path: Path) -> None:
    journal = SqliteJournal(path, reserve=0)
    await journal.open()
    await accept(journal, 1)

    def use() -> list[str]:
        errors: list[str] = []
        for call in (lambda: journal.accept([entry(2)]), lambda: journal.counts().send(None)):
            try:
                call()
            except JournalError as error:
                errors.append(str(error))
        with pytest.raises(StopIteration):
            journal.close().send(None)
        return errors

    errors = in_fork(use)

    assert len(errors) == 2
    assert all(f"was opened by process {os.getpid()}, and this is a fork of it" in error for error in errors)
    await accept(journal, 3)
    assert await waiting(journal) == [1, 3]
    await journal.close()


async def test_what_waits_at_a_fork_is_committed_by_the_parent_only(path: Path) -> None:
    journal = SqliteJournal(path, reserve=0)
    await journal.open()
    future = journal.accept([entry(1)])

    def flush() -> str:
        journal._flush()  # pyright: ignore[reportPrivateUsage]
        return str(future.exception())

    assert "is a fork of it" in in_fork(flush)
    assert await future == [1]
    assert await waiting(journal) == [1]
    await journal.close()


def test_a_fork_does_not_keep_the_lock_of_a_parent_that_is_gone(path: Path) -> None:
    lock = FileLock(path)
    lock.acquire()
    reading, writing = os.pipe()
    ready, begun = os.pipe()
    if (pid := os.fork()) == 0:
        os.close(writing)
        os.write(begun, b"x")
        os.read(reading, 1)  # until the test is over
        os._exit(0)
    os.read(ready, 1)
    try:
        with pytest.raises(FileLockedError, match=f"process {os.getpid()} on "):
            FileLock(path).acquire()
        lock.release()
        again = FileLock(path)
        again.acquire()
        again.release()
    finally:
        for pipe in (reading, writing, ready, begun):
            os.close(pipe)
        os.waitpid(pid, 0)


def refusal(path: Path) -> str:
    """Return the error of opening."""

    async def attempt() -> str:
        journal = SqliteJournal(path, reserve=0)
        try:
            await journal.open()
        except JournalError as error:
            return f"{type(error).__name__}: {error}"
        try:
            await journal.accept([entry(99)])
        except JournalError as error:
            return f"{type(error).__name__}: {error}"
        finally:
            await journal.close()
        return "none"

    return asyncio.run(attempt())


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as another user")
def test_a_folder_or_file_that_may_not_be_written_is_refused() -> None:
    folder = Path(tempfile.mkdtemp())
    path = folder / "pool.journal"
    try:
        shutil.chown(folder, OTHER_USER)
        assert in_fork(partial(refusal, path), user=OTHER_USER) == "none"
        path.chmod(0o666)
        assert in_fork(partial(refusal, path), user=OTHER_USER) == "none", "it is made private, and used"
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        folder.chmod(0o500)
        assert in_fork(partial(refusal, folder / "new.journal"), user=OTHER_USER).startswith(
            f"JournalError: journal '{folder}/new.journal': cannot be locked: Permission denied"
        )
        assert "is read-only; make the file and its folder writable" in in_fork(partial(refusal, path), user=OTHER_USER)
        folder.chmod(0o700)
        path.chmod(0o400)
        assert "is read-only" in in_fork(partial(refusal, path), user=OTHER_USER)
        path.chmod(0o000)
        assert "cannot be opened; check the path and its perm" in in_fork(partial(refusal, path), user=OTHER_USER)
    finally:
        shutil.rmtree(folder)
