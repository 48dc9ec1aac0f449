"""Send orders to three processes, kill the one that books, and count. Try it: make demo-cluster."""

import itertools
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from actors.triggers import sign

HERE = Path(__file__).parent
ORDERS = [f"Order {number}: {number} umbrellas for Ada." for number in range(1, 61)]
KILL_AFTER = 20
PATIENCE = 60.0
SECRET = "not-a-secret"

browser = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class Host:
    """One process: `understage watch agents.yml`."""

    def __init__(self, number: int, folder: Path, database: str) -> None:
        self.name = f"process {number}"
        self.took = 0
        self.log = folder / f"{number}.log"
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "actors.cli", "watch", str(HERE / "agents.yml")],
                env={**os.environ, "ORDERS": str(folder), "ORDER_SECRET": SECRET, "DATABASE_URL": database},
                stdout=subprocess.DEVNULL,
                stderr=log,
            )

    def listens(self) -> str | None:
        """Return where it takes orders, as soon as it does."""
        found = re.search(r"http://127\.0\.0\.1:\d+", self.log.read_text())
        return found and found[0]

    def send(self, number: int) -> bool:
        """Send an order; its number is the id of the event, the same in each attempt and at each process."""
        body = ORDERS[number].encode()
        headers = sign(SECRET, body, event_id=f"order-{number + 1}", timestamp=int(time.time()))
        request = urllib.request.Request(f"{self.listens()}/orders", body, {**headers, "content-type": "text/plain"})
        try:
            with browser.open(request, timeout=PATIENCE):
                self.took += 1
                return True
        except (urllib.error.URLError, OSError):
            return False


def wait_for(found: Callable[[], Any], hosts: list[Host]) -> Any:
    """Return what is found, as soon as it is there."""
    end = time.monotonic() + PATIENCE
    while not (result := found()):
        if time.monotonic() > end:
            raise SystemExit("the demo hangs:\n" + "\n".join(one.log.read_text() for one in hosts))
        time.sleep(0.02)
    return result


def booked(folder: Path) -> list[dict[str, Any]]:
    """Return the lines of the book."""
    book = folder / "book.jsonl"
    return [json.loads(line) for line in book.read_text().splitlines()] if book.exists() else []


def send_all(hosts: list[Host]) -> None:
    """Send the orders to the processes in turn; what one does not answer goes to the next, as a load balancer does."""
    turn = itertools.cycle(hosts)
    for number in range(len(ORDERS)):
        while not next(turn).send(number):
            time.sleep(0.01)


def main(folder: Path, database: str) -> int:
    """Play it."""
    hosts = [Host(number, folder, database) for number in (1, 2, 3)]
    wait_for(lambda: all(one.listens() for one in hosts), hosts)
    print(f"{len(hosts)} processes share one PostgreSQL; {len(ORDERS)} orders go to all of them in turn")
    sending = threading.Thread(target=send_all, args=(hosts,), daemon=True)
    sending.start()
    wait_for(lambda: len(booked(folder)) >= KILL_AFTER, hosts)
    killed = next(one for one in hosts if one.process.pid == booked(folder)[-1]["process"])
    killed.process.kill()
    when = time.time()
    print(f"{killed.name} books, and is killed")
    wait_for(lambda: len(booked(folder)) >= len(ORDERS), hosts)
    sending.join(PATIENCE)
    lines = booked(folder)
    for one in hosts:
        if one is not killed:
            one.process.send_signal(signal.SIGTERM)
    for one in hosts:
        one.process.wait(PATIENCE)
    first = min(line["at"] for line in lines if line["process"] != killed.process.pid)
    counts = Counter(line["process"] for line in lines)
    print("\n            took  booked")
    for one in hosts:
        end = "  killed" if one is killed else ""
        print(f"{one.name:<11}{one.took:>5}{counts[one.process.pid]:>8}{end}")
    orders = [line["order"] for line in lines]
    lost, twice = set(ORDERS) - set(orders), len(orders) - len(set(orders))
    print(f"\nthe ledger went on in another process after {max(0.0, first - when):.1f} s")
    print(f"booked: {len(set(orders))} of {len(ORDERS)}; lost: {len(lost)}; twice: {twice}")
    return 1 if lost or twice else 0


def database_of(stack: ExitStack) -> str:
    """Return the address of a database: that of the environment, or of a server that is started for the demo."""
    if found := os.environ.get("DATABASE_URL"):
        return found
    from tests.storage.postgres_server import is_installed, running_server

    if not is_installed():
        raise SystemExit(
            "set DATABASE_URL=postgresql://..., or install PostgreSQL (Debian: apt-get install postgresql)"
        )
    return stack.enter_context(running_server()).url


if __name__ == "__main__":
    with ExitStack() as stack:
        sys.exit(main(Path(stack.enter_context(tempfile.TemporaryDirectory())), database_of(stack)))
