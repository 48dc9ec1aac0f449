"""Nodes that keep nothing and live in one process at a time: they are asked there, in memory."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from actors.agents.agent import Agent
from actors.cluster.stream_record import MOST
from actors.durable.record import UndecodableError
from actors.nodes.team_run import TeamRun
from actors.testing.clock import ManualClock
from actors.testing.models import echo_model
from protocols.errors import HostLostError, NodeStoppedError, RemoteFailureError, RunTimeoutError
from protocols.journal import NotDurableError
from tests.cluster.process import TTL, Process, asked, clerk, shared
from tests.config.manifest_text import read

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.usefixtures("no_leaked_actors")

NAMES = ("a", "b", "c", "d", "e", "f")


class StrangeError(Exception):
    pass


class Desk:
    """What the nodes of all processes do, and have done."""

    def __init__(self, *, is_durable: bool = False) -> None:
        self.seen: list[tuple[str, str, str]] = []
        self.cancelled: list[str] = []
        self.gate = asyncio.Event()
        self.is_durable = is_durable

    def nodes(self, host: str) -> Callable[[], list[Any]]:
        def made(name: str) -> Any:
            async def work(prompt: str) -> str:
                self.seen.append((host, name, prompt))
                if prompt == "value":
                    raise ValueError("bad number")
                if prompt == "long":
                    return "x" * (MOST + 1)
                if prompt == "strange":
                    raise StrangeError("odd")
                if prompt.startswith("wait"):
                    try:
                        await self.gate.wait()
                    except asyncio.CancelledError:
                        self.cancelled.append(prompt)
                        raise
                return f"{host}: {prompt}"

            return clerk(name, work, is_durable=self.is_durable)

        return lambda: [made(name) for name in NAMES]


class Pair:
    """Two processes that have shared the nodes out."""

    def __init__(self, desk: Any) -> None:
        self.clock = ManualClock()
        self.database = shared(self.clock)
        self.one = Process(self.database, self.clock, desk.nodes("one"))
        self.two = Process(self.database, self.clock, desk.nodes("two"))

    async def __aenter__(self) -> Pair:
        await self.one.__aenter__()
        await self.two.__aenter__()
        await self.clock.advance(2 * TTL)
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.two.__aexit__(*exc)
        await self.one.__aexit__(*exc)

    def at(self, home: Process) -> list[Any]:
        """Return the nodes that live in a process, as the first one has them."""
        return [self.one[name] for name in self.one.pool.nodes if home.is_home(name)]

    @property
    def far(self) -> Any:
        """A node that lives in the second process, as the first one has it."""
        return self.at(self.two)[0]

    async def ask(self, node: Any, prompt: str, seconds: float = 0.5, **options: Any) -> Any:
        return await asked(self.clock, node, prompt, seconds, **options)


async def begun(pair: Pair, node: Any, prompt: str) -> asyncio.Task[Any]:
    """Ask a node, and let the run begin."""
    task: asyncio.Task[Any] = asyncio.ensure_future(node.run(prompt))
    await pair.clock.advance(0.5)
    return task


@pytest.mark.parametrize("is_durable", [False, True])
async def test_a_node_lives_in_one_process_and_is_asked_from_each(is_durable: bool) -> None:
    """A durable one as well, by runs that are not to be kept."""
    desk = Desk(is_durable=is_durable)
    async with Pair(desk) as pair:
        homes = {name: "one" if pair.one.is_home(name) else "two" for name in NAMES}
        assert [pair.two.is_home(name) for name in NAMES] == [home == "two" for home in homes.values()]
        for process in (pair.one, pair.two):
            for name, home in homes.items():
                assert await pair.ask(process[name], "hello", durable=False) == f"{home}: hello"
        assert await pair.one.store.counts() == {}


@pytest.mark.parametrize(
    ("agent", "is_single"),
    [
        ("{}", True),
        ("{session: false}", False),
        ("{session: false, max_concurrency: 1}", True),
        ("{session: false, placement: single}", True),
        ("{placement: anywhere}", False),
    ],
)
async def test_what_depends_on_the_run_before_lives_in_one_process_at_a_time(agent: str, is_single: bool) -> None:
    clock = ManualClock()
    manifest = read(f"name: pool\nagents: {{a: {agent}}}")
    async with Process(shared(clock), clock, list, manifest=manifest, model=echo_model()) as one:
        assert (one["a"].place is not None) is is_single


async def test_runs_of_one_sender_are_done_in_their_order_and_each_once() -> None:
    desk = Desk()
    async with Pair(desk) as pair:
        node, texts = pair.far, [str(number) for number in range(50)]
        replies = [asyncio.ensure_future(node.run(text)) for text in texts]
        await pair.clock.advance(1)
        assert [(await reply).content for reply in replies] == [f"two: {text}" for text in texts]
        assert desk.seen == [("two", node.name, text) for text in texts]


async def test_a_failure_comes_back_as_it_was() -> None:
    async with Pair(Desk()) as pair:
        with pytest.raises(ValueError, match="bad number") as caught:
            await pair.ask(pair.far, "value")
        assert any(pair.far.name in note for note in caught.value.__notes__)
        with pytest.raises(RemoteFailureError, match="StrangeError: odd"):
            await pair.ask(pair.far, "strange")


async def test_a_run_whose_caller_gives_up_is_cancelled_where_it_is() -> None:
    desk = Desk()
    async with Pair(desk) as pair:
        with pytest.raises(RunTimeoutError, match="3"):
            await pair.ask(pair.far, "wait long", 4, timeout=3)
        waiting = await begun(pair, pair.far, "wait")
        behind = await begun(pair, pair.far, "wait behind")
        behind.cancel()
        waiting.cancel()
        await pair.clock.advance(0.5)
        assert desk.cancelled == ["wait long", "wait"]
        assert [prompt for _, _, prompt in desk.seen] == ["wait long", "wait"]
        assert await pair.ask(pair.far, "after") == "two: after"


@pytest.mark.parametrize("options", [{"deps": object()}, {"tools": [str.upper]}, {"output_type": int}])
@pytest.mark.parametrize("is_durable", [False, True])
async def test_objects_of_this_process_are_refused(options: dict[str, Any], is_durable: bool) -> None:
    desk = Desk(is_durable=is_durable)
    async with Pair(desk) as pair:
        with pytest.raises(NotDurableError, match=f"{next(iter(options))} cannot be kept.*lives at another host"):
            await pair.ask(pair.far, "x", **options, durable=False)
    assert desk.seen == []


async def test_a_node_that_keeps_nothing_knows_no_names_of_runs() -> None:
    desk = Desk()
    async with Pair(desk) as pair:
        for node in pair.one.pool.values():
            with pytest.raises(NotDurableError, match="is not durable"):
                await pair.ask(node, "x", request_id="x")
            with pytest.raises(NotDurableError, match="is not durable"):
                await node.submit("x")
    assert desk.seen == []


async def test_what_is_too_large_for_a_frame_is_refused() -> None:
    async with Pair(Desk()) as pair:
        largest = "x" * (MOST - 1_000)
        assert len(await pair.ask(pair.far, largest[:-1_000])) > MOST - 3_000
        with pytest.raises(NotDurableError, match="max_message"):
            await pair.ask(pair.far, largest + 1_001 * "x")
        with pytest.raises(UndecodableError, match="bytes"):
            await pair.ask(pair.far, "long")


async def test_of_a_lost_host_it_is_not_known_what_was_done() -> None:
    desk = Desk()
    async with Pair(desk) as pair:
        node = pair.far
        waiting = [await begun(pair, node, text) for text in ("wait", "wait too")]
        await pair.two.die()
        desk.gate.set()
        await pair.clock.advance(TTL + 1)
        for one in waiting:
            with pytest.raises(HostLostError, match=f"{node.name!r}.*not known.*make the node durable") as caught:
                await one
            assert caught.value.node == node.name
        assert pair.one.is_home(node.name)
        assert await pair.ask(node, "after") == "one: after"
        assert [seen[::2] for seen in desk.seen] == [("two", "wait"), ("one", "after")]


async def test_runs_of_a_lost_host_are_cancelled() -> None:
    desk = Desk()
    async with Pair(desk) as pair:
        node = next(name for name in NAMES if pair.one.is_home(name))
        await begun(pair, pair.two[node], "wait")
        await pair.two.die()
        await pair.clock.advance(TTL + 1)
        assert desk.cancelled == ["wait"]


async def test_a_node_that_moves_ends_its_run_first_and_what_waits_follows_it() -> None:
    desk = Desk()
    async with Pair(desk) as pair:
        node = pair.far
        running, waiting = await begun(pair, node, "wait"), await begun(pair, node, "wait behind")
        own = await begun(pair, pair.two[node.name], "own")
        assert await pair.two.service.host.drain()
        await pair.clock.advance(TTL)
        late = await begun(pair, node, "late")
        assert not pair.one.is_home(node.name)
        desk.gate.set()
        await pair.clock.advance(TTL)
        assert (await running).content == "two: wait"
        assert {(await one).content.partition(":")[0] for one in (waiting, own, late)} == {"one"}
        assert pair.one.is_home(node.name)


async def test_what_is_under_way_ends_with_the_lease() -> None:
    desk = Desk()
    async with Pair(desk) as pair:
        node = pair.far
        far, near = await begun(pair, node, "wait far"), pair.two[node.name]
        host = pair.two.service.host
        host.forget(host.leases.leases[pair.two.store.shard(f"pool/{node.name}")])
        await pair.clock.advance(0.5)
        with pytest.raises(HostLostError, match="has lost it"):
            await far
        assert desk.cancelled == ["wait far"]
        waiting = await begun(pair, near, "x")
        await pair.clock.advance(TTL)
        assert (await waiting).content.endswith("x")


async def test_callers_are_told_that_their_process_ends() -> None:
    desk = Desk()
    async with Pair(desk) as pair:
        waiting = await begun(pair, pair.far, "wait")
        await pair.one.__aexit__()
        with pytest.raises(NodeStoppedError):
            await waiting
        await pair.clock.advance(0.5)
        assert desk.cancelled == ["wait"]


class Memories:
    """Agents that remember, and answer with all that they were asked."""

    def nodes(self, _: str) -> Callable[[], list[Any]]:
        return lambda: [Agent(name, model=echo_model("{prompt}"), placement="single") for name in NAMES]


def remembered(node: Any) -> int:
    return len(node.execution.sessions.own.messages)


async def test_a_node_has_one_memory_and_it_ends_with_the_tenure() -> None:
    async with Pair(Memories()) as pair:
        node = pair.far
        there = pair.two[node.name]
        node.add_context("from elsewhere")
        await pair.clock.advance(0.5)
        await pair.ask(node, "first")
        assert "from elsewhere" in str(there.execution.sessions.own.messages)
        await pair.ask(there, "second")
        assert (remembered(node), remembered(there)) == (0, 4)
        await pair.ask(node, "mine", session="s")
        assert there.execution.sessions.get("s")
        forgetting = asyncio.ensure_future(pair.one.pool.forget_session("s"))
        await pair.clock.advance(0.5)
        await forgetting
        assert not there.execution.sessions.get("s")
        assert await pair.two.service.host.drain()
        await pair.clock.advance(TTL)
        assert (remembered(node), remembered(there)) == (0, 0)
        await pair.ask(there, "third")
        assert (remembered(node), remembered(there)) == (2, 0)


async def test_members_and_stages_are_asked_where_they_live() -> None:
    desk = Desk()
    async with Pair(desk) as pair:
        near, (far, farther, *_) = pair.at(pair.one)[0], pair.at(pair.two)
        team = pair.one.pool.create_team([near.name, far.name])
        assert {"one: x", "two: x"} <= {*str(await pair.ask(team, "x")).replace("'", "\n").splitlines()}
        chain = pair.one.pool.create_team_run([far.name, near.name, farther.name])
        assert "two: one: two: x" in str(await pair.ask(chain, "x"))
        with pytest.raises(ValueError, match="bad number"):
            await pair.ask(pair.one.pool.create_team_run([near.name, far.name]), "value")


class Crew(Desk):
    """Durable chains of members that keep nothing."""

    def nodes(self, host: str) -> Callable[[], list[Any]]:
        def made() -> list[Any]:
            members = super(Crew, self).nodes(host)()
            pairs = [(x, y) for x in members for y in members if x is not y]
            return [*members, *(TeamRun([x, y], name=f"{x.name}{y.name}", durable=True) for x, y in pairs)]

        return made


async def test_a_recorded_part_is_not_asked_again() -> None:
    desk = Crew()
    async with Pair(desk) as pair:
        name = next(f"{x}{y}" for x in NAMES for y in NAMES if x != y and pair.one.is_home(x)
                    and pair.one.is_home(y) and pair.two.is_home(f"{x}{y}"))  # fmt: skip
        ticket = await pair.one[name].submit("wait")
        await pair.clock.advance(0.5)
        desk.gate.set()
        await pair.clock.advance(0.5)
        assert (await ticket.answer()).content == "one: one: wait"
        assert desk.seen == [("one", name[0], "wait"), ("one", name[1], "one: wait")]
