"""Two hosts of one pool: a durable node lives at one of them, and is asked from both."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from actors.testing.clock import ManualClock
from protocols.errors import RemoteFailureError, RunTimeoutError
from tests.cluster.process import TTL, Process, clerk, shared

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


async def test_a_node_lives_in_one_process_and_is_asked_from_each() -> None:
    clock, desk = ManualClock(), Desk()
    database = shared(clock)
    async with Process(database, clock, desk.nodes("one")) as one:
        await clock.advance(1)
        async with Process(database, clock, desk.nodes("two")) as two:
            await clock.advance(2 * TTL)
            homes = {name: "one" if one.is_home(name) else "two" for name in NAMES}
            assert [two.is_home(name) for name in NAMES] == [home == "two" for home in homes.values()]
            assert {*homes.values()} == {"one", "two"}
            for name, home in homes.items():
                for process in (one, two):
                    asked = asyncio.ensure_future(process[name].run("hello"))
                    await clock.advance(0.1)
                    assert (await asked).content == f"{home}: hello"
            away = next(name for name, home in homes.items() if home == "two")
            asked = asyncio.ensure_future(one[away].run("value"))
            await clock.advance(0.1)
            with pytest.raises(ValueError, match="bad number") as caught:
                await asked
            assert any(away in note for note in caught.value.__notes__)
            asked = asyncio.ensure_future(one[away].run("strange"))
            await clock.advance(0.1)
            with pytest.raises(RemoteFailureError, match="StrangeError: odd"):
                await asked
            asked = asyncio.ensure_future(one[away].run("wait", timeout=3))
            await clock.advance(3.5)
            with pytest.raises(RunTimeoutError):
                await asked
            asked = asyncio.ensure_future(one[away].run("after"))
            await clock.advance(0.1)
            assert (await asked).content == "two: after"
