"""Nodes of several processes that ask each other in a circle are told at once, as in one process."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from actors.agents.agent import Agent
from protocols.errors import UnderstageError
from tests.cluster.test_live_runs import NAMES, Pair

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.usefixtures("no_leaked_actors")


class Askers:
    """Nodes that ask the first one of the names that they are given, with the others.

    Args:
        is_durable: whether they are durable.
        most: how many runs each of them works on at the same time.
    """

    def __init__(self, *, is_durable: bool, most: int = 1) -> None:
        self.is_durable, self.most = is_durable, most
        self.pair: Any = None

    def nodes(self, host: str) -> Callable[[], list[Any]]:
        def made(name: str) -> Any:
            async def work(prompt: str) -> str:
                head, _, rest = prompt.partition(" ")
                if head == ".":
                    return name
                answer = await getattr(self.pair, host)[head].run(rest)
                return f"{name} {answer.content}"

            keeps: Any = self.is_durable or None
            return Agent.from_callback(work, name=name, max_concurrency=self.most, durable=keeps, placement="single")

        return lambda: [made(name) for name in NAMES]


async def ask_round(askers: Askers, way: str) -> Any:
    """Ask from node to node along a way of letters: upper case for nodes of the first process; within a second."""
    async with Pair(askers) as pair:
        askers.pair = pair
        here, there = pair.at(pair.one), pair.at(pair.two)
        found = {**{"ABC"[place]: one.name for place, one in enumerate(here[:3])},
                 **{"xyz"[place]: one.name for place, one in enumerate(there[:3])}}  # fmt: skip
        first, *others = [found[letter] for letter in way]
        task = asyncio.ensure_future(pair.one[first].run(" ".join([*others, "."])))
        await pair.clock.advance(2)
        assert task.done()
        names = {name: letter for letter, name in found.items()}
        return "".join(names[name] for name in (await task).content.split())


@pytest.mark.parametrize("is_durable", [False, True])
@pytest.mark.parametrize("way", ["AxA", "xAx", "AxyA", "AxBA", "AxyBxA", "xAyBx"])
async def test_a_circle_is_refused_at_once(way: str, is_durable: bool) -> None:
    with pytest.raises(UnderstageError, match=r"ask cycle: .* -> .*each waits for the next one"):
        await ask_round(Askers(is_durable=is_durable), way)


@pytest.mark.parametrize("is_durable", [False, True])
@pytest.mark.parametrize("way", ["AxB", "AxyB", "xAyB"])
async def test_a_way_without_a_circle_is_gone(way: str, is_durable: bool) -> None:
    assert await ask_round(Askers(is_durable=is_durable), way) == way


@pytest.mark.parametrize("is_durable", [False, True])
async def test_a_node_that_works_on_several_runs_may_be_asked_again(is_durable: bool) -> None:
    assert await ask_round(Askers(is_durable=is_durable, most=3), "AxBA") == "AxBA"
