"""Parts of runs whose nodes live at another host: members, stages and workers are asked there, once."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from actors.nodes.team_run import TeamRun
from actors.testing.clock import ManualClock
from protocols.errors import RunTimeoutError
from tests.cluster.process import TTL, Process, asked, clerk, shared

pytestmark = pytest.mark.usefixtures("no_leaked_actors")

NAMES = ("a", "b", "c", "d", "e", "f")


class Desk:
    def __init__(self) -> None:
        self.seen: list[tuple[str, str, str]] = []
        self.gates: dict[str, asyncio.Event] = {}

    def nodes(self, host: str) -> Any:
        def work_of(name: str) -> Any:
            async def work(prompt: str) -> str:
                self.seen.append((host, name, prompt))
                if name in self.gates:
                    await self.gates[name].wait()
                if prompt == "bad":
                    raise ValueError("bad number")
                return f"{prompt}>{name}@{host}"

            return work

        return lambda: [clerk(name, work_of(name)) for name in NAMES]


async def test_members_and_stages_are_asked_where_they_live() -> None:
    clock, desk = ManualClock(), Desk()
    database = shared(clock)
    async with (
        Process(database, clock, desk.nodes("one")) as one,
        Process(database, clock, desk.nodes("two")) as two,
    ):
        await clock.advance(2 * TTL)
        near = next(name for name in NAMES if one.is_home(name))
        far, farther = [name for name in NAMES if two.is_home(name)][:2]
        team = one.pool.create_team([near, far])
        chain = one.pool.create_team_run([far, near, farther])
        text = await asked(clock, team, "x")
        assert f"x>{near}@one" in str(text)
        assert f"x>{far}@two" in str(text)
        assert f"x>{far}@two>{near}@one>{farther}@two" in str(await asked(clock, chain, "x"))
        with pytest.raises(ValueError, match="bad number"):
            await asked(clock, one.pool.create_team_run([near, far]), "bad")
        desk.gates[far] = asyncio.Event()
        with pytest.raises(RunTimeoutError):
            await asked(clock, one.pool.create_team_run([near, far]), "late", 4, timeout=3)
        desk.gates.pop(far)
        assert await asked(clock, one[far], "next") == f"next>{far}@two"


async def test_a_part_is_done_once_though_the_whole_is_delivered_again() -> None:
    clock, desk = ManualClock(), Desk()
    database = shared(clock)

    def nodes(host: str) -> Any:
        def made() -> Any:
            members = desk.nodes(host)()
            return [
                *members,
                *(
                    TeamRun([one, other], name=f"{one.name}{other.name}", durable=True)
                    for one in members
                    for other in members
                    if one is not other
                ),
            ]

        return made

    async with Process(database, clock, nodes("one")) as one, Process(database, clock, nodes("two")) as two:
        await clock.advance(2 * TTL)
        near = [name for name in NAMES if one.is_home(name)]
        far = [name for name in NAMES if two.is_home(name)]
        name = next(f"{x}{y}" for x in near for y in far if two.is_home(f"{x}{y}"))
        desk.gates[name[1]] = asyncio.Event()
        ticket = await one[name].submit("x")
        await clock.advance(0.2)
        assert desk.seen == [("one", name[0], "x"), ("two", name[1], f"x>{name[0]}@one")]
        await two.die()
        desk.gates[name[1]].set()
        await clock.advance(TTL + 1)
        assert (await ticket.answer()).content == f"x>{name[0]}@one>{name[1]}@one"
        assert desk.seen[2:] == [("one", name[1], f"x>{name[0]}@one")]
