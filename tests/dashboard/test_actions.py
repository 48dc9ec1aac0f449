"""Every action, with what it does and how it refuses."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from actors.agents.agent import Agent
from actors.app.pool import AgentPool
from actors.app.trigger_service import TriggerService
from actors.config.load import load_manifest
from actors.dashboard import feed as feeds
from actors.runtime.actor import AsyncioActor
from actors.runtime.errors import ActorStoppingError
from actors.supervision.child import ChildSpec
from actors.supervision.supervisor import Supervisor
from actors.testing.settle import settle
from protocols.errors import RunCancelledError
from protocols.triggers import FunctionReturned, TriggerEvent
from tests.agents.parked_agent import Files, parked_agent
from tests.dashboard.client import Site, site

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("no_leaked_actors")

MANIFEST = """
name: acts
agents:
  writer:
    session: false
    triggers:
      - {type: interval, name: tick, every: 1000h, prompt: "it is time"}
      - {type: file, name: notes, paths: ["*.md"]}
"""


@pytest.fixture
async def pool(tmp_path: Path) -> AsyncGenerator[AgentPool[None]]:
    file = tmp_path / "agents.yml"
    file.write_text(MANIFEST, encoding="utf-8")
    async with AgentPool[None](load_manifest(file), model="offline") as opened:
        yield opened


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feeds, "PERIOD", 0.0)


async def id_of(shown: Site, name: str) -> str:
    async with shown.stream() as frames:
        await frames.next()
    return next(key for key, row in frames.tables["actors"].items() if row["name"] == name)


async def test_a_run_is_cancelled_once(pool: AgentPool[None]) -> None:
    begun = asyncio.Event()

    async def wait(_text: str) -> str:
        begun.set()
        await asyncio.Event().wait()
        return "never"

    await pool.add_node(Agent.from_callback(wait, name="slow"))
    running = asyncio.ensure_future(pool["slow"].run("go"))
    await begun.wait()
    async with site(pool) as shown:
        async with shown.stream() as frames:
            (run,) = (await frames.until(lambda tables: tables.get("runs")))["runs"]
        done = await shown.post(f"runs/{run}/cancel")
        with pytest.raises(RunCancelledError):
            await running
        again = await shown.post(f"runs/{run}/cancel")

    assert done == (200, {"ok": True, "text": f"run {run} is cancelled"})
    assert again[0] == 404
    assert run in again[1]["error"]


async def test_cancelled_runs_are_counted_without_statistics_and_before_the_first_viewer(
    pool: AgentPool[None],
) -> None:
    begun = asyncio.Event()

    async def wait(text: str) -> str:
        if text == "wait":
            begun.set()
            await asyncio.Event().wait()
        return "done"

    await pool.add_node(Agent.from_callback(wait, name="slow"))
    await pool["slow"].run("go")
    for _ in range(2):
        begun.clear()
        running = asyncio.ensure_future(pool["slow"].run("wait"))
        await begun.wait()
        running.cancel()
        await settle()
    async with site(pool) as shown, shown.stream() as frames:
        row = (await frames.until(lambda tables: tables.get("nodes")))["nodes"]["slow"]

    assert (row["runs"], row["failed"], row["cancelled"], row["messages"]) == (3, 0, 2, 1)


async def test_an_actor_is_stopped_and_restarted_by_its_supervisor(pool: AgentPool[None]) -> None:
    async with site(pool) as shown:
        writer = await id_of(shown, "writer")
        lives = pool["writer"].ref().incarnation
        restarted = await shown.post(f"actors/{writer}/restart")
        assert (await pool["writer"].run("still there")).text
        assert pool["writer"].ref().incarnation == lives + 1
        stopped = await shown.post(f"actors/{writer}/stop")
        assert pool["writer"].home.find() is None
        async with shown.stream() as frames:
            tables = await frames.until(lambda tables: tables.get("actors"))
            rest, head = tables["actors"][writer], tables["pool"]["pool"]
            again = await shown.post(f"actors/{writer}/stop")
            begun = await shown.post(f"actors/{writer}/restart")
            rows = (await frames.until(lambda tables: writer not in tables["actors"]))["actors"].values()
        assert (await pool["writer"].run("there again")).text

    assert restarted == (200, {"ok": True, "text": "writer runs anew"})
    assert stopped == again == (200, {"ok": True, "text": "writer is stopped"})
    assert (rest["name"], rest["state"], rest["handled"]) == ("writer", "stopped", 1)
    assert (head["status"], head["trouble"]) == ("unavailable", "writer is gone")
    assert begun == (200, {"ok": True, "text": "writer runs anew"})
    assert [(row["state"], row["parent"]) for row in rows if row["name"] == "writer"] == [("running", rest["parent"])]


class Child(AsyncioActor):
    """Crashes when it is told to."""

    def __init__(self, _given: str) -> None:
        super().__init__()

    def on_receive(self, message: Any) -> None:
        raise ValueError(message)


@pytest.mark.parametrize("restart", ["permanent", "transient", "temporary"])
async def test_a_child_that_its_supervisor_has_left_stopped_is_shown_and_started(
    pool: AgentPool[None], restart: Any
) -> None:
    spec = ChildSpec(Child, args=("x",), name="a child", restart=restart, on_exception={ValueError: "stop"})
    supervisor = await Supervisor.start([spec]).ready()
    async with site(pool) as shown, shown.stream() as frames:
        id = next(key for key, row in (await frames.until(known))["actors"].items() if row["name"] == "a child")
        ref = (await supervisor.proxy().children())[0].ref
        assert ref is not None
        refused = await shown.post(f"actors/{id}/restart") if restart == "temporary" else None
        ref.tell("no disk")
        rows = (await frames.until(lambda tables: known(tables).get(id, {}).get("state") != "running"))["actors"]
        answer = await shown.post(f"actors/{id}/restart")
        live = await supervisor.proxy().children()
    await supervisor.stop()

    if restart == "temporary":
        assert refused is not None
        assert (refused[0], "temporary" in refused[1]["error"], answer[0], id in rows) == (409, True, 404, False)
    else:
        assert (rows[id]["state"], rows[id]["last_failure"]) == ("stopped", "ValueError: no disk")
        assert answer == (200, {"ok": True, "text": "a child runs anew"})
        assert [child.state for child in live] == ["running"]


def known(tables: dict[str, Any]) -> dict[str, Any]:
    return dict(tables.get("actors", {}))


class Alone(AsyncioActor):
    """Has no supervisor."""


@pytest.mark.parametrize("act", ["stop", "restart"])
async def test_an_actor_without_a_supervisor_is_left_alone(pool: AgentPool[None], act: str) -> None:
    ref = await Alone.start().ready()
    async with site(pool) as shown:
        status, answer = await shown.post(f"actors/{await id_of(shown, 'Alone')}/{act}")
    assert (status, "no supervisor" in answer["error"], ref.is_alive()) == (409, True, True)
    await ref.stop()


@pytest.mark.parametrize(
    "path", ["actors/x/stop", "actors/%2e%2e/restart", "triggers/writer/x/fire", "triggers/x/tick/fire"]
)
async def test_what_is_unknown_is_named(pool: AgentPool[None], path: str) -> None:
    async with site(pool) as shown:
        status, answer = await shown.post(path)

    assert (status, "unknown" in answer["error"]) == (404, True)


async def test_a_schedule_is_fired_by_hand_and_other_triggers_are_not(pool: AgentPool[None]) -> None:
    async with site(pool) as shown, shown.stream() as frames:
        await frames.next()
        fired = await shown.post("triggers/writer/tick/fire")
        tables = await frames.until(lambda tables: tables["triggers"]["writer/tick"]["run"])
        refused = await shown.post("triggers/writer/notes/fire")

    assert fired[0] == 200
    last = tables["triggers"]["writer/tick"]
    assert (last["event"], time.time() - last["last"] < 60, tables["triggers"]["writer/notes"]["last"]) == (
        "it is time", True, None,
    )  # fmt: skip
    assert [(row["can_fire"], row["accepted"]) for row in tables["triggers"].values()] == [(True, 1), (False, 0)]
    due = [row["next"] for row in tables["triggers"].values()]
    assert (due[0] - time.time() > 3_000_000.0, due[1]) == (True, None)
    assert refused[0] == 409
    assert "by hand" in refused[1]["error"]


class Broken(TriggerEvent, frozen=True, kw_only=True):
    """Has no text."""

    def to_prompt(self) -> str:
        raise ValueError("no text")


async def test_the_last_event_of_each_trigger_is_cut_and_without_secrets(pool: AgentPool[None]) -> None:
    service = pool.service(TriggerService)
    assert service is not None
    events = await service.events("writer")
    tick, notes = service.plan.triggers
    tick.report(
        FunctionReturned(source="", time=1.0, function="f", text="sk-canary-0123456789 \ud800" + "x" * 1_000_000)
    )
    notes.report(Broken(source="", time=2.0))
    events.track("f")(lambda: "tracked")()
    async with site(pool) as shown, shown.stream() as frames:
        rows = (await frames.until(lambda tables: len(tables["triggers"]) == 3))["triggers"]

    assert rows["writer/tick"]["event"].startswith("*** ?xxx")
    assert len(rows["writer/tick"]["event"]) <= 500
    assert [row["last"] for row in rows.values()][:2] == [1.0, 2.0]
    assert "raised ValueError" in rows["writer/notes"]["event"]
    assert (rows["writer/events"]["kind"], rows["writer/events"]["event"]) == ("function", "tracked")


async def test_a_waiting_tool_call_is_shown_and_decided(pool: AgentPool[None]) -> None:
    files = Files()
    await pool.add_node(parked_agent(files))
    runs = [asyncio.ensure_future(pool["clerk"].run(f"delete {name}", session=name)) for name in "ab"]
    async with site(pool) as shown, shown.stream() as frames:
        rows = dict((await frames.until(lambda tables: len(tables.get("approvals", ())) == 2))["approvals"])
        await frames.until(lambda tables: {run["state"] for run in tables["runs"].values()} == {"approval"})
        (yes, no) = sorted(rows, key=lambda key: rows[key]["arguments"])
        approved = await shown.post(f"approvals/{yes}/approve")
        denied = await shown.post(f"approvals/{no}/deny", {"reason": "not today"})
        await asyncio.gather(*runs)
        await frames.until(lambda tables: not tables["approvals"])
        again = await shown.post(f"approvals/{yes}/approve")
        slash = [await shown.post(f"approvals/r/c%2F1/{verdict}") for verdict in ("approve", "deny")]
        bad: list[Any] = [{"reason": 1}, {"why": "x"}, []]
        odd = [await shown.post(f"approvals/{no}/deny", body) for body in bad]

    assert [rows[key]["tool"] for key in rows] == ["delete", "delete"]
    assert files.deleted == ["a"]
    assert (approved[0], denied[0], again[0]) == (200, 200, 409)
    assert [(status, list(answer)) for status, answer in slash] == [(409, ["error"])] * 2
    assert [status for status, _ in odd] == [400, 400, 409]


class Careful(AsyncioActor):
    """Refuses what comes until told otherwise."""

    heard: ClassVar[list[str]] = []

    def on_receive(self, message: Any) -> None:
        if not self.heard:
            self.heard.append("refused")
            self.unhandled(message)
        self.heard.append(message)


async def test_dead_letters_are_told_again(pool: AgentPool[None]) -> None:
    Careful.heard.clear()
    ref = await Careful.start().ready()
    ref.tell("the key is sk-canary-0123456789")
    await settle()
    async with site(pool) as shown, shown.stream() as frames:
        tables = await frames.until(lambda tables: tables.get("dead"))
        ((key, row),) = tables["dead"].items()
        done = await shown.post("dead/replay", {"ids": [key, key]})
        await frames.until(lambda tables: tables["dead"][key]["replays"] == 1)
        refused = await shown.post("dead/replay", {"ids": [key, "999", "zz" * 16]})
        bad: list[Any] = [{"ids": []}, {"ids": "1"}, {}, {"ids": [1]}]
        odd = [await shown.post("dead/replay", body) for body in bad]
    await settle()
    await ref.stop()

    assert (row["target"], row["message_type"], row["can_replay"]) == ("Careful", "str", True)
    assert row["text"] == "the key is ***"
    assert done == (200, {"ok": True, "text": "1 of 1 dead letters were told again"})
    assert refused[0] == 409
    assert refused[1]["error"].startswith("1 of 3 dead letters were told again: dead letter '999' is unknown")
    assert [status for status, _ in odd] == [409, 400, 400, 400]
    assert Careful.heard == ["refused", *["the key is sk-canary-0123456789"] * 2]


async def test_the_text_of_a_dead_letter_is_cut_and_holds_no_beginning_of_a_secret(
    pool: AgentPool[None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("THE_API_KEY", "hunter2-hunter2-hunter2")
    ref = await Careful.start().ready()
    await ref.stop()
    for text in ("x" * 985 + " hunter2-hunter2-hunter2", "\ud800<script>"):
        with pytest.raises(ActorStoppingError):
            ref.tell(text)
    async with site(pool) as shown, shown.stream() as frames:
        rows = (await frames.until(lambda tables: len(tables.get("dead", ())) == 2))["dead"]

    assert [row["text"] for row in rows.values()] == ["x" * 985 + " ***…", "?<script>"]
    assert {row["can_replay"] for row in rows.values()} == {True}
