"""Two hosts of one pool: a durable node lives at one of them, and is asked from both."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from actors.durable.durable_mailbox import id_of
from actors.testing.clock import ManualClock
from protocols.errors import RemoteFailureError, RunTimeoutError
from tests.cluster.process import TTL, Process, asked, clerk, shared

pytestmark = pytest.mark.usefixtures("no_leaked_actors")

NAMES = ("a", "b", "c", "d", "e", "f")


class StrangeError(Exception):
    pass


class Desk:
    def __init__(self) -> None:
        self.seen: list[tuple[str, str]] = []
        self.gate = asyncio.Event()

    def nodes(self, host: str) -> Any:
        async def work(prompt: str) -> str:
            self.seen.append((host, prompt))
            if prompt == "wait":
                await self.gate.wait()
            if prompt == "value":
                raise ValueError("bad number")
            if prompt == "strange":
                raise StrangeError("odd")
            return f"{host}: {prompt}"

        return lambda: [clerk(name, work) for name in NAMES]


async def both(database: Any, clock: ManualClock, one: Process, two: Process) -> dict[str, str]:
    """Let two processes share the nodes out; return where each lives."""
    await clock.advance(2 * TTL)
    homes = {name: "one" if one.is_home(name) else "two" for name in NAMES}
    assert [two.is_home(name) for name in NAMES] == [home == "two" for home in homes.values()]
    assert {*homes.values()} == {"one", "two"}
    return homes


def away(homes: dict[str, str]) -> str:
    return next(name for name, home in homes.items() if home == "two")


async def test_a_node_lives_in_one_process_and_is_asked_from_each() -> None:
    clock, desk = ManualClock(), Desk()
    database = shared(clock)
    async with (
        Process(database, clock, desk.nodes("one")) as one,
        Process(database, clock, desk.nodes("two")) as two,
    ):
        homes = await both(database, clock, one, two)
        for name, home in homes.items():
            assert await asked(clock, one[name], "hello") == f"{home}: hello"
            assert await asked(clock, two[name], "hello") == f"{home}: hello"


async def test_a_caller_elsewhere_gets_the_failure_as_it_was() -> None:
    clock, desk = ManualClock(), Desk()
    database = shared(clock)
    async with (
        Process(database, clock, desk.nodes("one")) as one,
        Process(database, clock, desk.nodes("two")) as two,
    ):
        node = one[away(await both(database, clock, one, two))]
        with pytest.raises(ValueError, match="bad number") as caught:
            await asked(clock, node, "value")
        assert any(node.name in note for note in caught.value.__notes__)
        with pytest.raises(RemoteFailureError, match="StrangeError: odd"):
            await asked(clock, node, "strange")
        assert await one.store.dead() == []
        ticket = await node.submit("value")
        await clock.advance(0.1)
        assert [letter.entry.id.hex() for letter in await one.store.dead()] == [ticket.run_id]
        with pytest.raises(RunTimeoutError):
            await asked(clock, node, "wait", 3.5, timeout=3)
        waiting = asyncio.ensure_future(node.run("wait"))
        await clock.advance(0.1)
        waiting.cancel()
        await clock.advance(0.1)
        assert waiting.cancelled()
        assert await asked(clock, node, "after") == "two: after"


@pytest.mark.parametrize("is_owner_first", [True, False])
async def test_a_caller_that_gives_up_does_not_end_a_run_that_another_host_waits_for(*, is_owner_first: bool) -> None:
    clock, desk = ManualClock(), Desk()
    database = shared(clock)
    async with Process(database, clock, desk.nodes("one")) as one, Process(database, clock, desk.nodes("two")) as two:
        name = away(await both(database, clock, one, two))
        order = (two, one) if is_owner_first else (one, two)
        replies: list[asyncio.Future[Any]] = []
        for process in order:
            replies.append(asyncio.ensure_future(process[name].run("wait", request_id="same")))
            await clock.advance(0.1)
        replies[0].cancel()
        await clock.advance(1)
        desk.gate.set()
        await clock.advance(1)
        assert replies[0].cancelled()
        assert (await replies[1]).content == "two: wait"
        assert desk.seen == [("two", "wait")]


async def test_a_run_ends_with_its_only_caller_wherever_that_is() -> None:
    clock, desk = ManualClock(), Desk()
    database = shared(clock)
    async with Process(database, clock, desk.nodes("one")) as one, Process(database, clock, desk.nodes("two")) as two:
        name = away(await both(database, clock, one, two))
        for process in (one, two):
            reply = asyncio.ensure_future(process[name].run("wait", request_id=str(process.store.host)))
            await clock.advance(0.1)
            reply.cancel()
            await clock.advance(0.1)
            found = await one.store.find(id_of(process.store.host))
            assert found is not None
            assert found.outcome == "cancelled"


async def test_the_mailbox_of_a_dead_process_is_handled_elsewhere() -> None:
    clock, desk = ManualClock(), Desk()
    database = shared(clock)
    async with Process(database, clock, desk.nodes("one")) as one, Process(database, clock, desk.nodes("two")) as two:
        name = away(await both(database, clock, one, two))
        replies: list[asyncio.Future[Any]] = []
        for process, text in ((two, "wait"), (one, "b")):
            replies.append(asyncio.ensure_future(process[name].run(text)))
            await clock.advance(0.1)
        tickets = [await two[name].submit(text) for text in ("c", "d")]
        await clock.advance(0.1)
        assert desk.seen == [("two", "wait")]
        await two.die()
        desk.gate.set()
        await clock.advance(TTL + 1)
        assert one.is_home(name)
        assert desk.seen[1:] == [("one", "wait"), ("one", "b"), ("one", "c"), ("one", "d")]
        assert (await replies[1]).content == "one: b"
        assert not any(one[name].durable.window.answers.ids)
        for ticket in tickets:
            found = await one.store.find(bytes.fromhex(ticket.run_id))
            assert found is not None
            assert found.outcome == "handled"
        await asyncio.gather(*replies, return_exceptions=True)


async def test_all_callers_of_a_node_that_moves_are_looked_up_in_one_commit() -> None:
    clock, desk = ManualClock(), Desk()
    database = shared(clock)
    async with Process(database, clock, desk.nodes("one")) as one, Process(database, clock, desk.nodes("two")) as two:
        homes = await both(database, clock, one, two)
        name = next(name for name, home in homes.items() if home == "one")
        host: Any = one.service.host
        replies = [asyncio.ensure_future(one[name].run("wait")) for _ in range(50)]
        await clock.advance(0.1)
        before = one.store.statistics().commits
        await host.drain()
        for lease in tuple(host.leases.leases.values()):
            host.forget(lease)
        await clock.advance(0.1)
        assert one.store.statistics().commits - before < 10
        desk.gate.set()
        await clock.advance(2 * TTL)
        assert all(reply.result().content.endswith(": wait") for reply in replies)


async def test_a_process_that_stops_gives_its_nodes_to_the_others_at_once() -> None:
    clock, desk = ManualClock(), Desk()
    database = shared(clock)
    async with Process(database, clock, desk.nodes("one")) as one:
        async with Process(database, clock, desk.nodes("two")) as two:
            await both(database, clock, one, two)
        await clock.advance(0.1)
        assert all(one.is_home(name) for name in NAMES)
        for name in NAMES:
            assert await asked(clock, one[name], "hello") == "one: hello"


def test_a_pool_in_one_process_loads_nothing_of_a_cluster() -> None:
    code = (
        "import asyncio, sys, tempfile, pathlib\n"
        "from actors import Agent, AgentPool\n"
        "async def main():\n"
        "    journal = pathlib.Path(tempfile.mkdtemp()) / 'x.journal'\n"
        "    async with AgentPool(journal=str(journal)) as pool:\n"
        "        await pool.add_node(Agent.from_callback(str.upper, name='a', durable=True))\n"
        "        assert (await pool['a'].run('x')).content == 'X'\n"
        "asyncio.run(main())\n"
        "print(*[name for name in sys.modules if 'cluster' in name])\n"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=Path.cwd())

    assert ended.stdout.split() == ["protocols.cluster", "actors.config.cluster"]
