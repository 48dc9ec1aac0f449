"""`understage dead` and `understage journal`: what durable nodes have accepted, and what they could not handle."""

from __future__ import annotations

import asyncio
import json
import time
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import pytest

from actors import ActorSystem, Agent, AgentPool
from actors.app import open_app
from actors.app.journal_paths import open_journal
from actors.app.journal_service import JournalService
from actors.app.journal_watch import LOOK
from actors.cli.exit_code import ExitCode
from actors.cli.feed_client import Tables, follow
from actors.cli.tree_view import HEAD, view
from actors.config.load import load_manifest
from actors.dashboard import serve_monitor
from actors.durable.record import RUN_KIND, encode_run
from actors.testing.clock import ManualClock
from protocols.journal import Acknowledgement, Entry, MailboxJournal
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.cli.conftest import Call

TEXT: Final = """
name: orders
journal: orders.journal
agents:
  clerk: {model: offline, durable: true}
  booker: {model: offline, durable: true}
  plain: {model: offline}
"""
A, B, C, D = (bytes.fromhex(f"{number:02x}" * 16) for number in (0xAA, 0xAB, 0xCC, 0xDD))


class Owner(NamedTuple):
    """A pool that has the journal."""

    runner: asyncio.Runner
    journal: MailboxJournal


def entry(id: bytes, node: str, text: str, **more: Any) -> Entry:
    payload = encode_run(Agent(node, model="offline").request([text], {}))
    given: dict[str, Any] = {
        "sender": "mail",
        "kind": RUN_KIND,
        "payload": payload,
        "accepted": time.time() - 3_700,
        **more,
    }
    return Entry(id, f"orders/{node}", **given)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "agents.yml"
    path.write_text(TEXT, encoding="utf-8")
    return path


@pytest.fixture
def owner(file: Path) -> Iterator[Owner]:
    """The journal as a running pool has it: two dead letters, and two open messages, one of a node that is gone."""
    journal = open_journal(load_manifest(file))
    assert journal is not None

    async def fill() -> None:
        await journal.open()
        old = entry(D, "former", "Book a boat.", accepted=time.time() - 90_000, kind="later1")
        dead = [entry(A, "clerk", "Book 17."), entry(B, "booker", "Book 18.")]
        await journal.accept([*dead, entry(C, "clerk", "Now."), old])
        for id in (A, B):
            await journal.settle(Acknowledgement(id, "poison", error="the process died", is_dead=True))

    with asyncio.Runner() as runner:
        runner.run(fill())
        try:
            yield Owner(runner, journal)
        finally:
            runner.run(journal.close())


@pytest.mark.usefixtures("owner")
def test_dead_letters_are_listed_and_shown_while_a_pool_runs(file: Path, cli: Call) -> None:
    table = [line.split() for line in cli("dead", "list", file).out.splitlines()]
    rows = json.loads(cli("dead", "list", "--node", "clerk", "--json", file).out)
    shown = cli("dead", "show", "ab", file).out

    assert table[0] == ["id", "node", "died", "reason", "error"]
    assert [row[:2] for row in table[1:]] == [[A.hex(), "clerk"], [B.hex(), "booker"]]
    assert [(row["id"], row["text"], row["reason"]) for row in rows] == [(A.hex(), "Book 17.", "poison")]
    assert {"node: booker", "text: Book 18.", "error: the process died", "sender: mail"} <= {*shown.splitlines()}
    assert json.loads(cli("dead", "show", B.hex().upper(), file, "--json").out)["id"] == B.hex()


def test_dead_letters_are_replayed_and_deleted_while_a_pool_runs(file: Path, cli: Call, owner: Owner) -> None:
    assert cli("dead", "replay", "aaaa", file).out == "1 messages are open again\n"
    waiting = owner.runner.run(owner.journal.waiting("orders/clerk", 0, 10))
    assert [(one.id, one.attempts) for one in waiting] == [(C, 0), (A, 0)]

    assert cli("dead", "discard", "ab", file).out == "1 dead letters deleted\n"
    assert cli("dead", "list", file).out == "no dead letters\n"
    assert json.loads(cli("dead", "replay", "--all", file, "--json").out) == {"replayed": []}


def test_all_dead_letters_of_one_node_are_replayed(file: Path, cli: Call, owner: Owner) -> None:
    assert json.loads(cli("dead", "replay", "--all", "--node", "booker", file, "--json").out) == {"replayed": [B.hex()]}
    assert owner.runner.run(owner.journal.counts()) == {"orders/clerk": 1, "orders/former": 1, "orders/booker": 1}


@pytest.mark.usefixtures("owner")
def test_open_messages_are_listed_oldest_first(file: Path, cli: Call) -> None:
    table = cli("journal", "open", file).out.splitlines()
    rows = json.loads(cli("journal", "open", "--node", "clerk", "--limit", "1", file, "--json").out)

    assert [line.split()[0] for line in table] == ["id", D.hex(), C.hex()]
    assert "1 day, 1:00:" in table[1]
    assert "[later1, " in table[1]
    assert [(row["id"], row["sender"], row["attempts"], row["text"]) for row in rows] == [(C.hex(), "mail", 0, "Now.")]
    assert rows[0]["age"].startswith("1:01:")


@pytest.mark.usefixtures("owner")
def test_the_status_counts_what_is_kept(file: Path, cli: Call) -> None:
    found = json.loads(cli("journal", "status", file, "--json").out)
    lines = cli("journal", "status", file).out.splitlines()

    assert (found["open"], found["dead"], found["nodes"]) == (2, 2, {"clerk": 1, "former": 1})
    assert found["bytes"] > 0
    assert {"open: 2", "dead: 2", "nodes: clerk 1, former 1"} <= {*lines}


def test_messages_are_moved_when_no_pool_has_the_journal(file: Path, cli: Call, owner: Owner) -> None:
    refused = cli("journal", "move", "former", "clerk", file)
    owner.runner.run(owner.journal.close())
    moved = cli("journal", "move", "former", "clerk", file).out
    rows = json.loads(cli("journal", "open", "--json", file).out)

    assert (refused.code, "orders.journal': is used by" in refused.err) == (ExitCode.FAILED, True)
    assert moved == "1 open messages moved\n"
    assert [(row["id"], row["node"]) for row in rows] == [(D.hex(), "clerk"), (C.hex(), "clerk")]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["dead", "show", "xyz"], "'xyz' is no id: that has up to 32 hex digits"),
        (["dead", "show", "a" * 33], "is no id"),
        (["dead", "show", "a"], "2 dead letters have ids that begin with 'a'; write more of it"),
        (["dead", "show", "cc"], "no dead letter has an id that begins with 'cc'"),
        (["dead", "discard", "aa", "ff"], "no dead letter has an id that begins with 'ff'"),
        (["dead", "list", "--node", "clark"], "did you mean 'clerk'"),
        (["dead", "replay", "--all", "--node", "clark"], "did you mean 'clerk'"),
        (["dead", "replay"], "say which messages"),
        (["dead", "replay", "--all", "aa"], "say which messages"),
        (["dead", "replay", "--node", "clerk", "aa"], "say which messages"),
        (["journal", "open", "--node", "clark"], "did you mean 'clerk'"),
        (["journal", "open", "--limit", "0"], "--limit must be 1 to"),
        (["dead", "discard"], "Missing argument"),
    ],
)
def test_what_cannot_be_meant_is_refused(cli: Call, file: Path, owner: Owner, arguments: list[str], words: str) -> None:
    done = cli(*arguments, file)

    assert (done.code, words in done.err) == (ExitCode.USAGE, True)
    assert owner.runner.run(owner.journal.dead(mailbox="orders/clerk"))


FAILURES: list[Exception] = []
SEEN: list[str] = []


async def work(prompt: str) -> str:
    SEEN.append(prompt)
    if prompt == "wait":
        await asyncio.Event().wait()
    if FAILURES:
        raise FAILURES.pop()
    return prompt


RUNNING: Final = """
allow_imports: [tests]
journal: orders.journal
agents:
  clerk: {type: callback, callback: "tests.cli.test_journal:work", durable: true}
  plain: {type: callback, callback: "tests.cli.test_journal:work"}
"""


@pytest.fixture
def running(file: Path) -> Path:
    file.write_text(RUNNING, encoding="utf-8")
    return file


async def test_a_running_pool_delivers_what_is_replayed(running: Path, cli: Call) -> None:
    FAILURES.append(OSError("the line was busy"))
    SEEN.clear()
    clock = ManualClock()
    async with ActorSystem(clock=clock) as system, AgentPool[None](running, system=system) as pool:
        ticket = await pool["clerk"].submit("one")
        service = pool.service(JournalService)
        assert service is not None
        assert service.journal is not None
        journal = service.journal
        await wait_until(lambda: journal.statistics().dead)
        shown = await asyncio.to_thread(cli, "dead", "show", ticket.run_id[:6], running)
        replayed = await asyncio.to_thread(cli, "dead", "replay", ticket.run_id, running)
        await clock.advance(LOOK)
        await wait_until(lambda: SEEN == ["one", "one"])
        left = await asyncio.to_thread(cli, "dead", "list", running)

    assert {"text: one", "reason: failed"} <= {*shown.out.splitlines()}
    assert "the line was busy" in shown.out
    assert replayed.out == "1 messages are open again\n"
    assert left.out == "no dead letters\n"


def test_a_single_run_goes_beside_the_pool_that_has_the_journal(running: Path, cli: Call) -> None:
    journal = open_journal(load_manifest(running))
    assert journal is not None
    with asyncio.Runner() as runner:
        runner.run(journal.open())
        done = cli("run", running, "clerk", "hello")
        runner.run(journal.close())

    assert (done.code, done.out) == (ExitCode.OK, "hello\n")


async def test_the_monitor_shows_what_durable_nodes_keep(running: Path) -> None:
    tables: Tables = {}
    async with open_app(load_manifest(running)) as app:
        await app.pool["clerk"].submit("wait")
        await app.pool["clerk"].submit("wait")
        async with serve_monitor(app.pool, running.parent / "pool.sock"):
            await follow(running.parent / "pool.sock", tables.update, once=True)

    lines = [line.split() for line in view(tables).splitlines()]
    place = HEAD.index("kept")
    assert {line[0]: line[place] for line in lines if line[0] in {"clerk", "plain"}} == {"clerk": "2", "plain": "0"}


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("clerk", "clark", "did you mean 'clerk'"),
        ("clerk", "plain", "node 'plain' is not durable"),
        ("clerk", "clerk", "node 'clerk' is the same"),
        ("fomer", "clerk", "no node 'fomer' in the pool"),
    ],
)
def test_messages_are_moved_between_known_nodes_only(
    cli: Call, file: Path, owner: Owner, old: str, new: str, words: str
) -> None:
    owner.runner.run(owner.journal.close())
    done = cli("journal", "move", old, new, file)

    assert (done.code, words in done.err) == (ExitCode.USAGE, True)


def test_a_manifest_without_a_journal_or_whose_pool_never_started_is_told(cli: Call, file: Path) -> None:
    early = cli("dead", "list", file)
    file.write_text("agents: {a: {model: offline}}", encoding="utf-8")
    none = cli("journal", "status", file)

    assert (early.code, none.code) == (ExitCode.USAGE, ExitCode.USAGE)
    assert "has not been made yet" in early.err
    assert "has no journal; add 'journal: true' to it" in none.err
    assert [path.name for path in file.parent.iterdir()] == [file.name]
