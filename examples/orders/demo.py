"""Send orders to a webhook, kill its process in mid-run, start it again, and count. Try it: make demo-durable."""

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from actors.triggers import sign

HERE = Path(__file__).parent
ORDERS = [f"Order {number}: {number} umbrellas for Ada." for number in range(1, 9)]
KILL_AT = 3
PATIENCE = 60.0
SECRET = "not-a-secret"

browser = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class Shop:
    """One process: `understage watch agents.yml`."""

    def __init__(self, folder: Path, **environment: str) -> None:
        self.folder = folder
        self.log = folder / "log.txt"
        self.log.write_text("")
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "actors.cli", "watch", str(HERE / "agents.yml")],
                env={**os.environ, "ORDERS": str(folder), "ORDER_SECRET": SECRET, **environment},
                stdout=subprocess.DEVNULL,
                stderr=log,
            )
        self.url = wait_for(lambda: re.search(r"http://127\.0\.0\.1:\d+", self.log.read_text()), self)[0]

    def send(self, number: int) -> str:
        """Send an order; its number is the id of the event, the same in each attempt."""
        body = ORDERS[number].encode()
        headers = sign(SECRET, body, event_id=f"order-{number + 1}", timestamp=int(time.time()))
        request = urllib.request.Request(f"{self.url}/orders", body, {**headers, "content-type": "text/plain"})
        try:
            with browser.open(request, timeout=PATIENCE) as answer:
                return f"{answer.status} {json.load(answer)['run_id'][:8]}"
        except (urllib.error.URLError, OSError):
            return "no answer"


def wait_for(found: Callable[[], Any], shop: Shop) -> Any:
    """Return what is found, as soon as it is there."""
    end = time.monotonic() + PATIENCE
    while not (result := found()):
        if time.monotonic() > end:
            raise SystemExit(f"the demo hangs:\n{shop.log.read_text()}")
        time.sleep(0.02)
    return result


def booked(folder: Path) -> list[str]:
    """Return the orders in the book."""
    book = folder / "book.jsonl"
    return [json.loads(line)["order"] for line in book.read_text().splitlines()] if book.exists() else []


def main(folder: Path) -> int:
    """Play it."""
    print(f"{len(ORDERS)} orders go to the webhook; the process dies in the middle of the booking of order {KILL_AT}")
    shop = Shop(folder, KILL_AT=str(KILL_AT))
    answers = [shop.send(number) for number in range(len(ORDERS))]
    code = shop.process.wait(PATIENCE)
    print(f"killed: signal {-code}; {sum(answer != 'no answer' for answer in answers)} orders were accepted,", end=" ")
    print(f"{len(booked(folder))} are booked")
    again = Shop(folder)
    retried = [f"order {number + 1}: {again.send(number)}" for number, one in enumerate(answers) if one == "no answer"]
    print(f"started again; orders without an answer are sent again: {', '.join(retried) or 'none'}")
    wait_for(lambda: len(booked(folder)) >= len(ORDERS), again)
    again.process.send_signal(signal.SIGTERM)
    again.process.wait(PATIENCE)
    orders = booked(folder)
    lost, twice = set(ORDERS) - set(orders), len(orders) - len(set(orders))
    print(f"booked: {len(set(orders))} of {len(ORDERS)}; lost: {len(lost)}; twice: {twice}")
    return 1 if lost or twice else 0


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as made:
        sys.exit(main(Path(made)))
