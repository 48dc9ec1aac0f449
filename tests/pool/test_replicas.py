"""A node with replicas is one node: one address, one order for each session; a crash takes one replica along."""

from __future__ import annotations

import asyncio
import gc
from collections import defaultdict
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from actors import Agent, AgentPool, Team
from actors.config.load import parse_manifest
from actors.runtime.background_loop import current_system
from actors.runtime.envelope import current
from actors.runtime.errors import ActorCrashedError, AskCycleError
from actors.testing import RecordingModel, settle
from actors.web.health import readiness
from protocols.errors import ManifestError, NodeStoppedError, RunCancelledError
from tests.agents.parked_agent import Files, begun, parked_agent, run_of
from tests.pool.reload_functions import GATE, manifest_of
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from actors.testing.models import ModelCall

pytestmark = pytest.mark.usefixtures("no_leaked_actors", "fresh_gate")


class Desk:
    """A model that notes which actor does which run, and waits until the gate opens. "crash" crashes once each."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.begun: list[tuple[str, str]] = []
        self.open: set[str] = set()
        self.crashed: set[str] = set()
        self.model = RecordingModel(self.respond)

    async def respond(self, call: ModelCall) -> str:
        scope = current.get()
        assert scope is not None
        session = scope.message.options.session or call.prompt
        assert session not in self.open, "two replicas work in one session"
        self.open.add(session)
        try:
            self.begun.append((scope.cell.name, call.prompt))
            await self.gate.wait()
            if call.prompt.startswith("crash") and call.prompt not in self.crashed:
                self.crashed.add(call.prompt)
                raise ZeroDivisionError(call.prompt)
            return f"did {call.prompt}"
        finally:
            self.open.discard(session)

    def agent(self, replicas: int = 3, **options: Any) -> Agent[Any, str]:
        return Agent("clerk", model=self.model, replicas=replicas, crash_on=(ZeroDivisionError,), **options)


@pytest.fixture
def desk() -> Desk:
    return Desk()


def begin(agent: Agent[Any, Any], prompt: str, session: str, **options: Any) -> asyncio.Task[Any]:
    return asyncio.ensure_future(agent.run(prompt, session=session, **options))


async def test_sessions_are_shared_out_and_each_stays_in_order(desk: Desk) -> None:
    async with AgentPool[Any]() as pool:
        clerk = desk.agent(max_concurrency=1)
        await pool.add_node(clerk)
        runs = [begin(clerk, f"{session}{number}", session) for number in range(3) for session in "abc"]
        await settle()
        assert sorted(prompt for _, prompt in desk.begun) == ["a0", "b0", "c0"]
        assert sorted(name for name, _ in desk.begun) == ["clerk#1", "clerk#2", "clerk#3"]
        desk.gate.set()
        await asyncio.gather(*runs)

    assert {s: [prompt for _, prompt in desk.begun if prompt[0] == s] for s in "abc"} == {
        s: [f"{s}{number}" for number in range(3)] for s in "abc"
    }
    assert len(clerk.sessions.get("a")) == 6


@pytest.mark.parametrize(("routing", "names"), [("round_robin", "1231"), ("least_busy", "1232")])
async def test_a_run_goes_to_the_next_replica_or_to_the_next_idle_one_as_routing_says(routing: str, names: str) -> None:
    gate, begun = asyncio.Event(), list[str]()

    async def respond(call: ModelCall) -> str:
        scope = current.get()
        assert scope is not None
        begun.append(scope.cell.name)
        if call.prompt == "long":
            await gate.wait()
        return "done"

    manifest = parse_manifest(f"agents: {{clerk: {{session: false, replicas: 3, routing: {routing}}}}}")
    async with AgentPool[Any](manifest, model=RecordingModel(respond)) as pool:
        long = asyncio.ensure_future(pool["clerk"].run("long"))
        await settle()
        for _ in range(3):
            await pool["clerk"].run("short")
        gate.set()
        await long

    assert begun == [f"clerk#{name}" for name in names]


async def test_a_crash_takes_only_the_runs_of_its_replica_along(desk: Desk) -> None:
    async with AgentPool[Any]() as pool:
        clerk = desk.agent(2)
        await pool.add_node(clerk)
        bad, good = begin(clerk, "crash", "a"), begin(clerk, "good", "b")
        after = begin(clerk, "after", "a")
        await settle()
        desk.gate.set()

        with pytest.raises(ZeroDivisionError):
            await bad
        assert (await good).content == "did good"
        assert (await after).content == "did after"
        assert ("clerk#2", "after") in desk.begun
        state = readiness(pool)
        assert (state["status"], state["nodes"]["clerk"]["state"]) == ("degraded", "restarting")
        system: Any = clerk.ref().system
        (router,) = next(one for one in system.tree() if one.children).children
        assert [(one.name, one.state) for one in router.children] == [("clerk#1", "restarting"), ("clerk#2", "running")]


async def test_a_node_with_replicas_works_as_a_member_a_stage_a_target_and_in_a_stream(desk: Desk) -> None:
    desk.gate.set()

    def marked(text: str) -> str:
        return f"<{text}>"

    echo: Agent[Any, str] = Agent.from_callback(marked, name="echo")
    async with AgentPool[Any]() as pool:
        clerk = desk.agent(2)
        await pool.add_node(clerk)
        await pool.add_node(echo)
        assert (await (clerk | echo).run("one")).content == "<did one>"
        assert (await (echo | clerk).run("two")).content == "did <two>"
        both = await Team([clerk, echo]).run("three")
        assert {one.content for one in both.associated_messages} == {"did three", "<three>"}
        async with clerk.run_stream("four") as stream:
            assert "".join([text async for text in stream.stream()]) == "did four"
        echo >> clerk  # pyright: ignore[reportUnusedExpression]
        await echo.run("five", wait_for_connections=True)
        clerk.add_context("Remember.")
        await clerk.complete_tasks()

    assert [prompt for _, prompt in desk.begun] == ["one", "<two>", "three", "four", "<five>"]


async def test_a_run_in_a_replica_can_be_cancelled_and_a_closed_node_says_so(desk: Desk) -> None:
    clerk = desk.agent(2)
    async with clerk:
        run = begin(clerk, "one", "a")
        await settle()
        (turn,) = [turn for cell in clerk.ref()._cell.children or () for turn in cell.turns or ()]  # pyright: ignore[reportPrivateUsage]
        assert clerk.cancel_run(turn.envelope.message.run_id)
        assert not clerk.cancel_run("unknown")
        with pytest.raises(RunCancelledError):
            await run
        await settle()
        assert clerk.is_busy() is False

    with pytest.raises(NodeStoppedError):
        await clerk.run("late")


async def test_a_node_that_waits_for_itself_in_a_session_is_told_at_once(desk: Desk) -> None:
    async def respond(_: ModelCall) -> str:
        return (await clerk.run("inner", session="a")).text

    clerk = Agent("clerk", model=RecordingModel(respond), replicas=2)
    async with clerk:
        with pytest.raises(AskCycleError):
            await clerk.run("outer", session="a")


@pytest.mark.parametrize("mode", ["drain", "now"])
async def test_a_run_that_waits_for_a_person_ends_with_its_node(mode: Any) -> None:
    clerk = parked_agent(Files(), max_concurrency=1, replicas=2)
    parked = await begun(clerk, "delete a", session="a")
    behind = await begun(clerk, "hello", session="a")
    await clerk.ref().stop(mode=mode)

    for run in (parked, behind):
        with pytest.raises(RunCancelledError if run is parked else NodeStoppedError):
            await run
    await settle()
    assert clerk.pending() == []


async def test_a_run_that_waits_for_a_person_gives_its_place_to_others() -> None:
    files = Files()
    clerk = parked_agent(files, max_concurrency=1, replicas=2)
    async with clerk:
        parked = [await begun(clerk, f"delete {name}", session=name) for name in "abc"]
        assert (await clerk.run("hello", session="d")).content == "said hello"
        for _ in parked:
            clerk.approve(run_of(clerk))
            await settle()
        assert {(await one).content for one in parked} == {"a is gone", "b is gone", "c is gone"}
        assert clerk.ref()._cell.max_concurrency == 2  # pyright: ignore[reportPrivateUsage]


def _manifest(replicas: str, version: str = "old") -> Any:
    function = f'provider: {{type: callback, callback: "tests.pool.reload_functions:{version}"}}'
    return manifest_of(f"b: {{{function}, max_concurrency: 2{replicas}}}")


async def test_a_reload_that_changes_the_number_loses_no_run() -> None:
    async with AgentPool[None](_manifest("")) as pool:
        node, ref, runs = pool["b"], pool["b"].ref(), list[asyncio.Task[Any]]()
        for place, replicas in enumerate((3, 5, 2, 1, 2)):
            opened = GATE.shut()
            runs += [asyncio.ensure_future(node.run(f"{place}.{number}")) for number in range(12)]
            await settle()
            reload = asyncio.ensure_future(pool.reload(_manifest(f", replicas: {replicas}")))
            await settle()
            runs += [asyncio.ensure_future(node.run(f"{place}+{number}")) for number in range(12)]
            opened.set()
            await reload
            await settle()
            assert (pool["b"], node.ref(), node.replicas) == (node, ref, replicas)
            children = ref._cell.children or ()  # pyright: ignore[reportPrivateUsage]
            assert len(children) == (0 if replicas == 1 else replicas)
        done = await asyncio.gather(*runs)

    assert len({message.content for message in done}) == len(runs)
    assert len(GATE.calls) == len(set(GATE.calls)) == len(runs)


async def test_a_durable_node_with_replicas_keeps_and_does_each_run_once(tmp_path: Path) -> None:
    done: list[str] = []
    gate = asyncio.Event()

    async def work(text: str) -> str:
        done.append(text)
        await gate.wait()
        return f"did {text}"

    clerk: Agent[Any, str] = Agent.from_callback(work, name="clerk", replicas=3, max_concurrency=1, durable=True)
    async with AgentPool[Any](journal=str(tmp_path / "clerk.journal")) as pool:
        await pool.add_node(clerk)
        tickets = [await clerk.submit(str(number)) for number in range(7)]
        await wait_until(lambda: len(done) == 3)
        await settle()
        assert sorted(done) == ["0", "1", "2"]
        gate.set()
        answers = [await ticket.answer(timeout=20) for ticket in tickets]

    assert [answer.content for answer in answers] == [f"did {number}" for number in range(7)]
    assert sorted(done) == [str(number) for number in range(7)]


FAILURES = (ZeroDivisionError, ActorCrashedError)
"""Of a run that crashes its replica, and of the others that the replica had."""
STEPS = st.lists(
    st.tuples(st.sampled_from(["run", "run", "run", "crash", "cancel", "reload", "turn"]), st.integers(1, 4)),
    min_size=5,
    max_size=40,
)


class Plan:
    """What a drawn list of steps does to one node."""

    def __init__(self, desk: Desk, *, redeliver: bool) -> None:
        self.desk = desk
        self.redeliver = redeliver
        self.node = desk.agent(2, redeliver=redeliver)
        self.runs: dict[str, asyncio.Task[Any]] = {}
        self.sent: defaultdict[str, list[str]] = defaultdict(list)

    async def take(self, step: str, choice: int) -> None:
        if step in ("run", "crash"):
            prompt, session = f"{step} {len(self.runs)}", f"s{choice}"
            self.sent[session].append(prompt)
            self.runs[prompt] = begin(self.node, prompt, session)
        elif step == "cancel" and self.runs:
            list(self.runs.values())[-choice % len(self.runs)].cancel()
        elif step == "reload":
            settings = replace(self.node.definition.settings, replicas=choice + 1)
            self.node.definition = replace(self.node.definition, settings=settings)
        else:
            await asyncio.sleep(0)

    def check(self) -> None:
        begun = [prompt for _, prompt in self.desk.begun]
        most = 2 if self.redeliver and self.desk.crashed else 1  # those that a crash has cut come again, too
        assert all(begun.count(prompt) <= most for prompt in begun)
        for prompts in self.sent.values():
            order = list(dict.fromkeys(prompt for prompt in begun if prompt in prompts))
            assert order == [prompt for prompt in prompts if prompt in order], "the order of a session is not kept"

    def check_answers(self) -> None:
        begun = {prompt for _, prompt in self.desk.begun}
        for prompt, run in self.runs.items():
            failure = None if run.cancelled() else run.exception()
            assert failure is None or isinstance(failure, FAILURES), repr(failure)
            assert prompt in begun or run.cancelled() or failure is not None


async def _law(steps: list[tuple[str, int]], *, redeliver: bool, waits: bool) -> None:
    desk = Desk()
    desk.gate.set()
    plan = Plan(desk, redeliver=redeliver)
    limits = "supervision: {intensity: {limit: 1000}, backoff: {min: 0, max: 0}}"
    async with AgentPool[Any](manifest_of("other: {}", limits), exit_timeout=5.0) as pool:
        await pool.add_node(plan.node)
        for step, choice in steps:
            await plan.take(step, choice)
        if waits:
            await asyncio.gather(*plan.runs.values(), return_exceptions=True)
    await asyncio.gather(*plan.runs.values(), return_exceptions=True)
    plan.check()
    if waits:
        plan.check_answers()


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS, redeliver=st.booleans(), waits=st.booleans())
def test_no_run_is_lost_or_done_twice_and_each_session_keeps_its_order(
    steps: list[tuple[str, int]], *, redeliver: bool, waits: bool
) -> None:
    asyncio.run(_law(steps, redeliver=redeliver, waits=waits))


async def test_a_team_that_supervises_an_agent_has_its_replicas_and_a_reload_changes_their_number() -> None:
    def manifest(replicas: int) -> Any:
        agents = f"a: {{replicas: {replicas}}}\nb: {{}}"
        return manifest_of(
            agents, "teams: {t: {mode: parallel, members: [a, b], supervision: {strategy: one_for_all}}}"
        )

    async with AgentPool[None](manifest(2)) as pool:
        await pool.reload(manifest(3))
        await settle()
        assert (await pool["t"].run("Cats sleep.")).content
        assert len(pool["a"].ref()._cell.children or ()) == 3  # pyright: ignore[reportPrivateUsage]
        with pytest.raises(ManifestError, match="whether 'a', which a team supervises, has replicas"):
            await pool.reload(manifest(1))


async def test_an_agent_with_replicas_that_is_dropped_ends_its_actors() -> None:
    clerk = Agent("clerk", model="offline", replicas=2)
    assert (await clerk.run("Cats sleep.")).content == "Cats sleep."
    ref, system = clerk.ref(), current_system()
    del clerk
    gc.collect()
    await settle()
    await asyncio.sleep(0)
    await settle()

    assert not ref.is_alive()
    assert not system.cells
