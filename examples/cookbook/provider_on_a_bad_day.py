"""Test what an agent does when its provider refuses, breaks off, or hangs.

Prints:
    after a 429: hello
    a wrong key: AuthError, retryable False, 1 request
    half a stream: StreamInterruptedError, the text so far 'hell'
"""

import asyncio

from actors import Agent
from actors.testing import Answer, HostileServer
from actors.testing.faults import cut, refusal
from actors.testing.models import served_model
from protocols.model_errors import AuthError, StreamInterruptedError


async def main() -> None:
    # A real server on this machine: retries, limits and streams are those of production, down to the socket.
    busy = [refusal(429, headers={"retry-after": "0.01"}), Answer("hello")]
    async with HostileServer(busy) as server, served_model(server) as model, Agent("guide", model=model) as guide:
        print(f"after a 429: {(await guide.run('hi')).content}")

    async with (
        HostileServer(refusal(401)) as server,
        served_model(server) as model,
        Agent("guide", model=model) as guide,
    ):
        try:
            await guide.run("hi")
        except AuthError as error:
            # What cannot pass is not tried again; what can is, by the policy of the agent.
            requests = f"{len(server.requests)} request"
            print(f"a wrong key: AuthError, retryable {error.retryable}, {requests}")

    broken = cut(Answer("hello"), after=3)
    async with HostileServer(broken) as server, served_model(server) as model, Agent("guide", model=model) as guide:
        try:
            async with guide.run_stream("hi") as stream:
                async for _ in stream.stream():
                    pass
        except StreamInterruptedError as error:
            print(f"half a stream: StreamInterruptedError, the text so far {error.partial!r}")


if __name__ == "__main__":
    asyncio.run(main())
