"""A process that has imported everything, and forks: each fork is one life. It has one thread, so that is sound."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import threading
import traceback
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Self

import msgspec

from tests.durability.order import FAULT, PATIENCE, Order

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[2]
STOPPED = 1_000
"""What `Forks.live` returns of a life that has stopped itself."""


class Forks:
    """The side of the tests."""

    def __init__(self) -> None:
        self._server = subprocess.Popen(
            [sys.executable, "-m", "tests.durability.forks"],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self._server.communicate(timeout=PATIENCE)

    def live(self, order: Order) -> int:
        """Have a life lived; return how it ended: as an exit code, or minus the number of a signal."""
        return self._tell(msgspec.json.encode(order), order)

    def signal(self, number: int, order: Order) -> int:
        """Send a signal to the life that has stopped itself, and return how it ended."""
        return self._tell(str(number).encode(), order)

    def _tell(self, line: bytes, order: Order) -> int:
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        self._server.stdin.write(line + b"\n")
        self._server.stdin.flush()
        ended = int(self._server.stdout.readline() or FAULT)
        is_hung = ended == -signal.SIGALRM and (order.death is None or order.death[0] != "moment")
        if ended == FAULT or is_hung:
            text = Path(order.folder, "stderr").read_text()
            raise AssertionError(f"life {order} ended with {ended}:\n{text[-4_000:]}")
        return ended


def serve(live: Callable[[Order], None]) -> None:
    """Fork for each line that is an order, after a life that fills the caches that all others need."""
    with TemporaryDirectory() as folder:
        live(Order(folder=folder))
    for thread in threading.enumerate():
        if thread is not threading.main_thread():
            thread.join()
    gc.freeze()
    life = 0
    for line in sys.stdin.buffer:
        if not line.startswith(b"{"):
            os.kill(life, int(line))
            if int(line) != signal.SIGKILL:
                os.kill(life, signal.SIGCONT)
        else:
            life = os.fork()
            if not life:
                _child(msgspec.json.decode(line, type=Order), live)
        _, status = os.waitpid(life, os.WUNTRACED)
        ended = STOPPED if os.WIFSTOPPED(status) else os.waitstatus_to_exitcode(status)
        sys.stdout.write(f"{ended}\n")
        sys.stdout.flush()


def _child(order: Order, live: Callable[[Order], None]) -> None:
    ended = FAULT
    try:
        signal.alarm(PATIENCE)
        errors = os.open(Path(order.folder) / "stderr", os.O_APPEND | os.O_CREAT | os.O_WRONLY)
        for place in (1, 2):
            os.dup2(errors, place)
        os.close(0)
        live(order)
        ended = 0
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
    finally:
        os._exit(ended)


if __name__ == "__main__":
    from tests.durability.lives import live as _live

    serve(_live)
