"""Real processes that share a PostgreSQL: killed, frozen, and cut off from the database, they lose nothing."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from tests.cluster.herd import Herd

if TYPE_CHECKING:
    from pathlib import Path

    from tests.storage.postgres_server import PostgresServer

TTL = 2.0


def test_processes_that_are_killed_and_frozen_lose_nothing(tmp_path: Path, postgres: PostgresServer) -> None:
    with Herd(tmp_path, postgres, TTL) as herd:
        herd.start(3)
        herd.kill(herd.busy()[0])
        frozen = herd.busy()[0]
        herd.freeze(frozen)
        herd.wait(lambda: any(line[1:3] == [frozen, "accepted"] for line in herd.lines()[-200:]))
        herd.outages += 1
        postgres.stop()
        postgres.start()
        herd.effects(40)
        assert herd.stop() == []


class StartedAgain(Herd):
    """Another process begins for each that is killed."""

    def kill(self, name: str) -> None:
        super().kill(name)
        self.start()


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(5))
async def test_many_deaths_and_freezes(tmp_path: Path, postgres: PostgresServer, seed: int) -> None:
    with StartedAgain(tmp_path, postgres, TTL) as herd:
        herd.start(3)
        await herd.disturb(10, 4, random.Random(seed))
        assert herd.stop() == []
        assert herd.refused() == []
        print(await herd.summary())  # noqa: T201 - the figures of docs/cluster.md
