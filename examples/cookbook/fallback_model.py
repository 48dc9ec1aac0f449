"""When one model fails, another one answers.

Prints:
    asked: first 2 times, second 1 time
    the second answers
"""

import asyncio

from pydantic_ai.exceptions import ModelHTTPError
from pydantic_ai.models.fallback import FallbackModel

from actors import Agent, ModelPolicy
from actors.testing.models import failing_model, scripted_model

# With names it is FallbackModel("openai:gpt-5", "anthropic:claude-sonnet-4-5"); in a manifest a `model` with `name` and
# a list of `fallbacks`.
first = failing_model(ModelHTTPError(503, "first"))
second = scripted_model(["the second answers"])


async def main() -> None:
    # The policy repeats what may pass before it goes on to the next model, all within one deadline.
    policy = ModelPolicy(attempts=2, deadline=60, min_wait=0.01, max_wait=0.01)
    async with Agent("helper", model=FallbackModel(first, second), policy=policy) as helper:
        message = await helper.run("Who answers?")

    print(f"asked: first {len(first.requests)} times, second {len(second.requests)} time")
    print(message.content)


if __name__ == "__main__":
    asyncio.run(main())
