"""A service that is full says so at once, with the status that a client understands.

Prints:
    503, 503, 200, 200
    MailboxFullError of helper; come back after 1 s
    429 RateLimitedError; come back after 7 s
"""

import asyncio

import httpx2
from fastapi import FastAPI

from actors import AgentPool
from actors.config.load import parse_manifest
from actors.testing.models import failing_model, slow_model
from actors.web import error_handlers
from protocols.model_errors import RateLimitedError

# One run at a time and one that waits. Without a limit the tenth user waits ten times as long, and gives up anyway.
MANIFEST = "agents: {helper: {session: false, max_concurrency: 1, mailbox: {capacity: 1}, policy: false}}"
model = slow_model(go := asyncio.Event())
pool = AgentPool[None](parse_manifest(MANIFEST), model=model)
app = FastAPI(exception_handlers=error_handlers())  # and lifespan=lifespan(pool), which here is `async with pool`


@app.get("/ask")
async def ask(question: str) -> str:
    return (await pool["helper"].run(question)).text


@app.get("/limited")
async def limited() -> str:
    error = RateLimitedError("the provider is full")
    error.retry_after = 7.0  # what the provider has said
    return (await pool["helper"].run("Hello", model=failing_model(error))).text


async def main() -> None:
    transport = httpx2.ASGITransport(app)
    async with pool, httpx2.AsyncClient(transport=transport, base_url="http://localhost") as client:
        asked = [asyncio.create_task(client.get("/ask", params={"question": "Hello"}))]
        await model.started.wait()
        asked += [asyncio.create_task(client.get("/ask", params={"question": "Hello"})) for _ in range(3)]
        answers: list[httpx2.Response] = []
        for answered in asyncio.as_completed(asked):
            answers.append(await answered)
            if len(answers) == 2:  # those that were refused did not wait
                go.set()
        print(", ".join(str(answer.status_code) for answer in answers))
        told = answers[0]
        print(f"{told.json()['title']} of {told.json()['node']}; come back after {told.headers['retry-after']} s")
        told = await client.get("/limited")
        print(f"{told.status_code} {told.json()['title']}; come back after {told.headers['retry-after']} s")


if __name__ == "__main__":
    asyncio.run(main())
