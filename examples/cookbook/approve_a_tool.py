"""A tool call waits until a person has decided; other runs go on meanwhile.

Prints:
    close_account({"owner":"a"})
    approved: {"close_account":"the account of ada is closed"}
    denied: The call of close_account was not allowed: the account is frozen
"""

import asyncio

from pydantic_ai import Tool

from actors import ActorSystem, AgentPool
from protocols.approval_events import ApprovalRequested


def close_account(owner: str) -> str:
    """Close an account for good."""
    return f"the account of {owner} is closed"


async def main() -> None:
    async with ActorSystem("shop") as system, AgentPool[None](system=system) as pool:
        tools = [Tool(close_account, requires_approval=True)]
        clerk = await pool.add_agent("clerk", model="test", tools=tools, session=False, approval_timeout=8 * 3600)
        # The event tells whoever decides; a route shows the same by `pool.pending()`.
        calls: asyncio.Queue[ApprovalRequested] = asyncio.Queue()
        system.events.subscribe(calls.put_nowait, [ApprovalRequested])

        run = asyncio.create_task(clerk.run("Close it."))
        call = await calls.get()
        print(f"{call.tool_name}({call.arguments})")
        # A person may mend the arguments. The model has chosen them, and the person answers for the call.
        pool.approve(call.run_id, arguments={"owner": "ada"})
        print(f"approved: {(await run).text}")

        run = asyncio.create_task(clerk.run("Close it."))
        pool.deny((await calls.get()).run_id, reason="the account is frozen")
        print(f"denied: {(await run).tool_calls[0].error}")


if __name__ == "__main__":
    asyncio.run(main())
