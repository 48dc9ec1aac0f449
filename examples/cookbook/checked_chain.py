"""A chain passes an answer on only if a check agrees.

Prints:
    Sent: The lamp ships on Friday.
    stopped at check: the answer names no day
    so far: ['The lamp ships soon.']
"""

import asyncio

from actors import Agent
from actors.testing.models import scripted_model


def check(text: str) -> str:
    """Let a text with a day pass; what is raised here ends the chain."""
    if "day" not in text:
        raise ValueError("the answer names no day")
    return text


def send(text: str) -> str:
    return f"Sent: {text}"


async def main() -> None:
    # A model that says what the script says, so that this runs without a key; take model="openai:..." in its place.
    model = scripted_model(["The lamp ships on Friday.", "The lamp ships soon."])
    writer = Agent("writer", model=model, session=False)

    async with writer | check | send as chain:  # a plain function is a stage, under its own name
        print((await chain.run("When does the lamp ship?")).content)
        try:
            await chain.run("And now?")
        except ValueError as error:
            # It is the exception of the check itself, and it says where it came from. Nothing after it has happened, so
            # there is no mail to take back.
            print(f"stopped at {error.failed_step}: {error}")
            print(f"so far: {[answer.response for answer in error.transcript]}")


if __name__ == "__main__":
    asyncio.run(main())
