"""The monitoring example: agents added to an empty pool, a chain in the background, its numbers while it runs."""

from __future__ import annotations

import pytest

from actors.pool.pool import AgentPool
from actors.testing.settle import settle


@pytest.mark.seed("S65")
@pytest.mark.seed("S66")
async def test_a_chain_is_watched_while_it_runs_and_its_numbers_stay(no_leaked_actors: None) -> None:
    async with AgentPool[None](model="offline") as pool:
        analyzer = await pool.add_agent("analyzer", system_prompt="State what the text is about.")
        planner = await pool.add_agent("planner", system_prompt="List what has to be done.")
        executor = await pool.add_agent("executor", system_prompt="Do it.")
        run = analyzer | planner | executor
        stats = await run.run_in_background("The notice must travel with every copy.")
        seen = [len(stats.messages)]
        while run.is_running:
            seen.append(len(stats.messages))
            await settle()
        result = await run.wait()

    assert seen == sorted(seen)
    assert result is not None
    assert result.content == "The notice must travel with every copy."
    assert (len(stats), stats.message_count, stats.errors) == (3, 3, [])
    assert [message.name for message in stats.messages] == ["analyzer", "planner", "executor"]
    assert f"{stats.total_cost:.4f}" == "0.0000"
    assert stats.token_count > 0
