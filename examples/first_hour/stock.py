"""Task 6: a tool that reads dependencies."""

from pydantic_ai import RunContext

from actors import Agent

clerk = Agent("clerk", model="test", deps_type=dict[str, int])


@clerk.tool
def stock(context: RunContext[dict[str, int]], article: str) -> int:
    """Tell how many of an article are there."""
    return context.deps.get(article, 0)


for call in clerk.run_sync("How many lamps are there?", deps={"a": 7}).tool_calls:
    print(call.tool_name, call.result)
