"""Tools read what belongs to the caller: a database, a user, a tenant.

Prints:
    stock: 3
    stock: 0
"""

import asyncio
from dataclasses import dataclass

from pydantic_ai import RunContext

from actors import Agent


@dataclass
class Deps:
    tenant: str
    stock: dict[tuple[str, str], int]


# `test` is a model that calls each tool once, so that this runs without a key.
clerk = Agent("clerk", model="test", deps_type=Deps, session=False)


@clerk.tool
def stock(context: RunContext[Deps], article: str) -> int:
    """Tell how many of an article are there."""
    # The tenant comes from the program and never from the model, so no prompt can talk its way to another one.
    return context.deps.stock.get((context.deps.tenant, article), 0)


async def main() -> None:
    rows = {("acme", "a"): 3, ("zeta", "b"): 5}
    async with clerk:
        for tenant in ("acme", "zeta"):
            message = await clerk.run("How many lamps are there?", deps=Deps(tenant, rows))
            print(f"{message.tool_calls[0].tool_name}: {message.tool_calls[0].result}")


if __name__ == "__main__":
    asyncio.run(main())
