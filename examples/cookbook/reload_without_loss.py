"""Apply a changed manifest to a running pool, with a run in hand.

Prints:
    1 changed (writer), 1 added (critic), 1 unchanged
    the run in hand: old
    the next one: new
    a wrong manifest changes nothing: agents.writer.modle: unknown key 'modle'
"""

import asyncio

from actors import AgentPool
from actors.config.load import parse_manifest
from actors.testing.models import slow_model
from protocols.errors import ManifestError

BEFORE = "agents: {writer: {system_prompt: old, session: false}, clerk: {}}"
AFTER = "agents: {writer: {system_prompt: new, session: false}, clerk: {}, critic: {}}"


async def main() -> None:
    model = slow_model(go := asyncio.Event())
    async with AgentPool[None](parse_manifest(BEFORE), model=model) as pool:
        writer = pool["writer"]
        run = asyncio.create_task(writer.run("Hello"))
        await model.started.wait()

        reload = asyncio.create_task(pool.reload(parse_manifest(AFTER)))  # or pool.reload(): reads its file again
        go.set()
        print(await reload)
        await run
        await pool["writer"].run("Hello")
        # Who holds a node goes on with the same object; only what comes later has the new settings.
        print(f"the run in hand: {model.requests[0].instructions}")
        print(f"the next one: {model.requests[1].instructions}")

        try:
            await pool.reload(parse_manifest("agents: {writer: {modle: offline}}"))
        except ManifestError as error:
            print(f"a wrong manifest changes nothing: {str(error).partition(': ')[2].partition(';')[0]}")


if __name__ == "__main__":
    asyncio.run(main())
