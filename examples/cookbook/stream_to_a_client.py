"""A route of FastAPI streams an answer as server-sent events, and tells how it ended.

Prints:
    200 text/event-stream; charset=utf-8
    data: "Cats "
    data: "sleep "
    data: "a "
    data: "lot."
    event: done
"""

import json
from collections.abc import AsyncIterator

from fastapi import FastAPI
from fastapi.responses import StreamingResponse
from starlette.testclient import TestClient

from actors import AgentPool
from actors.config.load import parse_manifest
from actors.web import CancelOnDisconnect, lifespan
from protocols.errors import UnderstageError

pool = AgentPool(parse_manifest("agents: {helper: {model: offline, system_prompt: One sentence.}}"))
app = FastAPI(lifespan=lifespan(pool))
app.add_middleware(CancelOnDisconnect)  # who closes the page does not pay for the rest of the answer


async def events(question: str, session: str) -> AsyncIterator[str]:
    # The status 200 is sent before the first word, so a failure later on has to be told in the stream.
    try:
        async with pool["helper"].run_stream(question, session=session) as stream:
            async for piece in stream.stream():
                yield f"data: {json.dumps(piece)}\n\n"  # JSON, because a piece may hold line breaks
        yield "event: done\ndata: {}\n\n"
    except UnderstageError as error:
        yield f"event: failed\ndata: {json.dumps(type(error).__name__)}\n\n"


@app.get("/ask")
async def ask(question: str, session: str) -> StreamingResponse:
    return StreamingResponse(events(question, session), media_type="text/event-stream")


if __name__ == "__main__":  # in a service: actors.web.serve(app)
    with TestClient(app) as client:
        answer = client.get("/ask", params={"question": "Cats sleep a lot. Dogs bark.", "session": "alice"})
        lines = [line for line in answer.text.splitlines() if line and line != "data: {}"]
        print(answer.status_code, answer.headers["content-type"])
        print("\n".join(lines))
