"""End a run: by a deadline, by its caller, or by its id from anywhere.

Prints:
    late: node 'helper'
    the caller has gone
    cancelled by id, with what there was: ''
    requests that are still open: 0
"""

import asyncio

from actors import ActorSystem, AgentPool
from actors.testing.models import slow_model
from protocols.errors import RunCancelledError, RunTimeoutError
from protocols.events import RunStarted


async def main() -> None:
    model = slow_model(asyncio.Event())  # a provider that does not answer
    async with ActorSystem("shop") as system, AgentPool[None](system=system) as pool:
        helper = await pool.add_agent("helper", model=model, session=False)
        try:
            await helper.run("Hello", timeout=0.01)
        except RunTimeoutError as error:
            print(f"late: node {error.node!r}")

        run = asyncio.create_task(helper.run("Hello"))
        await model.started.wait()
        run.cancel()
        await asyncio.wait([run])
        print("the caller has gone" if run.cancelled() else "")

        # A "stop" button is another request than the one that waits. It knows the run by its id.
        started: asyncio.Queue[str] = asyncio.Queue()
        system.events.subscribe(lambda event: started.put_nowait(event.run_id), [RunStarted])
        run = asyncio.create_task(helper.run("Hello"))
        pool.cancel_run(await started.get())
        try:
            await run
        except RunCancelledError as error:
            print(f"cancelled by id, with what there was: {error.partial!r}")
    print(f"requests that are still open: {model.waiting}")


if __name__ == "__main__":
    asyncio.run(main())
