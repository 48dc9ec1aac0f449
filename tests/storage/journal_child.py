"""Another process with a journal: told by lines what to do, it answers with one line each. See `JournalChild`."""

from __future__ import annotations

import asyncio
import resource
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from actors.storage.journal_sqlite import SqliteJournal
from protocols.journal import JournalError
from tests.contracts.journal_kinds import CLERK, entry, handled

if TYPE_CHECKING:
    from types import TracebackType

ROOT = Path(__file__).parent.parent.parent


class JournalChild:
    """The parent's side: `ask("accept 5")` returns the answer, which is ``ok`` and a number, or names an error."""

    def __init__(self, path: Path) -> None:
        command = [sys.executable, "-m", "tests.storage.journal_child", str(path)]
        self.process = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )

    def begin(self, command: str) -> None:
        """Send a command."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{command}\n")

    def end(self) -> str:
        """Wait for the answer."""
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def ask(self, command: str) -> str:
        self.begin(command)
        return self.end()

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def __enter__(self) -> JournalChild:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        self.process.stdout.close()


async def _obey(journal: SqliteJournal, command: str, number: int) -> int:
    match command:
        case "open":
            await journal.open()
        case "close":
            await journal.close()
        case "accept":
            await journal.accept([entry(number, payload=b"x" * 1_000)])
        case "settle":
            await journal.settle(handled(number))
        case "count":
            return (await journal.counts()).get(CLERK, 0)
        case "limit":
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (number, number))
        case _:
            raise ValueError(command)
    return number


def main(path: str) -> None:
    journal = SqliteJournal(path, reserve=0)
    with asyncio.Runner() as runner:
        for line in sys.stdin:
            command, _, number = line.strip().partition(" ")
            try:
                answer = f"ok {runner.run(_obey(journal, command, int(number or 0)))}"
            except JournalError as error:
                answer = f"{type(error).__name__}: {error}"
            sys.stdout.write(f"{answer}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1])
