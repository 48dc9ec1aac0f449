from actors import AgentPool


async def test_a_pool_shows_its_connections_together() -> None:
    async with AgentPool[None]() as pool:
        a, b, c = [await pool.add_agent(name, model="test") for name in "abc"]
        a.connect_to(b, queued=True)
        _ = b >> c

        assert pool.get_mermaid_diagram() == 'flowchart LR\n    a-->|"run, queued: latest"|b\n    b-->|"run"|c'
        assert pool.get_mermaid_diagram(include_details=False) == "flowchart LR\n    a-->b\n    b-->c"
        await a.run("x")
        await pool.pool_talk.trigger()
        assert (len(pool.pool_talk), pool.pool_talk.stats.message_count) == (2, 2)


async def test_the_way_of_a_conversation_through_a_pool_can_be_drawn() -> None:
    async with AgentPool[None]() as pool:
        a, b, c = [await pool.add_agent(name, model="test") for name in "abc"]
        _ = a >> b
        async with pool.track_message_flow() as tracker:
            _ = b >> c
            first = await a.run("x", wait_for_connections=True)
            await b.run("other", wait_for_connections=True)
        await a.run("later", wait_for_connections=True)

        assert tracker.visualize(first) == "flowchart LR\n    a-->b\n    b-->c"
        assert [event.source.name for event in tracker.events] == ["a", "b", "b"]
        assert len(tracker.filter(first)) == 2
