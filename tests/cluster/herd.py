"""Several processes of one cluster, killed and frozen by a test, and what is wrong afterwards."""

from __future__ import annotations

import json
import os
import random
import select
import signal
import subprocess
import sys
import time
from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any

from protocols.cluster import shard_of
from tests.cluster.worker import NODES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.storage.postgres_server import PostgresServer

PATIENCE = 120.0
"""Seconds after which a herd that does nothing is given up."""
MANIFEST = "name: shop\ncluster: {engine: postgres, url: '%s', ttl: %ss, shards: 8}\n"
SHARDS = 8
"""So few that no host can have those of all nodes."""
HOMES = ", ".join(f"('shop/{name}', {shard_of(f'shop/{name}', SHARDS)})" for kind in NODES for name in kind)
NOTE_ENDS = f"""SET search_path = understage_journal_1; CREATE TABLE home(mailbox, no) AS VALUES {HOMES};
CREATE TABLE ended(writer TEXT, owner TEXT);
CREATE FUNCTION note_end() RETURNS trigger LANGUAGE plpgsql SET search_path = understage_journal_1 AS $$
BEGIN INSERT INTO ended VALUES ((SELECT host FROM lane WHERE xmin = pg_current_xact_id()::xid),
  (SELECT owner FROM home JOIN shard USING (no) WHERE mailbox = NEW.mailbox)); RETURN NULL; END $$;
CREATE TRIGGER note_end AFTER UPDATE ON message FOR EACH ROW WHEN (OLD.done IS NULL AND NEW.done IS NOT NULL)
  EXECUTE FUNCTION note_end()
"""
"""Has the database note who ends a message, and who has the lease of its node in that moment."""


class Herd:
    """Processes of one cluster.

    Args:
        folder: where they have their manifest and their log.
        server: the database.
        ttl: seconds of a lease.
        manifest: what they share, but for the address of the database and the ttl.
    """

    def __init__(self, folder: Path, server: PostgresServer, ttl: float, manifest: str = MANIFEST) -> None:
        self.folder = folder
        self.server = server
        self.ttl = ttl
        self.alive: dict[str, subprocess.Popen[str]] = {}
        self.gaps: list[float] = []
        """Seconds from each death to the first effect of each node of the dead process elsewhere."""
        self.outages = 0
        """How often the database was away, in which time each lease may have ended."""
        self._bell, self._rope = os.pipe()
        self._born = 0
        self._read = 0
        self._lines: list[list[Any]] = []
        (folder / "agents.yml").write_text(manifest % (server.url, ttl))

    def __enter__(self) -> Herd:
        return self

    def __exit__(self, *_exc: object) -> None:
        for one in self.alive.values():
            one.kill()
            one.communicate()
        os.close(self._bell)
        os.close(self._rope)

    def start(self, number: int = 1) -> None:
        """Start processes, and wait until their pools are open."""
        new = [self._begin() for _ in range(number)]
        self.wait(lambda: {line[1] for line in self.lines() if line[2] == "opened"}.issuperset(new), new[0])

    def _begin(self) -> str:
        self._born += 1
        name = f"p{self._born}"
        with (self.folder / f"{name}.txt").open("w") as errors:
            self.alive[name] = subprocess.Popen(
                [sys.executable, "-m", "tests.cluster.worker", str(self.folder), name, str(self._rope)],
                pass_fds=[self._rope], stdin=subprocess.PIPE, stdout=errors, stderr=errors, text=True,
            )  # fmt: skip
        return name

    def lines(self) -> list[list[Any]]:
        """Return the log so far: when, who, what, and more."""
        with (self.folder / "log").open() if (self.folder / "log").exists() else open(os.devnull) as file:
            file.seek(self._read)
            text = file.read()
        whole = text.rpartition("\n")[0]
        if whole:
            self._read += len(whole.encode()) + 1
            self._lines += [json.loads(line) for line in whole.split("\n")]
        return self._lines

    def wait(self, found: Callable[[], Any], name: str = "") -> Any:
        """Return what is found in the log, as soon as it is there."""
        end = time.monotonic() + PATIENCE
        while not (result := found()):
            dead = [one for one, process in self.alive.items() if process.poll() is not None]
            if time.monotonic() > end or dead:
                texts = [(self.folder / f"{one}.txt").read_text()[-3000:] for one in (*dead, *([name] if name else []))]
                raise AssertionError(f"waited in vain; ended: {dead}; {self.lines()[-5:]}\n" + "\n".join(texts))
            self._rung()
        return result

    def _rung(self) -> None:
        """Wait until a process has written a line, or is silent for a second."""
        ready, _, _ = select.select([self._bell], [], [], 1.0)
        if ready:
            os.read(self._bell, 65_536)

    def hosts(self) -> list[str]:
        """Return the processes in which nodes work now."""
        return [name for name in self.alive if self._nodes(name)]

    def busy(self, least: int = 1) -> list[str]:
        """Wait for so many `hosts`; one that has just begun may have no node yet."""
        self.wait(lambda: len(self.hosts()) >= least)
        return self.hosts()

    def _nodes(self, name: str) -> set[str]:
        now = time.monotonic()
        return {line[3] for line in self.lines()[-4_000:] if line[1:3] == [name, "effect"] and line[0] > now - 1.0}

    def effects(self, more: int) -> None:
        """Wait for so many more effects, of any processes: nodes move away from those that have too many."""
        before = self._count()
        self.wait(lambda: self._count() >= before + more)

    def _count(self) -> int:
        return sum(line[2] == "effect" for line in self.lines())

    def kill(self, name: str) -> None:
        """Kill a process, and wait until each of its busy nodes has an effect elsewhere."""
        nodes = self._nodes(name)
        self._end(name)
        self._taken_over(name, nodes, time.monotonic())

    def freeze(self, name: str) -> None:
        """Stop a process until its nodes have gone on elsewhere, then let it go on."""
        nodes = self._nodes(name)
        os.kill(self._pid(name), signal.SIGSTOP)
        self._taken_over(name, nodes, time.monotonic())
        os.kill(self._pid(name), signal.SIGCONT)

    def _end(self, name: str) -> None:
        process = self.alive.pop(name)
        process.kill()
        process.communicate()

    def _pid(self, name: str) -> int:
        return self.alive[name].pid

    async def disturb(self, kills: int, freezes: int, chance: random.Random) -> None:
        """Kill and freeze processes in any order, each after some work, and say what came of each."""
        await self.server.execute(NOTE_ENDS)
        disturbances = [*[self.kill] * kills, *[self.freeze] * freezes]
        chance.shuffle(disturbances)
        for disturb in disturbances:
            self.effects(chance.randint(1, 200))
            known = len(self.gaps)
            disturb(chance.choice(self.busy(2)))
            print(disturb.__name__, [round(gap, 2) for gap in self.gaps[known:]], flush=True)  # noqa: T201 - it takes minutes

    async def summary(self) -> str:
        """Return what the processes have done. Raises AssertionError if one wrote without the lease of a node."""
        count = "SELECT count(*) FROM understage_journal_1.ended"
        ends, stray = [await self.server.value(count + " WHERE owner IS DISTINCT FROM writer" * n) for n in range(2)]
        effects = Counter((line[3], line[4]) for line in self.lines() if line[2] == "effect")
        accepted, again = sum(line[2] == "accepted" for line in self.lines()), effects.total() - len(effects)
        assert (stray, ends > accepted / 2) == (0, True), f"{stray} of {ends} were ended without the lease"
        gaps = sorted(self.gaps)
        where = f"{len(gaps)} nodes went on elsewhere after {gaps[len(gaps) // 2]:.1f} s (median), {gaps[-1]:.1f} s"
        return f"{accepted} accepted, {again} of {effects.total()} effects again, {ends} ended by the owner; {where}"

    def _taken_over(self, name: str, nodes: set[str], since: float) -> None:
        def others() -> dict[str, float]:
            found: dict[str, float] = {}
            for at, who, what, *more in self.lines():
                if who != name and what == "effect" and at > since:
                    found.setdefault(more[0], at)
            return found

        self.wait(lambda: nodes <= others().keys())
        self.gaps += [others()[node] - since for node in nodes]

    def stop(self) -> list[str]:
        """Stop all in order, and return what is wrong, in words."""
        for process in self.alive.values():
            assert process.stdin is not None
            process.stdin.write("stop\n")
            process.stdin.flush()
        for name, process in self.alive.items():
            process.communicate(timeout=PATIENCE)
            assert process.returncode == 0, (self.folder / f"{name}.txt").read_text()[-3000:]
        self.alive.clear()
        return list(self._problems())

    def refused(self) -> list[str]:
        """Return what a sender was told that was not accepted."""
        return [" ".join(map(str, line[1:])) for line in self.lines() if line[2] == "refused"]

    def _problems(self) -> Iterator[str]:
        known: Counter[tuple[str, str]] = Counter()
        yield from (f"wrong answer: {line[3:]}" for line in self.lines() if line[2] == "wrong")
        yield from self._disordered(known)
        yield from self._lost(known)
        copies = sum(count - 1 for count in known.values())
        changes = len(self.gaps) + self.outages * len({line[3] for line in self.lines() if line[2] == "effect"})
        if copies > changes:
            yield f"{copies} copies, and only {changes} nodes can have changed their place in mid-work"

    def _disordered(self, known: Counter[tuple[str, str]]) -> Iterator[str]:
        last: dict[tuple[str, str], int] = defaultdict(int)
        # A process that wakes up may do the first delivery last: only one of all has no mark.
        first: Counter[tuple[str, str]] = Counter()
        for _, who, what, *more in self.lines():
            if what != "effect":
                continue
            node, text, attempt = more
            sender, _, number = text.partition(":")
            first[node, text] += not attempt
            if (node, text) in known:
                if not attempt and first[node, text] > 1:
                    yield f"copy without a mark: {text} of {node} in {who}"
            elif int(number) < last[node, sender]:
                yield f"out of order: {text} of {node} in {who}"
            else:
                last[node, sender] = int(number)
            known[node, text] += 1

    def _lost(self, known: Counter[tuple[str, str]]) -> Iterator[str]:
        for line in self.lines():
            if line[2] == "accepted":
                _, _, _, node, text = line
                for one in (node, node.replace("source", "target")):
                    if (one, text) not in known:
                        yield f"lost: {text} of {one}"
